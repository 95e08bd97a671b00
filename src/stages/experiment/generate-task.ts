import { hashFile, hashText, identifyModel } from "../../experiment/hashes.ts";
import type { ExperimentModel } from "../../experiment/models.ts";
import type { Generation } from "../../experiment/resolve.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { readOwnAnswers } from "../../generation/answers-file.ts";
import { openAnswerer, type OpenAnswerer } from "../../generation/open-answerer.ts";
import { estimateTokens } from "../../llm/estimate-tokens.ts";
import { isModelName } from "../../llm/model-name.ts";
import { nanosPerUsd } from "../../llm/price.ts";
import { generate } from "../generate.ts";
import { guessOutput } from "../plan-calls.ts";
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
): Promise<OpenAnswerer> {
  const { max_output_tokens: maxOutputTokens, temperature, server, batch } = declared;
  return openAnswerer(model, {
    ...(await context.asking(model)),
    ...(batch && isModelName(model) && { batch: {} }),
    maxOutputTokens,
    sampling: { temperature },
    ...(!isModelName(model) && { server, ray: context.serving }),
  });
}

async function estimateAnswers(context: Context, { declared }: Generation, model: string): Promise<TaskEstimate> {
  const prompts = await context.prompts();
  const what = `${prompts.length} prompts`;
  if (!isModelName(model)) return { what };
  const { price, thinksFirst } = await context.pricedModel(model);
  if (!price) return { what, highestUsd: null };
  const guess = guessOutput("prompts", { thinksFirst });
  const texts = prompts.map(({ instruction, input }) => instruction + input);
  const cost = (output: number, inputOf: (text: string) => number) =>
    texts.reduce((sum, text) => sum + price.highestCost(Math.ceil(inputOf(text)), output), 0) / nanosPerUsd;
  return {
    what,
    expectedUsd: cost(Math.min(guess.reply + guess.reasoning, declared.max_output_tokens), estimateTokens),
    highestUsd: cost(declared.max_output_tokens, (text) => Buffer.byteLength(text)),
  };
}
