import type { Dataset } from "../../dataset/dataset.ts";
import { inTurns } from "../../in-turns.ts";
import type { RatedExample } from "../../dataset/rated-rows.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { ArmSummary } from "../../run/records/arm.ts";
import type { RunFolder } from "../../run/run-folder.ts";
import type { Reason, ReasonDetail } from "../../selection/decision.ts";
import { readDecisions } from "../../selection/decisions-file.ts";
import { type Picked, picking } from "../../selection/pick.ts";
import type { Taken } from "../../selection/toward.ts";
import { countWithout, detailsOf, orderRepresentative, pickToward } from "./by-vectors.ts";
import type { Plan, SelectOptions } from "./plan.ts";
import type { RatedRows } from "./rated-rows.ts";
import type { RowVectors } from "./row-vectors.ts";
import { type Survey, surveyRows } from "./survey.ts";

/** Decides whether a row is kept, and gives the reason. */
export type FateOf = (rated: RatedExample) => { reason: Reason; detail?: ReasonDetail | undefined };

/** What became of a row that was left out. */
export interface RowFate {
  readonly reason: Reason;
  readonly detail: ReasonDetail;
}

/** What was decided about rows, as data that threads can be given. */
export type FateTable =
  | {
      readonly kind: "immediate";
      readonly plan: Plan;
      /** 1 for each row that is listed, where rows are. */
      readonly listed: Uint8Array | undefined;
    }
  | {
      readonly kind: "picked";
      readonly plan: Plan;
      readonly kept: Uint8Array;
      readonly rejected: Picked["rejected"];
      /** Of each row: 0 when it has no key, 1 when it has one, 2 when its key is the lowest that was kept. */
      readonly standing: Uint8Array;
      readonly excluded: Survey["excluded"];
      readonly filtered: Uint8Array | undefined;
      readonly hasRooms: boolean;
      readonly details: ReadonlyMap<number, ReasonDetail> | undefined;
    };

export interface Fates {
  readonly table: FateTable;
  readonly picked?: Picked;
  readonly leftOut?: number;
  /** Rows that have no vector, where the choice goes by vectors. */
  readonly withoutVector?: number | undefined;
  /** What the kept rows were taken for, where they were chosen near to examples. */
  readonly taken?: readonly Taken[] | undefined;
}

export function immediateFates(plan: Plan, { rows }: SelectOptions, rowCount: number): Fates {
  const listed = rows && new Uint8Array(rowCount);
  for (const row of rows ?? []) listed![row] = 1; // one outside is reported when all are read
  return { table: { kind: "immediate", plan, listed } };
}

export function openFates(table: FateTable): FateOf {
  return table.kind === "immediate" ? fatesAtOnce(table) : fatesAfter(table);
}

function fatesAtOnce({ plan, listed }: FateTable & { readonly kind: "immediate" }): FateOf {
  if (plan.method === "full")
    return ({ rating }) => ({ reason: rating.state === "unreadable" ? "unreadable" : "kept" });
  if (plan.method === "rows") {
    return ({ example, rating }) => ({
      reason: !listed![example.index] ? "not listed" : rating.state === "unreadable" ? "unreadable" : "kept",
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
): Promise<Fates> {
  const survey = await surveyRows(plan, options, manifest, dataset, run, rated, vectors);
  const { keys, checks, groups, rooms } = survey;
  const leftOut = isControl(plan, options) ? await leaveOutNoCandidates(survey, run, options, manifest) : 0;
  const withoutVector = vectors && countWithout(vectors, survey, plan);
  if (plan.method === "toward") {
    const { taken, picked } = await pickToward(plan, options, survey, vectors!);
    const table = tableOf(plan, picked, standingOf(keys, NaN), survey, detailsOf(taken));
    return { table, picked, withoutVector, taken };
  }
  if (plan.method === "representative") await orderRepresentative(plan, options, survey, vectors!);
  const work = picking(keys, {
    seed: plan.seed,
    purpose: plan.method,
    checks,
    count: plan.count,
    groups,
    rooms,
  });
  const picked = await inTurns(work, options.signal);
  const standing = standingOf(keys, groups ? cutsOf(keys, picked.kept, groups) : picked.cut, groups);
  return { table: tableOf(plan, picked, standing, survey), picked, leftOut, withoutVector };
}

/** Does not hold the keys: while rows are written, their memory is free. */
function tableOf(
  plan: Plan,
  { kept, rejected }: Picked,
  standing: Uint8Array,
  { excluded, filtered, rooms }: Survey,
  details?: ReadonlyMap<number, ReasonDetail>,
): FateTable {
  const hasRooms = rooms !== undefined;
  return { kind: "picked", plan, kept, rejected, standing, excluded, filtered, hasRooms, details };
}

/** One byte a row in place of the eight of its key. */
function standingOf(keys: Float64Array, cut: number | Float64Array, groups?: Int32Array): Uint8Array {
  const standing = new Uint8Array(keys.length); // not `Uint8Array.from`, which makes a list of all values first
  const cutOf = (row: number) => (typeof cut === "number" ? cut : cut[groups![row]!]);
  keys.forEach((key, row) => void (standing[row] = Number.isNaN(key) ? 0 : key === cutOf(row) ? 2 : 1));
  return standing;
}

/** The lowest key that was kept in each group; infinite where none was. */
function cutsOf(keys: Float64Array, kept: ArrayLike<number>, groups: Int32Array): Float64Array {
  const cuts = new Float64Array(groups.reduce((most, group) => Math.max(most, group), 0) + 1).fill(Infinity);
  for (let row = 0; row < keys.length; row++)
    if (kept[row]) cuts[groups[row]!] = Math.min(cuts[groups[row]!]!, keys[row]!);
  return cuts;
}

/** Why a row was not picked, by how rows are chosen. */
const losers: Partial<Record<Plan["method"], Reason>> = {
  random: "not drawn",
  longest: "shorter",
  toward: "farther",
  representative: "represented",
};

function fatesAfter(table: FateTable & { readonly kind: "picked" }): FateOf {
  const { plan, kept, rejected, standing, excluded, filtered, hasRooms, details } = table;
  const losing = losers[plan.method] ?? "below cut";
  const isByVectors = plan.method === "toward" || plan.method === "representative";
  const needsScore = plan.method === "score" || (isByVectors && plan.minScore > -Infinity);
  return ({ example, rating }) => {
    const row = example.index;
    if (rating.state === "unreadable") return { reason: "unreadable" };
    if (kept[row]) return { reason: "kept", ...(details && { detail: details.get(row)! }) };
    const other = excluded.get(row) ?? rejected.get(row);
    if (other) return other;
    if (filtered?.[row] === 0) return { reason: "filtered" };
    if (needsScore && rating.state !== "scored") return { reason: "unrated" };
    if (needsScore && isByVectors && rating.state === "scored" && rating.score < plan.minScore)
      return { reason: "below cut" };
    if (hasRooms && standing[row] === 1) return { reason: "over quota" };
    return { reason: standing[row] === 2 ? "not drawn" : losing }; // tied with the last kept row
  };
}

/** Whether the arm is a control that takes another arm's size. */
export function isControl({ method }: Plan, { top }: SelectOptions): boolean {
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

/** Reasons of rows that an arm chosen by a method could not keep, and that no control of it is drawn from. */
export function reasonsOfNoCandidate(method: ArmSummary["method"] | undefined): ReadonlySet<Reason> {
  return method === "toward" || method === "representative" ? noCandidatesToward : noCandidates;
}

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
  const other = arms[like ?? "selected"];
  if (!other) return 0; // a quota needs none to say how many
  const reasons = reasonsOfNoCandidate(other.method);
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
