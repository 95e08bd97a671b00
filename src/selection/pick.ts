import { createRandom } from "../stats/random.ts";
import type { Reason, ReasonDetail } from "./decision.ts";

/*
 * Every method is the same act: rows have a key, the higher the better, and the best are taken until enough are kept.
 * Rows with equal keys are taken in an order that the seed draws, so that no place in the file is favoured; a random
 * control is the case in which all keys are equal.
 */

/** A reason to pass over a row that is good enough by its key, in view of the rows kept so far. */
export interface Check {
  /** Undefined when the row may be kept. */
  reject(row: number): { reason: Reason; detail: ReasonDetail } | undefined;
  /** Called for every row that is kept. */
  keep(row: number): void;
}

export interface PickOptions {
  /** How many rows to keep; all with a key when absent. */
  readonly count?: number;
  readonly seed: number;
  /** Group number of each row, for picking the best within each group. */
  readonly groups?: Int32Array;
  readonly checks?: readonly Check[];
}

export interface Picked {
  /** 1 for each row that is kept. */
  readonly kept: Uint8Array;
  /** Rows passed over by a check. */
  readonly rejected: ReadonlyMap<number, { reason: Reason; detail: ReasonDetail }>;
  /** The lowest key that was kept; NaN when nothing was. */
  readonly cut: number;
  /** Rows with exactly that key, and how many of them were kept. */
  readonly tied: number;
  readonly tiedKept: number;
}

/** Picks the rows with the highest keys. Rows whose key is NaN are not candidates; keys that agree to seven digits tie. */
export function pickHighest(keys: Float32Array, options: PickOptions): Picked {
  const { count, groups, checks = [] } = options;
  const priority = createPriority(options.seed);
  const kept = new Uint8Array(keys.length);
  const rejected = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  if (!groups && checks.length === 0) keepAboveCut(keys, count ?? keys.length, priority, kept);
  else keepInOrder(keys, options, priority, kept, rejected);
  return { kept, rejected, ...describeCut(keys, kept) };
}

/** The plain case, without sorting: everything above the cut, and of the rows on it those drawn first. */
function keepAboveCut(keys: Float32Array, count: number, priority: (row: number) => number, kept: Uint8Array): void {
  const cut = nthHighest(keys, count);
  let room = count;
  const tied: number[] = [];
  for (let row = 0; row < keys.length; row++) {
    if (keys[row]! > cut) {
      kept[row] = 1;
      room--;
    } else if (keys[row] === cut) tied.push(row);
  }
  if (tied.length > room) tied.sort((a, b) => priority(a) - priority(b) || a - b);
  for (const row of tied.slice(0, Math.max(0, room))) kept[row] = 1;
}

function keepInOrder(
  keys: Float32Array,
  { count, groups, checks = [] }: PickOptions,
  priority: (row: number) => number,
  kept: Uint8Array,
  rejected: Map<number, { reason: Reason; detail: ReasonDetail }>,
): void {
  const candidates = Uint32Array.from(keys.keys()).filter((row) => !Number.isNaN(keys[row]!));
  candidates.sort((a, b) => keys[b]! - keys[a]! || priority(a) - priority(b) || a - b);
  const most = Math.min(count ?? candidates.length, candidates.length);
  const room = groups && shareOut(most, countGroups(groups, candidates));
  let left = most;
  for (const row of candidates) {
    if (left === 0) break;
    const group = groups?.[row];
    if (group !== undefined && room![group] === 0) continue;
    const rejection = firstRejection(checks, row);
    if (rejection) {
      rejected.set(row, rejection);
      continue;
    }
    for (const check of checks) check.keep(row);
    kept[row] = 1;
    left--;
    if (group !== undefined) room![group]!--;
  }
}

function firstRejection(checks: readonly Check[], row: number): { reason: Reason; detail: ReasonDetail } | undefined {
  for (const check of checks) {
    const rejection = check.reject(row);
    if (rejection) return rejection;
  }
  return undefined;
}

function countGroups(groups: Int32Array, candidates: Uint32Array): number[] {
  const sizes: number[] = [];
  for (const row of candidates) sizes[groups[row]!] = (sizes[groups[row]!] ?? 0) + 1;
  return Array.from(sizes, (size) => size ?? 0);
}

/**
 * Shares `count` places out among groups in proportion to their sizes (largest remainders), at least one for each group
 * that has any, as far as the places go. No group gets more than it has.
 */
export function shareOut(count: number, sizes: readonly number[]): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (total ? (count * size) / total : 0));
  const shares = exact.map((share, i) => (sizes[i]! > 0 ? Math.max(1, Math.floor(share)) : 0));
  let left = count - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = sizes.map((_, i) => i).sort((a, b) => exact[b]! - shares[b]! - (exact[a]! - shares[a]!) || a - b);
  for (const i of byRemainder) {
    if (left <= 0) break;
    if (shares[i]! < sizes[i]!) {
      shares[i]!++;
      left--;
    }
  }
  // too many single places: take them back where a group is furthest over its share, the smallest groups last resort
  while (left < 0) {
    const over = shares
      .map((_, i) => i)
      .filter((i) => shares[i]! > 0)
      .sort((a, b) => shares[b]! - exact[b]! - (shares[a]! - exact[a]!) || sizes[a]! - sizes[b]!);
    const from = over.find((i) => shares[i]! > 1) ?? over[0]!;
    shares[from]!--;
    left++;
  }
  return shares;
}

/** A fixed random number for each row. */
function createPriority(seed: number): (row: number) => number {
  const salt = Math.floor(createRandom(seed)() * 2 ** 32) | 0;
  return (row) => {
    let hash = Math.imul(row ^ salt, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
    return (hash ^ (hash >>> 16)) >>> 0;
  };
}

const bins = 4096;

/** The n-th highest key, NaN left out; -Infinity when there are not that many. Sorts only the keys near it. */
export function nthHighest(keys: Float32Array, n: number): number {
  let low = Infinity;
  let high = -Infinity;
  for (const key of keys) {
    if (key < low) low = key;
    if (key > high) high = key;
  }
  if (n <= 0) return Infinity;
  if (low === high) return low;
  const binOf = (key: number) => Math.min(bins - 1, Math.floor(((key - low) / (high - low)) * bins));
  const counts = new Uint32Array(bins);
  for (const key of keys) if (!Number.isNaN(key)) counts[binOf(key)]!++;
  let above = 0;
  let bin = bins - 1;
  while (bin >= 0 && above + counts[bin]! < n) above += counts[bin--]!;
  if (bin < 0) return -Infinity;
  const near = keys.filter((key) => !Number.isNaN(key) && binOf(key) === bin).sort();
  return near[near.length - (n - above)]!;
}

function describeCut(keys: Float32Array, kept: Uint8Array): Pick<Picked, "cut" | "tied" | "tiedKept"> {
  let cut = NaN;
  for (let row = 0; row < keys.length; row++) if (kept[row] && !(keys[row]! >= cut)) cut = keys[row]!;
  let tied = 0;
  let tiedKept = 0;
  for (let row = 0; row < keys.length; row++) {
    if (keys[row] !== cut) continue;
    tied++;
    tiedKept += kept[row]!;
  }
  return { cut, tied, tiedKept };
}
