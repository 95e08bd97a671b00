import { atOnce } from "../in-turns.ts";
import { createRandom } from "../stats/random.ts";
import type { Reason, ReasonDetail } from "./decision.ts";
import { hashWord } from "./words.ts";

/*
 * All selection methods work alike: each row has a key, and the rows with the highest keys are kept until there are enough.
 * The seed decides the order of rows with equal keys, so that their position in the file does not matter. In a random
 * control, all keys are equal.
 */

/** A check that may reject a row whose key is high enough, given the rows kept so far. */
export interface Check {
  /** Why the row is rejected; undefined when it may be kept. */
  reject(row: number): { reason: Reason; detail: ReasonDetail } | undefined;
  /** Called for every row that is kept. */
  keep(row: number): void;
}

export interface PickOptions {
  /** How many rows to keep. Defaults to all rows with a key. */
  readonly count?: number | undefined;
  readonly seed: number;
  /** Mixed into the seed, so that different purposes draw independently: a random control and the ties of a selection. */
  readonly purpose: string;
  /** Group number of each row, for picking the best within each group. */
  readonly groups?: Int32Array | undefined;
  /** How many rows of each group to keep at most, by its number; shared out by the groups' sizes if absent. */
  readonly rooms?: readonly number[] | undefined;
  readonly checks?: readonly Check[] | undefined;
}

export interface Picked {
  /** 1 for each row that is kept. */
  readonly kept: Uint8Array;
  /** Rows that a check rejected, and why. */
  readonly rejected: ReadonlyMap<number, { reason: Reason; detail: ReasonDetail }>;
  /** The lowest key that was kept; NaN when nothing was. */
  readonly cut: number;
  /** Rows with exactly that key that no check rejected, or with the lowest of their group of which some were kept and some not; and how many of these were kept. */
  readonly tied: number;
  readonly tiedKept: number;
}

/** Picks the rows with the highest keys. Rows whose key is NaN are not candidates. */
export function pickHighest(keys: Float64Array, options: PickOptions): Picked {
  return atOnce(picking(keys, options));
}

/** The same as a computation that can be left in between. */
export function* picking(keys: Float64Array, options: PickOptions): Generator<void, Picked> {
  const { count, groups, checks = [] } = options;
  const priority = createPriority(options.seed, options.purpose);
  const kept = new Uint8Array(keys.length);
  const rejected = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  if (!groups && checks.length === 0) keepAboveCut(keys, count ?? keys.length, priority, kept);
  else yield* keepInOrder(keys, options, priority, kept, rejected);
  return { kept, rejected, ...describeCut(keys, kept, rejected, groups) };
}

/** Fast path without groups or checks: keeps all rows above the cut, then rows at the cut in random order. Sorts only those. */
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

function* keepInOrder(
  keys: Float64Array,
  { count, groups, rooms, checks = [] }: PickOptions,
  priority: (row: number) => number,
  kept: Uint8Array,
  rejected: Map<number, { reason: Reason; detail: ReasonDetail }>,
): Generator<void, void> {
  const candidates = rowsWithKey(keys);
  candidates.sort((a, b) => keys[b]! - keys[a]! || priority(a) - priority(b) || a - b);
  const wanted = Math.min(count ?? candidates.length, candidates.length);
  const room = groups && (rooms ? [...rooms] : shareOut(wanted, countGroups(groups, candidates)));
  let left = wanted;
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
    yield;
  }
  if (rooms) return;
  // places that a group could not fill because of the checks go to the best remaining rows
  for (const row of candidates) {
    if (left === 0) return;
    if (!kept[row] && !rejected.has(row)) consider(row);
    yield;
  }
}

function rowsWithKey(keys: Float64Array): Uint32Array {
  const rows = new Uint32Array(keys.length);
  let count = 0;
  keys.forEach((key, row) => void (Number.isNaN(key) || (rows[count++] = row)));
  return rows.subarray(0, count);
}

/** Why the checks reject a row; undefined when it may be kept. */
export function firstRejection(
  checks: readonly Check[],
  row: number,
): { reason: Reason; detail: ReasonDetail } | undefined {
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
 * Divides `count` places among groups in proportion to their sizes (largest remainder method). Each non-empty group gets at
 * least one place, and no group gets more than its size. With fewer places than groups, the largest groups get one each.
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
  const step = Math.sign(left); // +1 adds the places lost by rounding down; -1 takes back those that the minimum of one added
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

/** A random number for each row, fixed by the seed and the purpose. The lowest is drawn first. */
export function createPriority(seed: number, purpose: string): (row: number) => number {
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

/** The n-th highest key, ignoring NaN; -Infinity when there are fewer. Counts keys in bins and sorts only the bin it is in. */
export function nthHighest(keys: Float64Array, n: number): number {
  let low = Infinity;
  let high = -Infinity;
  for (const key of keys) {
    if (key < low) low = key;
    if (key > high) high = key;
  }
  if (n <= 0) return Infinity;
  if (low === high) return low;
  const scale = Number.isFinite(high - low) ? 1 : 0.5; // the range may be more than a number can be
  const range = high * scale - low * scale;
  const binOf = (key: number) => Math.min(bins - 1, Math.floor(((key * scale - low * scale) / range) * bins));
  const counts = new Uint32Array(bins);
  for (const key of keys) if (!Number.isNaN(key)) counts[binOf(key)]!++;
  let above = 0;
  let bin = bins - 1;
  while (bin >= 0 && above + counts[bin]! < n) above += counts[bin--]!;
  if (bin < 0) return -Infinity;
  const near = keys.filter((key) => !Number.isNaN(key) && binOf(key) === bin).sort();
  return near[near.length - (n - above)]!;
}

function describeCut(
  keys: Float64Array,
  kept: Uint8Array,
  rejected: Picked["rejected"],
  groups: Int32Array | undefined,
): Pick<Picked, "cut" | "tied" | "tiedKept"> {
  let cut = NaN;
  for (let row = 0; row < keys.length; row++) if (kept[row] && !(keys[row]! >= cut)) cut = keys[row]!;
  if (groups) return { cut, ...countTies(keys, kept, rejected, groups) };
  let tied = 0;
  let tiedKept = 0;
  for (let row = 0; row < keys.length; row++) {
    if (keys[row] !== cut || rejected.has(row)) continue; // a check has nothing to do with ties
    tied++;
    tiedKept += kept[row]!;
  }
  return { cut, tied, tiedKept };
}

/** Ties at the cuts of groups: of each group where some rows with its lowest kept key were kept, and others not. */
function countTies(
  keys: Float64Array,
  kept: Uint8Array,
  rejected: Picked["rejected"],
  groups: Int32Array,
): Pick<Picked, "tied" | "tiedKept"> {
  const cuts = new Map<number, { key: number; kept: number; left: number }>();
  for (const [row, key] of keys.entries()) {
    if (!kept[row]) continue;
    const cut = cuts.get(groups[row]!);
    if (!cut || key < cut.key) cuts.set(groups[row]!, { key, kept: 0, left: 0 });
  }
  for (const [row, key] of keys.entries()) {
    const cut = cuts.get(groups[row]!);
    if (cut?.key !== key) continue;
    if (kept[row]) cut.kept++;
    else if (!rejected.has(row)) cut.left++;
  }
  const drawn = [...cuts.values()].filter(({ left }) => left > 0);
  return {
    tied: drawn.reduce((sum, cut) => sum + cut.kept + cut.left, 0),
    tiedKept: drawn.reduce((sum, cut) => sum + cut.kept, 0),
  };
}
