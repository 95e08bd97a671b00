import type { ExampleFields } from "../dataset/example.ts";
import type { LearningCheck } from "./duplicates.ts";
import { hashWord, hashWords } from "./words.ts";

const shingleWords = 3;
const countBuckets = 2 ** 20; // of how many rows have a triple; triples that share one count together, which changes the order alone

/**
 * Rejects rows whose text nearly equals a kept row's: the Jaccard similarity of their word triples is at least `similarity`. Finds every
 * such row (a set similarity join by prefixes: Chaudhuri et al. 2006, Bayardo et al. 2007): where two sets are so similar, the rarest
 * triples of each, as many as the similarity leaves room for, have one in common. So a row is compared with those kept rows alone that share one
 * of its rarest triples. Takes 4 bytes a word triple, and some 100 bytes a row.
 */
export function nearDuplicates(rowCount: number, similarity = 0.8): LearningCheck {
  const counts = new Uint32Array(countBuckets);
  const texts = new TripleLists(rowCount);
  const index = new PrefixIndex(rowCount);
  let ordered = new Float64Array(64);
  const least = similarity - 1e-9; // of two sizes

  /** How many of the rarest triples of a set decide: without them, the rest is too small for the similarity. */
  const prefixOf = (size: number): number => size - Math.ceil(similarity * size - 1e-9) + 1;

  let orderedRow = -1;

  /** The rarest of a row's triples, as many as decide. All rows have one order, so that what they share is found. */
  const rarestOf = (row: number): Float64Array => {
    const triples = texts.of(row);
    if (row !== orderedRow) {
      if (ordered.length < triples.length) ordered = new Float64Array(2 * triples.length);
      for (let i = 0; i < triples.length; i++)
        ordered[i] = counts[triples[i]! & (countBuckets - 1)]! * 2 ** 32 + triples[i]!; // exact: under 2^53
      ordered.subarray(0, triples.length).sort();
      orderedRow = row;
    }
    return ordered.subarray(0, prefixOf(triples.length));
  };

  return {
    learn(row, example) {
      const triples = triplesOf(example);
      for (const triple of triples) {
        const bucket = triple & (countBuckets - 1);
        if (counts[bucket]! < 2 ** 20) counts[bucket]!++;
      }
      texts.add(row, triples);
    },
    reject(row) {
      const triples = texts.of(row);
      let best: { of: number; similarity: number } | undefined;
      index.visit(row, rarestOf(row), (other) => {
        const size = texts.sizeOf(other);
        if (size < least * triples.length || triples.length < least * size) return;
        const found = jaccard(triples, texts.of(other), least);
        if (found >= similarity && found > (best?.similarity ?? 0)) best = { of: other, similarity: found };
      });
      return (
        best && {
          reason: "near duplicate",
          detail: { of: best.of, similarity: Math.round(best.similarity * 1000) / 1000 },
        }
      );
    },
    keep: (row) => index.add(row, rarestOf(row)),
  };
}

let words = new Uint32Array(1024);

/** Hashes of the distinct word triples, ascending. A text of fewer than three words gives one hash. */
function triplesOf({ instruction, input, output }: ExampleFields): Uint32Array {
  const text = `${instruction}\n${input}\n${output}`;
  if (words.length < 4 * text.length) words = new Uint32Array(8 * text.length); // a character may stand for four words
  const count = hashWords(text, words);
  if (count === 0) return Uint32Array.of(hashWord(text));
  const triples = new Uint32Array(Math.max(1, count - shingleWords + 1));
  for (let i = 0; i < triples.length; i++) {
    let hash = 0;
    for (let k = i; k < Math.min(count, i + shingleWords); k++) hash = Math.imul(hash, 0x01000193) ^ words[k]!;
    triples[i] = hash;
  }
  triples.sort();
  let distinct = 0;
  for (let i = 0; i < triples.length; i++)
    if (i === 0 || triples[i] !== triples[i - 1]) triples[distinct++] = triples[i]!;
  return triples.subarray(0, distinct);
}

/**
 * Jaccard similarity of two ascending lists: the share of their distinct values that both contain (Jaccard 1901). 0 where it is less than
 * `least`, without looking at all of them.
 */
function jaccard(a: Uint32Array, b: Uint32Array, least: number): number {
  const mostMissing = a.length - (least / (1 + least)) * (a.length + b.length); // values of a that b may lack
  let [i, j, missing] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [x, y] = [a[i]!, b[j]!];
    if (x < y && ++missing > mostMissing) return 0;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  const shared = i - missing;
  return shared / (a.length + b.length - shared);
}

const chunkSize = 2 ** 20; // triples

/** The triples of rows, one after the other in large arrays: millions of small ones would take as much again. */
class TripleLists {
  readonly #chunks: Uint32Array[] = [];
  #free = 0; // in the last chunk
  readonly #chunkOf: Uint32Array;
  readonly #startOf: Uint32Array;
  readonly #sizes: Uint32Array;

  constructor(rowCount: number) {
    this.#chunkOf = new Uint32Array(rowCount);
    this.#startOf = new Uint32Array(rowCount);
    this.#sizes = new Uint32Array(rowCount);
  }

  add(row: number, triples: Uint32Array): void {
    if (triples.length > this.#free) {
      const size = Math.max(chunkSize, triples.length);
      this.#chunks.push(new Uint32Array(size));
      this.#free = size;
    }
    const chunk = this.#chunks.at(-1)!;
    const start = chunk.length - this.#free;
    chunk.set(triples, start);
    this.#free -= triples.length;
    this.#chunkOf[row] = this.#chunks.length - 1;
    this.#startOf[row] = start;
    this.#sizes[row] = triples.length;
  }

  sizeOf(row: number): number {
    return this.#sizes[row]!;
  }

  of(row: number): Uint32Array {
    const start = this.#startOf[row]!;
    return this.#chunks[this.#chunkOf[row]!]!.subarray(start, start + this.#sizes[row]!);
  }
}

const indexBuckets = 2 ** 22;

/** Which kept rows have a triple among their rarest: chains of entries, a chain for each bucket of triples. */
class PrefixIndex {
  readonly #first = new Uint32Array(indexBuckets); // an entry's number from 1; 0 for none
  #rows = new Uint32Array(1024);
  #next = new Uint32Array(1024);
  #size = 1;
  /** The row that last looked at each row, plus 1, so that none is visited twice. */
  readonly #seenBy: Uint32Array;

  constructor(rowCount: number) {
    this.#seenBy = new Uint32Array(rowCount);
  }

  add(row: number, rarest: Float64Array): void {
    for (const key of rarest) {
      if (this.#size === this.#rows.length) {
        this.#rows = grown(this.#rows);
        this.#next = grown(this.#next);
      }
      const bucket = bucketOf(key);
      this.#rows[this.#size] = row;
      this.#next[this.#size] = this.#first[bucket]!;
      this.#first[bucket] = this.#size++;
    }
  }

  visit(row: number, rarest: Float64Array, look: (other: number) => void): void {
    for (const key of rarest)
      for (let entry = this.#first[bucketOf(key)]!; entry !== 0; entry = this.#next[entry]!) {
        const other = this.#rows[entry]!;
        if (this.#seenBy[other] === row + 1) continue;
        this.#seenBy[other] = row + 1;
        look(other);
      }
  }
}

/** The bucket of a triple: the lower half of its key. */
function bucketOf(key: number): number {
  return Math.imul(key >>> 0, 0x9e3779b1) >>> 10;
}

function grown(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
