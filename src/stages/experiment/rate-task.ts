import type { Rating } from "../../experiment/resolve.ts";
import { hashFile, hashFiles, hashJudge } from "../../experiment/hashes.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { openRatingJudge } from "../../judge/open.ts";
import { isModelName } from "../../llm/model-name.ts";
import { openRubric } from "../../rubric/open-rubric.ts";
import { readRatings } from "../../run/ratings-file.ts";
import { planRating } from "../plan-calls.ts";
import { rate } from "../rate.ts";
import { endOf, type Context } from "./context.ts";
import { rateId } from "./ids.ts";

export function rateTask(context: Context, rating: Rating): Task {
  const { recipe } = context;
  const { declared, judges, all, rubric, settings } = rating;
  return {
    id: rateId,
    stage: "rate",
    needs: [],
    resource: all.some(isModelName) ? "calls" : "machine",
    needsUv: false,
    async inputs() {
      const dataset = await context.openDataset();
      return {
        data: await hashFiles(dataset.files.map(({ path }) => path)),
        columns: JSON.stringify([recipe.map ?? null, recipe.shape ?? null, ...(recipe.quotes ? [recipe.quotes] : [])]),
        ...(recipe.unreadable === "skip" && { unreadable: `skip, at most ${declared.max_unreadable ?? "1 %"}` }),
        judge: typeof declared.judge === "string" ? declared.judge : declared.judge.join(", "),
        "the judge's file": (await Promise.all(all.map(hashJudge))).join(" "),
        rubric: all.some(isModelName) ? (await openRubric(rubric)).hash : "none",
        ...scoreSettings(declared),
        scale: JSON.stringify(declared.scale ?? null),
        reasoning: declared.reasoning ?? "as its provider sets it",
        min_coverage: String(declared.min_coverage),
      };
    },
    output: () => hashFile(context.run.ratingsPath),
    estimate: () => estimateRating(context, rating),
    calls: () => ratingCalls(context),
    ...context.retried(async () => (await context.manifest())?.rate?.states.failed ?? 0),
    async run() {
      const { judge, models, close } = await openRatingJudge(judges, { ...(await context.asking("")), ...settings });
      try {
        const summary = await rate(await context.openDataset(), {
          ...context.stage(rateId),
          judge,
          overwrite: true,
          minCoverage: declared.min_coverage,
          maxUnreadable: declared.max_unreadable,
          ...(models.length === 0 && context.options.signal && { signal: context.options.signal }),
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        close();
      }
    },
  };
}

/** Settings that change scores. Defaults are omitted so that old hashes stay valid. */
function scoreSettings({
  combine,
  rescale,
  escalate,
  logprobs,
  samples,
  max_prompt_tokens: limit,
}: Rating["declared"]): Record<string, string> {
  return {
    ...(combine && { combine }),
    ...(rescale && { rescale: "yes" }),
    ...(escalate && { escalate: JSON.stringify(escalate) }),
    ...(logprobs && { logprobs: "yes" }),
    ...(samples !== undefined && { samples: String(samples) }),
    ...(limit !== undefined && { max_prompt_tokens: String(limit) }),
  };
}

async function estimateRating(context: Context, { judges, settings }: Rating): Promise<TaskEstimate> {
  const dataset = await context.openDataset();
  const { judge, models, close } = await openRatingJudge(judges, {
    run: context.options.run,
    forPlan: true,
    ...settings,
  });
  try {
    if (models.length === 0) return { what: `${await context.countRows()} rows` };
    let [left, expected, highest]: [number, number | undefined, number | null] = [0, 0, 0];
    const { escalating } = judge;
    for (const model of models) {
      const asked = escalating ? { batches: () => escalating.expect(() => dataset.batches()) } : dataset;
      const { calls, expectedUsd, highestUsd } = await planRating(asked, { judge: model });
      left += calls.left;
      expected = expected === undefined || expectedUsd === null ? undefined : expected + expectedUsd;
      highest = highest === null || highestUsd === null ? null : highest + highestUsd;
    }
    return { what: `${left} calls`, expectedUsd: expected, highestUsd: highest };
  } finally {
    close();
  }
}

async function* ratingCalls(context: Context): AsyncGenerator<string> {
  if (!(await context.manifest())?.rate?.calls) return;
  for await (const lines of readRatings(context.run.ratingsPath))
    for (const line of lines) if ("call" in line && line.call !== undefined) yield line.call;
}
