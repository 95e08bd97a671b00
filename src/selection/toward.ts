import { UsageError } from "../errors.ts";
import type { VectorsReader } from "../run/vectors-file.ts";
import { cosine } from "./neighbours.ts";
import { createPriority } from "./pick.ts";

const mostEntries = 60e6; // of all targets' lists: 8 bytes each, twice

export interface TowardOptions {
  /** How many rows are taken, before checks reject some. */
  readonly count: number;
  /** Decides between rows that are equally near, as for ties of scores. */
  readonly seed: number;
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
 * The order in which rows are taken for targets: each target in its turn takes the row nearest to it that none has taken, by the cosine of
 * their vectors (the round-robin of RDS+, arXiv 2503.01807). So every target has its share, whichever lie close to many rows.
 *
 * @param candidates 1 for each row that may be taken
 * @throws UsageError when so many rows for so many targets need more memory than is allowed
 */
export function takeToward(
  candidates: Uint8Array,
  vectors: VectorsReader,
  targets: readonly (Float32Array | undefined)[],
  { count, seed, onProgress }: TowardOptions,
): Taken[] {
  const numbers = targets.flatMap((vector, target) => (vector ? [{ vector, target }] : []));
  const length = Math.min(count, candidates.length);
  if (numbers.length * length > mostEntries)
    throw new UsageError(
      `--toward: expected at most ${mostEntries / 1e6} million rows times targets, got ${length} rows for ${numbers.length} targets; choose fewer rows (--top), or fewer targets`,
    );
  const priority = createPriority(seed, "toward");
  const lists = numbers.map(() => new NearestRows(length, priority));
  for (let row = 0; row < candidates.length; row++) {
    if (row % 1000 === 0) onProgress?.(row, candidates.length);
    const vector = candidates[row] ? vectors.at(row) : undefined;
    if (vector) numbers.forEach((one, i) => lists[i]!.add(row, cosine(one.vector, vector)));
  }
  const sorted = lists.map((list) => list.sorted());
  const next = numbers.map(() => 0);
  const isTaken = new Uint8Array(candidates.length);
  const taken: Taken[] = [];
  for (let isOver = false; !isOver && taken.length < length;) {
    isOver = true;
    for (const [i, { target }] of numbers.entries()) {
      const list = sorted[i]!;
      while (next[i]! < list.length && isTaken[list[next[i]!]!.row]) next[i]!++;
      const nearest = list[next[i]!];
      if (!nearest || taken.length === length) continue;
      isTaken[nearest.row] = 1;
      taken.push({ ...nearest, target });
      isOver = false;
    }
  }
  return taken;
}

interface Near {
  readonly row: number;
  readonly similarity: number;
}

/** The rows nearest to a target: twice as many are gathered, then the farther half is dropped. */
class NearestRows {
  readonly #count: number;
  readonly #priority: (row: number) => number;
  #rows: Near[] = [];
  #least = -Infinity;

  constructor(count: number, priority: (row: number) => number) {
    this.#count = count;
    this.#priority = priority;
  }

  add(row: number, similarity: number): void {
    if (similarity < this.#least) return;
    this.#rows.push({ row, similarity });
    if (this.#rows.length >= 2 * this.#count + 64) this.#drop();
  }

  sorted(): readonly Near[] {
    this.#drop();
    return this.#rows;
  }

  #drop(): void {
    this.#rows.sort(
      (a, b) => b.similarity - a.similarity || this.#priority(a.row) - this.#priority(b.row) || a.row - b.row,
    );
    this.#rows = this.#rows.slice(0, this.#count);
    if (this.#rows.length === this.#count) this.#least = this.#rows.at(-1)?.similarity ?? -Infinity;
  }
}
