import type { Dataset } from "../../dataset/dataset.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { Rating } from "../../run/rating.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { contaminationFinder } from "../../selection/contamination.ts";
import type { Reason, ReasonDetail } from "../../selection/decision.ts";
import { diversity } from "../../selection/diversity.ts";
import { type LearningCheck, exactDuplicates } from "../../selection/duplicates.ts";
import { nearDuplicates } from "../../selection/near-duplicates.ts";
import { distanceCheck, semanticCheck } from "../../selection/semantic.ts";
import { openWhereFilter } from "../../selection/where.ts";
import { Grouping } from "./grouping.ts";
import { defaultSimilarity, isDiverseByVectors, type Plan, type SelectOptions } from "./plan.ts";
import { tableOptions, type RatedRows } from "./rated-rows.ts";
import type { RowVectors } from "./row-vectors.ts";

export interface Survey {
  /** Sort key of each row, higher is better; NaN when the row cannot be picked. */
  readonly keys: Float64Array;
  readonly excluded: Map<number, { reason: Reason; detail: ReasonDetail }>;
  readonly filtered?: Uint8Array | undefined;
  readonly groups?: Int32Array | undefined;
  /** How many rows of each group may be kept, where there is a quota. */
  readonly rooms?: readonly number[] | undefined;
  readonly checks: readonly LearningCheck[];
}

/** Reads all rows once: what they are picked by, and what is left out. */
export async function surveyRows(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
  rated: RatedRows,
  vectors: RowVectors | undefined,
): Promise<Survey> {
  const rowCount = manifest.dataset.rows;
  const keys = new Float64Array(rowCount).fill(NaN);
  const excluded = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  const checks = [
    options.dedup === "exact" && exactDuplicates(rowCount),
    options.dedup === "near" && nearDuplicates(rowCount, options.similarity ?? defaultSimilarity.near),
    options.dedup === "semantic" &&
      semanticCheck(
        vectors!.rows,
        options.similarity ?? defaultSimilarity.semantic,
        "semantic duplicate",
        "--dedup semantic",
      ),
    options.diverse !== undefined && !isDiverseByVectors(options) && diversity(options.diverse),
    options.diverse !== undefined && isDiverseByVectors(options) && distanceCheck(vectors!.rows, options.diverse),
  ].filter((check) => check !== false);
  const needsText =
    plan.method === "longest" ||
    options.per !== undefined ||
    options.quota !== undefined ||
    options.where !== undefined ||
    options.decontaminate !== undefined ||
    checks.length > 0;
  if (!needsText) {
    for await (const lines of rated.ratings()) {
      options.signal?.throwIfAborted();
      for (const rating of lines) keys[rating.index] = keyOf(plan, rating, 0);
    }
    return { keys, excluded, checks };
  }

  const findOverlap = options.decontaminate && contaminationFinder(options.decontaminate);
  const column = options.per ?? options.quota?.column;
  const grouping =
    column === undefined ? undefined : new Grouping(options.quota ? "--quota" : "--per", column, rowCount);
  const table =
    options.where === undefined ? undefined : tableOptions("--where", options.where, options, manifest, run);
  await using filter = table && (await openWhereFilter(dataset, table.sql, { ...table, signal: options.signal }));
  let done = 0;
  for await (const batch of rated.batches()) {
    for (const { example, rating, own = rating } of batch) {
      const key = keyOf(plan, rating, example.output.length);
      const written = filter?.learn(example, own);
      if (written) await written;
      grouping?.learn(example);
      if (rating.state === "unreadable") continue;
      const overlap = findOverlap?.(example);
      if (overlap) excluded.set(example.index, { reason: "contaminated", detail: overlap });
      else if (!Number.isNaN(key)) {
        keys[example.index] = key;
        for (const check of checks) check.learn(example.index, example);
      }
    }
    done += batch.length;
    options.onProgress?.({ stage: "select", doing: "comparing", done, total: rowCount, unit: "rows" });
  }
  grouping?.expectFound();
  const filtered = await filter?.evaluate(rowCount);
  if (filtered) filtered.forEach((passes, row) => void (passes || (keys[row] = NaN)));
  return {
    keys,
    excluded,
    checks,
    filtered,
    ...(grouping && {
      groups: grouping.numbers,
      ...(options.quota && { rooms: grouping.roomsOf(options.quota) }),
    }),
  };
}

function keyOf(plan: Plan, rating: Rating, outputLength: number): number {
  if (rating.state === "unreadable") return NaN;
  if (plan.method === "random" || plan.method === "full") return 0;
  if (plan.method === "longest") return outputLength;
  if ((plan.method === "toward" || plan.method === "representative") && plan.minScore === -Infinity) return 0;
  return rating.state === "scored" && rating.score >= plan.minScore ? rating.score : NaN;
}
