import type { ExampleFields } from "../dataset/example.ts";
import type { LearningCheck } from "./duplicates.ts";
import { hashWord, hashWords } from "./words.ts";

const shingleWords = 3;
const countBuckets = 2 ** 18; // of how many rows have a triple; triples that share one count together, which changes the order alone

/**
 * Rejects rows whose text nearly equals a kept row's: the Jaccard similarity of their word triples is at least `similarity`. Finds every
 * such row (a set similarity join by prefixes: Chaudhuri et al. 2006, Bayardo et al. 2007): where two sets are so similar, the rarest
 * triples of each, as many as the similarity leaves room for, have one in common. So a row is compared with those kept rows alone that share one
 * of its rarest triples. Takes 4 bytes a word triple, and some 150 bytes a row.
 */
export function nearDuplicates(rowCount: number, similarity = 0.8): LearningCheck {
  const counts = new Uint16Array(countBuckets);
  const texts = new TripleLists(rowCount);
  const index = new PrefixIndex(rowCount);
  const distinct = new TripleSet();
  const least = similarity - 1e-9; // of two sizes
  let ranked = new Float64Array(64);
  let rankedRow = -1;
  let rarest = new Uint32Array(64);
  let rarestCount = 0;

  /** Puts a row's rarest triples, as many as decide, into `rarest`. All rows have one order, so that what they share is found. */
  const rank = (row: number): void => {
    if (row === rankedRow) return;
    const triples = texts.of(row);
    if (ranked.length < triples.length) {
      ranked = new Float64Array(2 * triples.length);
      rarest = new Uint32Array(2 * triples.length);
    }
    for (let i = 0; i < triples.length; i++)
      ranked[i] = counts[triples[i]! & (countBuckets - 1)]! * 2 ** 32 + triples[i]!; // exact: under 2^53
    // without them, the rest is too small for the similarity
    rarestCount = triples.length - Math.ceil(similarity * triples.length - 1e-9) + 1;
    moveLowestFirst(ranked, triples.length, rarestCount);
    for (let i = 0; i < rarestCount; i++) rarest[i] = ranked[i]! >>> 0;
    rankedRow = row;
  };

  return {
    learn(row, example) {
      const count = readTriples(example);
      distinct.clear(count);
      let size = 0;
      for (let i = 0; i < count; i++) {
        const triple = readTo[i]!;
        if (!distinct.add(triple)) continue;
        readTo[size++] = triple;
        const bucket = triple & (countBuckets - 1);
        if (counts[bucket]! < 65_535) counts[bucket]!++;
      }
      texts.add(row, readTo.subarray(0, size));
    },
    reject(row) {
      rank(row);
      const size = texts.sizeOf(row);
      let isRead = false;
      let best: { of: number; similarity: number } | undefined;
      index.visit(row, rarest, rarestCount, (other) => {
        const otherSize = texts.sizeOf(other);
        if (otherSize < least * size || size < least * otherSize) return;
        if (!isRead) {
          distinct.clear(size);
          for (const triple of texts.of(row)) distinct.add(triple);
          isRead = true;
        }
        const found = jaccard(distinct, size, texts.of(other), least);
        if (found >= similarity && found > (best?.similarity ?? 0)) best = { of: other, similarity: found };
      });
      return (
        best && {
          reason: "near duplicate",
          detail: { of: best.of, similarity: Math.round(best.similarity * 1000) / 1000 },
        }
      );
    },
    keep(row) {
      rank(row);
      index.add(row, rarest, rarestCount);
    },
  };
}

let words = new Uint32Array(1024);
let readTo = new Uint32Array(1024);

/** Writes the hashes of a text's word triples to `readTo`, and returns how many they are. A text of fewer than three words gives one. */
function readTriples({ instruction, input, output }: ExampleFields): number {
  const text = `${instruction}\n${input}\n${output}`;
  if (words.length < 4 * text.length) {
    words = new Uint32Array(8 * text.length); // a character may stand for four words
    readTo = new Uint32Array(words.length);
  }
  const wordCount = hashWords(text, words);
  if (wordCount === 0) readTo[0] = hashWord(text);
  const count = Math.max(1, wordCount - shingleWords + 1);
  if (wordCount === 0) return 1;
  for (let i = 0; i < count; i++) {
    let hash = 0;
    for (let k = i; k < Math.min(wordCount, i + shingleWords); k++) hash = Math.imul(hash, 0x01000193) ^ words[k]!;
    readTo[i] = hash;
  }
  return count;
}

/** Moves the `count` lowest of the first `size` values before the others, in any order (quickselect: Hoare 1961). */
function moveLowestFirst(values: Float64Array, size: number, count: number): void {
  let [low, high] = [0, size - 1];
  for (let steps = 0; low < high; steps++) {
    if (steps > 64) return void values.subarray(low, high + 1).sort(); // pivots that divide badly, again and again
    const pivot = values[(low + high) >>> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (count - 1 <= j) high = j;
    else if (count - 1 >= i) low = i;
    else return;
  }
}

/**
 * Jaccard similarity of two sets: the share of their distinct values that both contain (Jaccard 1901). 0 where it is less than `least`,
 * without looking at all of them.
 */
function jaccard(a: TripleSet, sizeOfA: number, b: Uint32Array, least: number): number {
  const mostMissing = b.length - (least / (1 + least)) * (sizeOfA + b.length); // values of b that a may lack
  let missing = 0;
  for (let i = 0; i < b.length; i++) if (!a.has(b[i]!) && ++missing > mostMissing) return 0;
  const shared = b.length - missing;
  return shared / (sizeOfA + missing);
}

/** A set of triples that is filled again and again. A slot is taken if it bears the current stamp. */
class TripleSet {
  #values = new Uint32Array(256);
  #stamps = new Uint32Array(256);
  #stamp = 0;

  /** Empties the set, and makes room for `count` values. */
  clear(count: number): void {
    if (this.#values.length < 2 * count) {
      const size = 2 ** Math.ceil(Math.log2(2 * count));
      this.#values = new Uint32Array(size);
      this.#stamps = new Uint32Array(size);
      this.#stamp = 0;
    }
    if (this.#stamp === 2 ** 32 - 1) {
      this.#stamps.fill(0);
      this.#stamp = 0;
    }
    this.#stamp++;
  }

  /** Whether the value is new. */
  add(value: number): boolean {
    const slot = this.#slotOf(value);
    if (this.#stamps[slot] === this.#stamp) return false;
    this.#values[slot] = value;
    this.#stamps[slot] = this.#stamp;
    return true;
  }

  has(value: number): boolean {
    return this.#stamps[this.#slotOf(value)] === this.#stamp;
  }

  /** Where the value is, or would be. */
  #slotOf(value: number): number {
    const mask = this.#values.length - 1;
    let slot = Math.imul(value, 0x9e3779b1) & mask;
    while (this.#stamps[slot] === this.#stamp && this.#values[slot] !== value) slot = (slot + 1) & mask;
    return slot;
  }
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
const fields = 3; // of an entry: row, next entry, triple

/** Which kept rows have a triple among their rarest: chains of entries, a chain for each bucket of triples. */
class PrefixIndex {
  readonly #first = new Uint32Array(indexBuckets); // where an entry begins; 0 for none
  #entries = new Uint32Array(1024 * fields);
  #end = fields;
  /** The row that last looked at each row, plus 1, so that none is visited twice. */
  readonly #seenBy: Uint32Array;

  constructor(rowCount: number) {
    this.#seenBy = new Uint32Array(rowCount);
  }

  add(row: number, rarest: Uint32Array, count: number): void {
    if (this.#end + count * fields > this.#entries.length) {
      const larger = new Uint32Array(Math.max(2 * this.#entries.length, this.#end + count * fields));
      larger.set(this.#entries);
      this.#entries = larger;
    }
    const entries = this.#entries;
    for (let i = 0; i < count; i++) {
      const bucket = bucketOf(rarest[i]!);
      entries[this.#end] = row;
      entries[this.#end + 1] = this.#first[bucket]!;
      entries[this.#end + 2] = rarest[i]!;
      this.#first[bucket] = this.#end;
      this.#end += fields;
    }
  }

  /** Looks once at each kept row that has one of these triples among its rarest. */
  visit(row: number, rarest: Uint32Array, count: number, look: (other: number) => void): void {
    const entries = this.#entries;
    for (let i = 0; i < count; i++) {
      const triple = rarest[i]!;
      for (let entry = this.#first[bucketOf(triple)]!; entry !== 0; entry = entries[entry + 1]!) {
        if (entries[entry + 2] !== triple) continue;
        const other = entries[entry]!;
        if (this.#seenBy[other] === row + 1) continue;
        this.#seenBy[other] = row + 1;
        look(other);
      }
    }
  }
}

function bucketOf(triple: number): number {
  return Math.imul(triple, 0x9e3779b1) >>> 10;
}
