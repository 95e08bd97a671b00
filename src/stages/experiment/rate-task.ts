import type { NamedRating, Rating, RatingSettings } from "../../experiment/resolve.ts";
import { hashFiles, hashJudge } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { openRatingJudge } from "../../judge/open.ts";
import { callsModel, readMeasureName, readServedMeasure } from "../../likelihood/measure-name.ts";
import { isStudentLmName, readVerifierName } from "../../run/judge-kind.ts";
import { isSmollm2 } from "../../python/smollm2.ts";
import { isModelName } from "../../llm/model-name.ts";
import { openRubric } from "../../rubric/open-rubric.ts";
import type { Manifest } from "../../run/manifest.ts";
import { readRatings } from "../../run/ratings-file.ts";
import { planRating } from "../plan-calls.ts";
import { rate } from "../rate.ts";
import { endOf, type Context } from "./context.ts";
import { rateId, scoreId } from "./ids.ts";

/** The rows' own rating, or with a name a further score of them. */
export function rateTask(context: Context, rating: Rating | NamedRating): Task {
  const { recipe } = context;
  const { declared, judges, all, rubric, settings } = rating;
  const as = "name" in rating ? rating.name : undefined;
  const id = as === undefined ? rateId : scoreId(as);
  const maxUnreadable = recipe.rate?.max_unreadable; // of the same rows
  const ratingsPath = as === undefined ? context.run.ratingsPath : context.run.scorePath(as);
  const measured = all.flatMap((name) => (readServedMeasure(name) ? [] : (readMeasureName(name)?.model ?? [])));
  const summaryOf = (manifest: Manifest | undefined) => (as === undefined ? manifest?.rate : manifest?.scores?.[as]);
  return {
    id,
    stage: "rate",
    needs: as === undefined ? [] : [rateId],
    resource: all.some(callsModel) ? "calls" : measured.length > 0 && context.serving ? "cluster" : "machine",
    takes: context.serving && (() => context.takenByServers(new Set(measured).size)),
    needsUv: all.some((name) =>
      readMeasureName(name)
        ? !readServedMeasure(name) && (!context.serving || isSmollm2(readMeasureName(name)!.model))
        : readVerifierName(name) === "math" || isStudentLmName(name),
    ),
    async inputs() {
      const dataset = await context.openDataset();
      return {
        data: await hashFiles(dataset.files.map(({ path }) => path)),
        columns: JSON.stringify([recipe.map ?? null, recipe.shape ?? null, ...(recipe.quotes ? [recipe.quotes] : [])]),
        ...(recipe.unreadable === "skip" && { unreadable: `skip, at most ${maxUnreadable ?? "1 %"}` }),
        judge: typeof declared.judge === "string" ? declared.judge : declared.judge.join(", "),
        "the judge's file": (await Promise.all(all.map(hashJudge))).join(" "),
        rubric: all.some(isModelName) ? (await openRubric(rubric)).hash : "none",
        ...scoreSettings(declared),
        scale: JSON.stringify(declared.scale ?? null),
        reasoning: declared.reasoning ?? "as its provider sets it",
        min_coverage: String(declared.min_coverage),
      };
    },
    output: () => hashFile(ratingsPath),
    estimate: () => estimateRating(context, rating),
    async *calls() {
      if (summaryOf(await context.manifest())?.calls) yield* ratingCalls(ratingsPath);
    },
    ...context.retried(async () => summaryOf(await context.manifest())?.states.failed ?? 0),
    async run() {
      const asking = await context.asking("");
      const { judge, models, close } = await openRatingJudge(judges, {
        ...asking,
        ...settings,
        measuring: { ...settings.measuring, ray: context.serving, signal: context.options.signal },
      });
      try {
        const summary = await rate(await context.openDataset(), {
          ...context.stage(id),
          as,
          judge,
          overwrite: true,
          keepScores: true,
          minCoverage: declared.min_coverage,
          maxUnreadable,
          signal: models.length === 0 ? context.options.signal : undefined,
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        close();
      }
    },
  };
}

/** Settings that change scores. Defaults are omitted so that old hashes stay valid. */
function scoreSettings(declared: RatingSettings): Record<string, string> {
  const { logprobs, samples, max_prompt_tokens: limit, template, max_length: maxLength } = declared;
  const { combine, rescale, escalate } = { combine: undefined, rescale: undefined, escalate: undefined, ...declared };
  return {
    ...(template && { template }),
    ...(maxLength !== undefined && { max_length: String(maxLength) }),
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

async function* ratingCalls(path: string): AsyncGenerator<string> {
  for await (const lines of readRatings(path))
    for (const line of lines) if ("call" in line && line.call !== undefined) yield line.call;
}
