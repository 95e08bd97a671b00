import type { ExampleFields } from "../dataset/example.ts";
import { createFeatureExtractor, listCount } from "./features.ts";
import type { Random } from "../stats/random.ts";
import { createCorrupter } from "./corrupt.ts";
import { denseCount } from "./dense-features.ts";
import type { Standardisation } from "./network.ts";

/** Rows prepared for training, with their features extracted once and packed. */
export interface TrainingSet {
  /** The buckets of all rows, row by row and field by field. */
  readonly buckets: Uint16Array;
  /** `offsets[r * listCount + f]` is where field f of row r begins in `buckets`. A last entry marks the end. */
  readonly offsets: Uint32Array;
  /** [row, denseCount] */
  readonly dense: Float32Array;
  /** The class of each rated row: an index into the ascending scores. */
  readonly classes: Uint8Array;
  /** The number of rated rows. Each is there twice, at {@link trueRow} and {@link corruptedRow}. */
  readonly rowCount: number;
}

/** Collects rows and their classes. A row of Alpaca's length takes about 400 bytes. */
export class TrainingSetBuilder {
  readonly #extract = createFeatureExtractor();
  readonly #corrupt: ReturnType<typeof createCorrupter>;
  #buckets = new Uint16Array(2 ** 16);
  #used = 0;
  #dense = new Float32Array(1024 * denseCount);
  readonly #offsets: number[] = [];
  readonly #classes: number[] = [];
  #rows = 0;

  /** @param random draws the answers that do not fit */
  constructor(random: Random) {
    this.#corrupt = createCorrupter(random);
  }

  add(example: ExampleFields, classIndex: number): void {
    this.#addRow(example);
    this.#addRow(this.#corrupt(example));
    this.#classes.push(classIndex);
  }

  #addRow(example: ExampleFields): void {
    const features = this.#extract(example);
    for (let f = 0; f < listCount; f++) {
      const count = features.counts[f]!;
      this.#offsets.push(this.#used);
      while (this.#used + count > this.#buckets.length) this.#buckets = grown(this.#buckets, Uint16Array);
      for (let i = 0; i < count; i++) this.#buckets[this.#used++] = features.buckets[f]![i]!;
    }
    const row = this.#rows++;
    if ((row + 1) * denseCount > this.#dense.length) this.#dense = grown(this.#dense, Float32Array);
    this.#dense.set(features.dense, row * denseCount);
  }

  build(): TrainingSet {
    return {
      buckets: this.#buckets,
      offsets: Uint32Array.from([...this.#offsets, this.#used]),
      dense: this.#dense,
      classes: Uint8Array.from(this.#classes),
      rowCount: this.#classes.length,
    };
  }
}

function grown<T extends Uint16Array | Float32Array>(array: T, type: new (length: number) => T): T {
  const larger = new type(array.length * 2);
  larger.set(array);
  return larger;
}

/** Where rated row r is among a set's rows, and where the same prompt with an answer that does not fit. */
export const trueRow = (row: number): number => 2 * row;
export const corruptedRow = (row: number): number => 2 * row + 1;

/** Mean and standard deviation of the dense features over the given rows. */
export function standardise(set: TrainingSet, rows: Uint32Array): Standardisation {
  const mean = new Float32Array(denseCount);
  const deviation = new Float32Array(denseCount);
  for (let d = 0; d < denseCount; d++) {
    let sum = 0;
    let squares = 0;
    for (const row of rows) {
      const value = set.dense[row * denseCount + d]!;
      sum += value;
      squares += value * value;
    }
    mean[d] = sum / rows.length;
    deviation[d] = Math.sqrt(Math.max(0, squares / rows.length - (sum / rows.length) ** 2)) || 1; // a constant feature becomes 0
  }
  return { mean, deviation };
}

/** [bucketCount] 1 for each bucket, modulo their number, that any of the rows uses. */
export function usedBuckets(set: TrainingSet, rows: Uint32Array, bucketCount: number): Uint8Array {
  const used = new Uint8Array(bucketCount);
  for (const row of rows) {
    const end = set.offsets[(row + 1) * listCount]!;
    for (let i = set.offsets[row * listCount]!; i < end; i++) used[set.buckets[i]! & (bucketCount - 1)] = 1;
  }
  return used;
}
