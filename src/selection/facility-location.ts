import type { VectorsReader } from "../run/vectors-file.ts";
import { openNeighbours } from "./neighbours.ts";
import { createPriority } from "./pick.ts";

/** How many of a row's nearest rows may stand for it. */
const neighbourCount = 64;

export interface RepresentativeOptions {
  readonly count: number;
  /** Decides between rows that add the same, as for ties of scores. */
  readonly seed: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * The order in which rows are taken so that those taken represent all candidates: each next row is the one that adds most to the sum, over all
 * candidates, of the similarity (cosine, at least 0) to the most similar row taken. That is greedy facility location (Nemhauser et al. 1978:
 * at least 1 - 1/e of the best sum), made lazily (Minoux 1978); for each row its 64 nearest rows count, others not. It can be left in between: see `inTurns`.
 *
 * @param candidates 1 for each row that may be taken
 * @param option who asks, for the message where usearch is not installed
 */
export function* takeRepresentative(
  candidates: Uint8Array,
  vectors: VectorsReader,
  { count, seed, onProgress }: RepresentativeOptions,
  option: string,
): Generator<void, number[]> {
  const rows = [...candidates.keys()].filter((row) => candidates[row] === 1 && vectors.at(row) !== undefined);
  const index = openNeighbours(vectors.dimensions, (row) => vectors.at(row)!, option);
  for (const [i, row] of rows.entries()) {
    if (i % 1000 === 0) onProgress?.(i, 2 * rows.length);
    index.add(row, vectors.at(row)!);
    yield;
  }
  /** Of each row: the rows that it may stand for, and how similar they are. */
  const standsFor = new Map<number, { row: number; similarity: number }[]>(rows.map((row) => [row, []]));
  for (const [i, row] of rows.entries()) {
    if (i % 1000 === 0) onProgress?.(rows.length + i, 2 * rows.length);
    const near = index.nearestOf(vectors.at(row)!, neighbourCount).filter((one) => one.row !== row);
    for (const { row: other, similarity } of [{ row, similarity: 1 }, ...near])
      if (similarity > 0) standsFor.get(other)!.push({ row, similarity });
    yield;
  }
  const best = new Float64Array(candidates.length); // the similarity of the most similar row taken
  const gainOf = (row: number): number => {
    let sum = 0;
    for (const { row: other, similarity } of standsFor.get(row)!) sum += Math.max(0, similarity - best[other]!);
    return sum;
  };
  const priority = createPriority(seed, "facility location");
  const heap = new GainHeap((a, b) => priority(a) - priority(b) || a - b);
  for (const row of rows) heap.push(row, gainOf(row));
  const taken: number[] = [];
  while (taken.length < count) {
    yield;
    const top = heap.pop();
    if (!top) break;
    const gain = gainOf(top.row);
    if (gain < top.gain - 1e-12) {
      heap.push(top.row, gain); // gains only shrink: it may still be the largest
      continue;
    }
    taken.push(top.row);
    for (const { row, similarity } of standsFor.get(top.row)!) best[row] = Math.max(best[row]!, similarity);
  }
  return taken;
}

/** A binary heap of rows, the largest gain on top. */
class GainHeap {
  readonly #items: { row: number; gain: number }[] = [];
  readonly #tie: (a: number, b: number) => number;

  constructor(tie: (a: number, b: number) => number) {
    this.#tie = tie;
  }

  push(row: number, gain: number): void {
    const items = this.#items;
    items.push({ row, gain });
    for (let i = items.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  pop(): { row: number; gain: number } | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let i = 0; ;) {
      let first = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < items.length && this.#isBefore(child, first)) first = child;
      if (first === i) return top;
      this.#swap(i, first);
      i = first;
    }
  }

  #isBefore(i: number, k: number): boolean {
    const [a, b] = [this.#items[i]!, this.#items[k]!];
    return a.gain > b.gain || (a.gain === b.gain && this.#tie(a.row, b.row) < 0);
  }

  #swap(i: number, k: number): void {
    [this.#items[i], this.#items[k]] = [this.#items[k]!, this.#items[i]!];
  }
}
