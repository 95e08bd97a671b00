import { readAnswers } from "../../comparison/answers.ts";
import { readVerdicts } from "../../comparison/verdicts-file.ts";
import { hashJudge } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { ExperimentModel } from "../../experiment/models.ts";
import type { Comparison, ExperimentJudge } from "../../experiment/resolve.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { openLlmPairJudge, openPairJudge, type OpenLlmPairJudge } from "../../judge/open.ts";
import { estimateTokens } from "../../llm/estimate-tokens.ts";
import { isModelName } from "../../llm/model-name.ts";
import { nanosPerUsd } from "../../llm/price.ts";
import { openPairRubric } from "../../rubric/open-rubric.ts";
import { compare } from "../compare.ts";
import { comparisonName } from "../../comparison/comparison-name.ts";
import { guessedOutput, guessOutput } from "../plan-calls.ts";
import { endOf, type Context } from "./context.ts";
import { findVerdicts } from "./facts.ts";
import { compareId, generateId } from "./ids.ts";

const verdictPromptTokens = 200; // of the rubric, besides the prompt and both answers

export function compareTask(
  context: Context,
  comparison: Comparison,
  { judge, pair }: { readonly judge: ExperimentJudge; readonly pair: readonly [ExperimentModel, ExperimentModel] },
): Task {
  const { declared, rubric } = comparison;
  const [a, b] = pair;
  const name = comparisonName(a.name, b.name, judge.name);
  const id = compareId(a.name, b.name, judge.declared);
  return {
    id,
    stage: "compare",
    needs: [generateId(a.name), generateId(b.name)],
    resource: isModelName(judge.name) ? "calls" : "machine",
    needsUv: false,
    async inputs() {
      return {
        [`answers of ${a.name}`]: (await hashFile(context.run.answersPath(a.name))) ?? "none",
        [`answers of ${b.name}`]: (await hashFile(context.run.answersPath(b.name))) ?? "none",
        judge: judge.declared,
        "the judge's file": await hashJudge(judge.name),
        rubric: isModelName(judge.name) ? (await openPairRubric(rubric)).hash : "none",
        reasoning: declared.reasoning ?? "as its provider sets it",
        min_coverage: String(declared.min_coverage),
      };
    },
    output: () => hashFile(context.run.verdictsPath(name)),
    estimate: () => estimateComparison(context, judge.name),
    async *calls() {
      const manifest = await context.manifest();
      const path = manifest && findVerdicts(manifest, context.run, [a.name, b.name, judge.name]);
      if (path === undefined) return;
      for (const { orders } of await readVerdicts(path))
        for (const { call } of orders) if (call !== undefined) yield call;
    },
    ...context.retried(async () => (await context.manifest())?.comparisons?.[name]?.states["failed"] ?? 0),
    async run() {
      const pairJudge = await openComparingJudge(context, comparison, judge.name);
      const arms = await Promise.all(
        [a, b].map(async (model) => ({
          name: model.name,
          ...(await readAnswers(context.run.answersPath(model.name))),
        })),
      );
      try {
        const summary = await compare(arms[0]!, arms[1]!, {
          ...context.stage(id),
          judge: pairJudge,
          overwrite: true,
          minCoverage: declared.min_coverage,
          ...(!("close" in pairJudge) && context.options.signal && { signal: context.options.signal }),
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        if ("close" in pairJudge) pairJudge.close();
      }
    },
  };
}

async function openComparingJudge(
  context: Context,
  { declared: { reasoning, batch }, rubric }: Comparison,
  judge: string,
): Promise<OpenLlmPairJudge | Awaited<ReturnType<typeof openPairJudge>>> {
  if (!isModelName(judge)) return openPairJudge(judge);
  return openLlmPairJudge(judge, {
    ...(await context.asking(judge)),
    ...(batch && { batch: {} }),
    rubric,
    reasoning,
  });
}

/** The answers do not exist yet: they are assumed to be as long as answers usually are, and no bound is known. */
async function estimateComparison(context: Context, judge: string): Promise<TaskEstimate> {
  const prompts = await context.prompts();
  const turns = prompts.map((prompt) => prompt.turns?.length ?? 1);
  const what = `${2 * turns.reduce((sum, count) => sum + count, 0)} judgements`;
  if (!isModelName(judge)) return { what };
  const { price, thinksFirst } = await context.pricedModel(judge, context.experiment.comparison!.declared.batch);
  if (!price) return { what, highestUsd: null };
  const answer = Math.min(guessedOutput.prompts, context.experiment.generation!.declared.max_output_tokens);
  const { declared } = context.experiment.comparison!;
  const guess = guessOutput("pairs", { thinksFirst }, declared.reasoning);
  const nanos = prompts.reduce((sum, { instruction, input }, i) => {
    const prompt = Math.ceil(estimateTokens(instruction + input));
    const shown = verdictPromptTokens + prompt + 2 * answer * turns[i]!; // whole conversations
    return sum + 2 * turns[i]! * price.highestCost(shown, guess.reply + guess.reasoning);
  }, 0);
  return { what, expectedUsd: nanos / nanosPerUsd, highestUsd: null };
}
