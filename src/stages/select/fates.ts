import type { Dataset } from "../../dataset/dataset.ts";
import type { RatedExample } from "../../dataset/rated-rows.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { Rating } from "../../run/rating.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import { contaminationFinder } from "../../selection/contamination.ts";
import type { Reason, ReasonDetail } from "../../selection/decision.ts";
import { diversity } from "../../selection/diversity.ts";
import { type LearningCheck, exactDuplicates } from "../../selection/duplicates.ts";
import { nearDuplicates } from "../../selection/near-duplicates.ts";
import { firstRejection, type Picked, pickHighest } from "../../selection/pick.ts";
import { semanticCheck } from "../../selection/semantic.ts";
import { takeToward, type Taken } from "../../selection/toward.ts";
import { openWhereFilter } from "../../selection/where.ts";
import { Grouping } from "./grouping.ts";
import { defaultSimilarity, isDiverseByVectors, type Plan, type SelectOptions } from "./plan.ts";
import { tableOptions, type RatedRows } from "./rated-rows.ts";
import type { RowVectors } from "./row-vectors.ts";
import { readDecisions } from "../../selection/decisions-file.ts";

/** Decides whether a row is kept, and gives the reason. */
export type FateOf = ((rated: RatedExample) => { reason: Reason; detail?: ReasonDetail }) & {
  readonly picked?: Picked;
  readonly leftOut?: number;
  /** Rows that have no vector, where the choice goes by vectors. */
  readonly withoutVector?: number | undefined;
  /** What the kept rows were taken for, where they were chosen near to examples. */
  readonly taken?: readonly Taken[] | undefined;
};

export function immediateFates(plan: Plan, { rows }: SelectOptions): FateOf {
  if (plan.method === "full")
    return ({ rating }) => ({ reason: rating.state === "unreadable" ? "unreadable" : "kept" });
  if (plan.method === "rows") {
    const listed = new Set(rows);
    return ({ example, rating }) => ({
      reason: !listed.has(example.index) ? "not listed" : rating.state === "unreadable" ? "unreadable" : "kept",
    });
  }
  return ({ rating }) => {
    if (rating.state === "unreadable") return { reason: "unreadable" };
    if (rating.state !== "scored") return { reason: "unrated" };
    return { reason: rating.score >= plan.minScore ? "kept" : "below cut" };
  };
}

/** Reads all rows first, then picks among them. */
export async function pickedFates(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
  rated: RatedRows,
  vectors: RowVectors | undefined,
): Promise<FateOf> {
  const survey = await surveyRows(plan, options, manifest, dataset, run, rated, vectors);
  const { keys, checks, groups, rooms } = survey;
  const leftOut = isControlOf(plan, options) ? await leaveOutNoCandidates(survey, run, options, manifest) : 0;
  const withoutVector = vectors && countWithout(vectors, survey, plan);
  if (plan.method === "toward") {
    const { taken, picked } = pickToward(plan, options, survey, vectors!);
    const fateOf = fatesAfter(plan, picked, standingOf(keys, NaN), survey, detailsOf(taken));
    return Object.assign(fateOf, { picked, withoutVector, taken });
  }
  const picked = pickHighest(keys, {
    seed: plan.seed,
    purpose: plan.method,
    checks,
    count: plan.count,
    groups,
    rooms,
  });
  return Object.assign(fatesAfter(plan, picked, standingOf(keys, picked.cut), survey), {
    picked,
    leftOut,
    withoutVector,
  });
}

/** Counts candidates without a vector. Where rows are chosen by vectors, they are left out. */
function countWithout({ rows }: RowVectors, { keys, excluded }: Survey, { method }: Plan): number {
  let count = 0;
  for (let row = 0; row < keys.length; row++) {
    if (Number.isNaN(keys[row]) || rows.at(row)) continue;
    count++;
    if (method !== "toward") continue;
    keys[row] = NaN;
    excluded.set(row, { reason: "no vector", detail: {} });
  }
  return count;
}

/** Picks rows for targets, each target in its turn. */
function pickToward(
  { count, seed }: Plan,
  { onProgress }: SelectOptions,
  { keys, checks }: Survey,
  { rows, targets }: RowVectors,
): { readonly taken: readonly Taken[]; readonly picked: Picked } {
  const kept = new Uint8Array(keys.length);
  const rejected = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  const mayTake = (row: number): boolean => {
    const rejection = firstRejection(checks, row);
    if (rejection) rejected.set(row, rejection);
    else for (const check of checks) check.keep(row);
    return rejection === undefined;
  };
  const taken = takeToward(
    Uint8Array.from(keys, (key) => (Number.isNaN(key) ? 0 : 1)),
    rows,
    targets,
    {
      count: count!, // --toward needs --top
      seed,
      ...(checks.length > 0 && { mayTake }),
      onProgress: (done, total) =>
        onProgress?.({ stage: "select", doing: "comparing vectors", done, total, unit: "rows" }),
    },
  );
  for (const { row } of taken) kept[row] = 1;
  return { taken, picked: { kept, rejected, cut: NaN, tied: 0, tiedKept: 0 } };
}

function detailsOf(taken: readonly Taken[]): ReadonlyMap<number, ReasonDetail> {
  return new Map(
    taken.map(({ row, target, similarity }) => [row, { target, similarity: Math.round(similarity * 1000) / 1000 }]),
  );
}

/** Of each row: 0 when it has no key, 1 when it has one, 2 when its key is the lowest that was kept. One byte a row in place of eight. */
function standingOf(keys: Float64Array, cut: number): Uint8Array {
  const standing = new Uint8Array(keys.length); // not `Uint8Array.from`, which makes a list of all values first
  keys.forEach((key, row) => void (standing[row] = Number.isNaN(key) ? 0 : key === cut ? 2 : 1));
  return standing;
}

/** Why a row was not picked, by how rows are chosen. */
const losers: Partial<Record<Plan["method"], Reason>> = { random: "not drawn", longest: "shorter", toward: "farther" };

/** Does not hold the keys: while rows are written, their memory is free. */
function fatesAfter(
  plan: Plan,
  { kept, rejected }: Picked,
  standing: Uint8Array,
  { excluded, filtered, groups, rooms }: Survey,
  taken?: ReadonlyMap<number, ReasonDetail>,
): FateOf {
  const losing = losers[plan.method] ?? "below cut";
  const needsScore = plan.method === "score" || (plan.method === "toward" && plan.minScore > -Infinity);
  const isGrouped = groups !== undefined;
  const hasRooms = rooms !== undefined;
  return ({ example, rating }) => {
    const row = example.index;
    if (rating.state === "unreadable") return { reason: "unreadable" };
    if (kept[row]) return { reason: "kept", ...(taken && { detail: taken.get(row)! }) };
    const other = excluded.get(row) ?? rejected.get(row);
    if (other) return other;
    if (filtered?.[row] === 0) return { reason: "filtered" };
    if (needsScore && rating.state !== "scored") return { reason: "unrated" };
    if (needsScore && plan.method === "toward" && rating.state === "scored" && rating.score < plan.minScore)
      return { reason: "below cut" };
    if (hasRooms && standing[row]! > 0) return { reason: "over quota" };
    return { reason: !isGrouped && standing[row] === 2 ? "not drawn" : losing }; // tied with the last kept row
  };
}

/** Whether the arm is a control that takes another arm's size. */
function isControlOf({ method }: Plan, { top }: SelectOptions): boolean {
  return (method === "random" || method === "longest") && top === undefined;
}

/** Reasons for which the other arm could not keep a row, whatever its score. */
const noCandidates: ReadonlySet<Reason> = new Set([
  "filtered",
  "contaminated",
  "duplicate",
  "near duplicate",
  "semantic duplicate",
  "no vector",
]);
/** Those of an arm that is chosen near to examples: a score may narrow what it is chosen from. */
const noCandidatesToward: ReadonlySet<Reason> = new Set([...noCandidates, "below cut", "unrated"]);

/**
 * Leaves out what the arm that is controlled could not keep: a control differs from it in how rows are chosen, not in what they are
 * chosen from. Returns how many rows that are.
 */
async function leaveOutNoCandidates(
  { keys, excluded }: Survey,
  run: RunFolder,
  { like }: SelectOptions,
  { arms }: RatedManifest,
): Promise<number> {
  const reasons = arms[like ?? "selected"]?.method === "toward" ? noCandidatesToward : noCandidates;
  let count = 0;
  for await (const decisions of readDecisions(run.decisionsPath(like ?? "selected")))
    for (const { index, reason, of, similarity, test, prompt, words } of decisions) {
      if (!reasons.has(reason) || Number.isNaN(keys[index])) continue;
      keys[index] = NaN;
      excluded.set(index, { reason, detail: { of, similarity, test, prompt, words } });
      count++;
    }
  return count;
}

interface Survey {
  /** Sort key of each row, higher is better; NaN when the row cannot be picked. */
  readonly keys: Float64Array;
  readonly excluded: Map<number, { reason: Reason; detail: ReasonDetail }>;
  readonly filtered?: Uint8Array | undefined;
  readonly groups?: Int32Array | undefined;
  /** How many rows of each group may be kept, where there is a quota. */
  readonly rooms?: readonly number[] | undefined;
  readonly checks: readonly LearningCheck[];
}

async function surveyRows(
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
    options.diverse !== undefined &&
      isDiverseByVectors(options) &&
      semanticCheck(vectors!.rows, 1 - options.diverse, "too close", "--diverse"),
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
  await using filter = table && (await openWhereFilter(dataset, table.sql, table));
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
  if (plan.method === "toward" && plan.minScore === -Infinity) return 0;
  return rating.state === "scored" && rating.score >= plan.minScore ? rating.score : NaN;
}
