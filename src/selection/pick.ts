import { createRandom } from "../stats/random.ts";
import type { Reason, ReasonDetail } from "./decision.ts";
import { hashWord } from "./words.ts";

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
  /** What the seed draws for. Different purposes draw independently, so that a random control owes nothing to the ties of a selection. */
  readonly purpose: string;
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

/** Picks the rows with the highest keys. Rows whose key is NaN are not candidates. */
export function pickHighest(keys: Float64Array, options: PickOptions): Picked {
  const { count, groups, checks = [] } = options;
  const priority = createPriority(options.seed, options.purpose);
  const kept = new Uint8Array(keys.length);
  const rejected = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  if (!groups && checks.length === 0) keepAboveCut(keys, count ?? keys.length, priority, kept);
  else keepInOrder(keys, options, priority, kept, rejected);
  return { kept, rejected, ...describeCut(keys, kept) };
}

/** The plain case, without sorting: everything above the cut, and of the rows on it those drawn first. */
function keepAboveCut(keys: Float64Array, count: number, priority: (row: number) => number, kept: Uint8Array): void {
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
  keys: Float64Array,
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
  const consider = (row: number): void => {
    const rejection = firstRejection(checks, row);
    if (rejection) return void rejected.set(row, rejection);
    for (const check of checks) check.keep(row);
    kept[row] = 1;
    left--;
    if (groups) room![groups[row]!]!--;
  };
  for (const row of candidates) {
    if (left === 0) return;
    if (!groups || room![groups[row]!]! > 0) consider(row);
  }
  // places that a group could not fill, because of the checks, go to the best of the others
  for (const row of candidates) {
    if (left === 0) return;
    if (!kept[row] && !rejected.has(row)) consider(row);
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
 * that has any, as far as the places go: where there are fewer places than groups, the largest groups get one each. No
 * group gets more than it has.
 */
export function shareOut(count: number, sizes: readonly number[]): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const filled = sizes.map((_, i) => i).filter((i) => sizes[i]! > 0);
  const shares = sizes.map(() => 0);
  if (count <= filled.length) {
    for (const i of filled.sort((a, b) => sizes[b]! - sizes[a]! || a - b).slice(0, count)) shares[i] = 1;
    return shares;
  }
  const exact = sizes.map((size) => (count * size) / total);
  for (const i of filled) shares[i] = Math.max(1, Math.floor(exact[i]!));
  let left = count - shares.reduce((sum, share) => sum + share, 0);
  const step = Math.sign(left); // to give out what rounding down left, or to take back what the single places cost
  while (left !== 0) {
    filled.sort((a, b) => step * (exact[b]! - shares[b]! - (exact[a]! - shares[a]!)) || a - b);
    for (const i of filled) {
      if (left === 0) break;
      const isAtLimit = step > 0 ? shares[i] === sizes[i] : shares[i] === 1;
      if (isAtLimit) continue;
      shares[i]! += step;
      left -= step;
    }
  }
  return shares;
}

/** A fixed random number for each row. */
function createPriority(seed: number, purpose: string): (row: number) => number {
  const salt = (Math.floor(createRandom(seed)() * 2 ** 32) ^ hashWord(purpose)) | 0;
  return (row) => {
    let hash = Math.imul(row, 0x9e3779b1) ^ salt;
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77) ^ Math.imul(salt, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
    return (hash ^ (hash >>> 16)) >>> 0;
  };
}

const bins = 4096;

/** The n-th highest key, NaN left out; -Infinity when there are not that many. Sorts only the keys near it. */
export function nthHighest(keys: Float64Array, n: number): number {
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

function describeCut(keys: Float64Array, kept: Uint8Array): Pick<Picked, "cut" | "tied" | "tiedKept"> {
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
