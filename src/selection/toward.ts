import { UsageError } from "../errors.ts";
import type { VectorsReader } from "../run/vectors-file.ts";
import { cosine } from "../stats/cosine.ts";
import { createPriority } from "./pick.ts";

const mostEntries = 25e6; // of all targets' lists: 12 bytes each, twice

export interface TowardOptions {
  /** How many rows to take. */
  readonly count: number;
  /** Decides between rows that are equally near, as for ties of scores. */
  readonly seed: number;
  /** Tells whether a row may be taken, given those taken before; absent where all may. One that may not is not offered again. */
  readonly mayTake?: ((row: number) => boolean) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The row that was taken for a target, in the order in which rows are taken. */
export interface Taken {
  readonly row: number;
  /** The target's position in its file, from 0. */
  readonly target: number;
  /** The cosine of both vectors. */
  readonly similarity: number;
}

/**
 * Takes rows for targets: each target in its turn takes the row nearest to it that none has taken, by the cosine of their vectors (the
 * round-robin of RDS+, arXiv 2503.01807). So every target has its share, whichever lie close to many rows. A row that may not be taken costs
 * no turn. It can be left in between: see `inTurns`.
 *
 * @param candidates 1 for each row that may be taken
 * @throws UsageError when so many rows for so many targets need more memory than is allowed
 */
export function* takeToward(
  candidates: Uint8Array,
  vectors: VectorsReader,
  targets: readonly (Float32Array | undefined)[],
  options: TowardOptions,
): Generator<void, Taken[]> {
  const { count, mayTake = () => true } = options;
  const known = targets.flatMap((vector, target) => (vector ? [{ vector, target }] : []));
  const free = Uint8Array.from(candidates);
  const taken: Taken[] = [];
  let isOver = known.length === 0;
  while (!isOver && taken.length < count) {
    const lists = yield* nearestTo(known, free, vectors, { ...options, count: count - taken.length });
    const isWhole = lists[0]!.isWhole; // all free rows are in it
    let isSpent = false; // a list that is not whole has come to its end
    while (!isSpent && !isOver && taken.length < count) {
      isOver = true;
      for (const [i, list] of lists.entries()) {
        yield;
        let near = list.next(free);
        while (near && !mayTake(near.row)) {
          free[near.row] = 0;
          near = list.next(free);
          yield;
        }
        if (!near) {
          isSpent ||= !isWhole;
          if (isSpent) break; // the others' turns come with new lists
          continue;
        }
        free[near.row] = 0;
        taken.push({ ...near, target: known[i]!.target });
        isOver = false;
        if (taken.length === count) break;
      }
    }
    if (isSpent) {
      isOver = false;
      known.push(...known.splice(0, turnsTaken(known, taken))); // whose turn it is goes first
    }
  }
  return taken;
}

/** How many targets come before the one whose turn it is. */
function turnsTaken(known: readonly { readonly target: number }[], taken: readonly Taken[]): number {
  const last = taken.at(-1)?.target;
  return last === undefined ? 0 : (known.findIndex(({ target }) => target === last) + 1) % known.length;
}

const spare = 1000; // rows in a list beyond those that are wanted, since some may not be taken

/** For each target the free rows nearest to it, as many as are wanted and some more. */
function* nearestTo(
  known: readonly { readonly vector: Float32Array }[],
  free: Uint8Array,
  vectors: VectorsReader,
  { count, seed, mayTake, onProgress }: TowardOptions,
): Generator<void, NearestRows[]> {
  const length = Math.min(mayTake ? 2 * count + spare : count, free.length);
  if (known.length * length > mostEntries)
    throw new UsageError(
      `--toward: expected at most ${mostEntries / 1e6} million rows times examples, got ${length} rows for ${known.length} examples; choose fewer rows (--top), or fewer examples`,
    );
  const priority = createPriority(seed, "toward");
  const lists = known.map(() => new NearestRows(length, priority));
  for (let row = 0; row < free.length; row++) {
    if (row % 1000 === 0) onProgress?.(row, free.length);
    yield;
    const vector = free[row] ? vectors.at(row) : undefined;
    if (vector) known.forEach((one, i) => lists[i]!.add(row, cosine(one.vector, vector)));
  }
  for (const list of lists) {
    list.sort();
    yield;
  }
  return lists;
}

/** The rows nearest to a target: twice as many are gathered, then the farther half is dropped. */
class NearestRows {
  readonly #count: number;
  readonly #priority: (row: number) => number;
  readonly #rows: Int32Array;
  readonly #similarities: Float64Array;
  #size = 0;
  #least = -Infinity;
  #next = 0;
  /** Whether no row was dropped. */
  isWhole = true;

  constructor(count: number, priority: (row: number) => number) {
    this.#count = count;
    this.#priority = priority;
    this.#rows = new Int32Array(2 * count + 64);
    this.#similarities = new Float64Array(2 * count + 64);
  }

  add(row: number, similarity: number): void {
    if (similarity < this.#least) return;
    this.#rows[this.#size] = row;
    this.#similarities[this.#size++] = similarity;
    if (this.#size === this.#rows.length) this.sort();
  }

  /** The next row in order that is free. */
  next(free: Uint8Array): { readonly row: number; readonly similarity: number } | undefined {
    while (this.#next < this.#size && free[this.#rows[this.#next]!] === 0) this.#next++;
    if (this.#next === this.#size) return undefined;
    return { row: this.#rows[this.#next]!, similarity: this.#similarities[this.#next]! };
  }

  /** Orders the rows, the nearest first, and drops those beyond what is wanted. */
  sort(): void {
    const [rows, similarities] = [this.#rows, this.#similarities];
    const order = Array.from({ length: this.#size }, (_, i) => i).sort(
      (a, b) =>
        similarities[b]! - similarities[a]! ||
        this.#priority(rows[a]!) - this.#priority(rows[b]!) ||
        rows[a]! - rows[b]!,
    );
    if (order.length > this.#count) {
      order.length = this.#count;
      this.isWhole = false;
      this.#least = similarities[order.at(-1)!]!;
    }
    const [sortedRows, sortedSimilarities] = [order.map((i) => rows[i]!), order.map((i) => similarities[i]!)];
    this.#rows.set(sortedRows);
    this.#similarities.set(sortedSimilarities);
    this.#size = order.length;
  }
}
