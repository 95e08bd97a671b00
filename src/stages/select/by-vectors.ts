import { inTurns } from "../../in-turns.ts";
import type { Reason, ReasonDetail } from "../../selection/decision.ts";
import { takeRepresentative } from "../../selection/facility-location.ts";
import { firstRejection, type Picked } from "../../selection/pick.ts";
import { takeToward, type Taken } from "../../selection/toward.ts";
import type { Plan, SelectOptions } from "./plan.ts";
import type { RowVectors } from "./row-vectors.ts";
import type { Survey } from "./survey.ts";

/** Counts candidates without a vector. Where rows are chosen by vectors, they are left out. */
export function countWithout({ rows }: RowVectors, { keys, excluded }: Survey, { method }: Plan): number {
  let count = 0;
  for (let row = 0; row < keys.length; row++) {
    if (Number.isNaN(keys[row]) || rows.at(row)) continue;
    count++;
    if (method !== "toward" && method !== "representative") continue;
    keys[row] = NaN;
    excluded.set(row, { reason: "no vector", detail: {} });
  }
  return count;
}

/** Replaces the keys by the order in which rows are taken so that they represent all, the first the highest. */
export async function orderRepresentative(
  { count, seed }: Plan,
  { onProgress, signal }: SelectOptions,
  { keys, checks }: Survey,
  { rows }: RowVectors,
): Promise<void> {
  const work = takeRepresentative(
    Uint8Array.from(keys, (key) => (Number.isNaN(key) ? 0 : 1)),
    rows,
    {
      count: checks.length > 0 ? keys.length : count!, // it needs --top; checks may reject any number
      seed,
      onProgress: (done, total) =>
        onProgress?.({ stage: "select", doing: "comparing vectors", done, total, unit: "rows" }),
    },
    "--method representative",
  );
  const taken = await inTurns(work, signal);
  keys.fill(NaN);
  for (const [order, row] of taken.entries()) keys[row] = -order;
}

/** Picks rows for targets, each target in its turn. */
export async function pickToward(
  { count, seed }: Plan,
  { onProgress, signal }: SelectOptions,
  { keys, checks }: Survey,
  { rows, targets }: RowVectors,
): Promise<{ readonly taken: readonly Taken[]; readonly picked: Picked }> {
  const kept = new Uint8Array(keys.length);
  const rejected = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  const mayTake = (row: number): boolean => {
    const rejection = firstRejection(checks, row);
    if (rejection) rejected.set(row, rejection);
    else for (const check of checks) check.keep(row);
    return rejection === undefined;
  };
  const work = takeToward(
    Uint8Array.from(keys, (key) => (Number.isNaN(key) ? 0 : 1)),
    rows,
    targets,
    {
      count: count!, // --toward needs --top
      seed,
      mayTake: checks.length > 0 ? mayTake : undefined,
      onProgress: (done, total) =>
        onProgress?.({ stage: "select", doing: "comparing vectors", done, total, unit: "rows" }),
    },
  );
  const taken = await inTurns(work, signal);
  for (const { row } of taken) kept[row] = 1;
  return { taken, picked: { kept, rejected, cut: NaN, tied: 0, tiedKept: 0 } };
}

export function detailsOf(taken: readonly Taken[]): ReadonlyMap<number, ReasonDetail> {
  return new Map(
    taken.map(({ row, target, similarity }) => [row, { target, similarity: Math.round(similarity * 1000) / 1000 }]),
  );
}
