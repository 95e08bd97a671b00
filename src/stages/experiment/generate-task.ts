import { hashText, identifyModel } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { ExperimentModel } from "../../experiment/models.ts";
import type { Generation } from "../../experiment/resolve.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { readOwnAnswers } from "../../generation/answers-file.ts";
import { openAnswerer, type OpenAnswerer } from "../../generation/open-answerer.ts";
import { isModelName } from "../../llm/model-name.ts";
import { generate } from "../generate.ts";
import { planAnswers } from "../plan-calls.ts";
import { endOf, type Context } from "./context.ts";
import { generateId, trainId } from "./ids.ts";

export function generateTask(context: Context, generation: Generation, { name, arm, model }: ExperimentModel): Task {
  const { declared } = generation;
  const id = generateId(name);
  const path = context.run.answersPath(name);
  return {
    id,
    stage: "generate",
    needs: arm === undefined ? [] : [trainId(name)],
    resource: isModelName(model) ? "calls" : context.serving ? "cluster" : "machine",
    takes: context.serving && (() => context.takenByServers()),
    needsUv: !isModelName(model) && !context.serving,
    async inputs() {
      return {
        model: arm === undefined ? model : identifyModel((await context.manifest())?.models?.[name]),
        prompts: hashText(JSON.stringify(await context.prompts())),
        max_output_tokens: String(declared.max_output_tokens),
        temperature: String(declared.temperature),
        server: declared.server ?? "what fits the machine",
        min_coverage: String(declared.min_coverage),
      };
    },
    output: () => hashFile(path),
    estimate: () => estimateAnswers(context, generation, model),
    async *calls() {
      for (const { call } of (await readOwnAnswers(path)).answers) if (call !== undefined) yield call;
    },
    ...context.retried(async () => {
      const sets = (await context.manifest())?.answers?.[name]?.sets ?? [];
      return sets.reduce((sum, { failed }) => sum + failed, 0);
    }),
    async run() {
      const answerer = await openExperimentAnswerer(context, generation, model);
      try {
        const summary = await generate(await context.prompts(), {
          ...context.stage(id),
          answerer,
          name,
          overwrite: true,
          minCoverage: declared.min_coverage,
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        await answerer.close();
      }
    },
  };
}

async function openExperimentAnswerer(
  context: Context,
  { declared }: Generation,
  model: string,
  { forPlan = false }: { readonly forPlan?: boolean } = {},
): Promise<OpenAnswerer> {
  const { max_output_tokens: maxOutputTokens, temperature, server, batch } = declared;
  return openAnswerer(model, {
    ...(await context.asking(model)),
    ...(batch && isModelName(model) && { batch: {} }),
    maxOutputTokens,
    sampling: { temperature },
    forPlan,
    ...(!isModelName(model) && { server, ray: context.serving }),
  });
}

/** The calls that are left, at the price of the way they go (batches cost half). */
async function estimateAnswers(context: Context, generation: Generation, model: string): Promise<TaskEstimate> {
  const prompts = await context.prompts();
  if (!isModelName(model)) return { what: `${prompts.length} prompts` };
  const answerer = await openExperimentAnswerer(context, generation, model, { forPlan: true });
  try {
    const { calls, expectedUsd, highestUsd } = planAnswers(prompts, { answerer });
    return { what: `${calls.left} calls`, expectedUsd: expectedUsd ?? undefined, highestUsd };
  } finally {
    await answerer.close();
  }
}
