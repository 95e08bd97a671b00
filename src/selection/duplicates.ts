import { hash as digest } from "node:crypto";
import type { ExampleFields } from "../dataset/example.ts";
import { createRandom } from "../stats/random.ts";
import type { Check } from "./pick.ts";
import { hashWord, wordsOf } from "./words.ts";

/** A check that sees the candidate rows before picking begins. */
export interface LearningCheck extends Check {
  learn(row: number, example: ExampleFields): void;
}

/** Rejects rows whose instruction, input and output equal a kept row's, up to NFC form and surrounding white space. */
export function exactDuplicates(rowCount: number): LearningCheck {
  const keys = new Float64Array(rowCount);
  const kept = new Map<number, number>();
  return {
    learn(row, { instruction, input, output }) {
      const text = [instruction, input, output].map((field) => field.normalize("NFC").trim()).join("\0");
      keys[row] = Number.parseInt(digest("sha256", text).slice(0, 13), 16); // 52 bits: exact in a number, no clash in practice
    },
    reject(row) {
      const of = kept.get(keys[row]!);
      return of === undefined ? undefined : { reason: "duplicate", detail: { of } };
    },
    keep: (row) => void kept.set(keys[row]!, row),
  };
}

const shingleWords = 3;
const bands = 16;
const bandRows = 7; // 16 bands of 7: a pair of similarity .8 shares a band with probability .97, one of .5 with .12
const signatureSize = bands * bandRows;

/**
 * Rejects rows whose text nearly equals a kept row's: the Jaccard similarity of their word triples is at least `similarity`.
 * MinHash with 112 permutations and banding (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch. 3) finds candidate
 * pairs, which are then compared exactly. Takes 4 bytes per word triple and 64 bytes per row.
 */
export function nearDuplicates(similarity = 0.8): LearningCheck {
  const permutations = createPermutations();
  const known = new Map<number, { readonly shingles: Uint32Array; readonly keys: Uint32Array }>();
  const buckets = Array.from({ length: bands }, () => new Map<number, number[]>());
  return {
    learn(row, example) {
      const shingles = shinglesOf(example);
      const signature = minHashSignature(shingles, permutations);
      known.set(row, {
        shingles: Uint32Array.from(shingles).sort(),
        keys: Uint32Array.from({ length: bands }, (_, band) => bandKey(signature, band)),
      });
    },
    reject(row) {
      const { shingles, keys } = known.get(row)!;
      const compared = new Set<number>();
      let best: { of: number; similarity: number } | undefined;
      for (let band = 0; band < bands; band++) {
        for (const other of buckets[band]!.get(keys[band]!) ?? []) {
          if (compared.has(other)) continue;
          compared.add(other);
          const found = jaccard(shingles, known.get(other)!.shingles);
          if (found >= similarity && found > (best?.similarity ?? 0)) best = { of: other, similarity: found };
        }
      }
      return (
        best && {
          reason: "near duplicate",
          detail: { of: best.of, similarity: Math.round(best.similarity * 1000) / 1000 },
        }
      );
    },
    keep(row) {
      for (const [band, key] of known.get(row)!.keys.entries()) {
        const bucket = buckets[band]!.get(key);
        if (bucket) bucket.push(row);
        else buckets[band]!.set(key, [row]);
      }
    },
  };
}

/** Hashes of the distinct word triples. A text of fewer than three words gives one hash. */
function shinglesOf({ instruction, input, output }: ExampleFields): Set<number> {
  const text = `${instruction}\n${input}\n${output}`;
  const words = wordsOf(text).map(hashWord);
  if (words.length === 0) return new Set([hashWord(text)]);
  const shingles = new Set<number>();
  for (let i = 0; i + shingleWords <= Math.max(words.length, shingleWords); i++) {
    let hash = 0;
    for (const word of words.slice(i, i + shingleWords)) hash = Math.imul(hash, 0x01000193) ^ word;
    shingles.add(hash >>> 0);
  }
  return shingles;
}

function createPermutations(): { factors: Uint32Array; offsets: Uint32Array } {
  const random = createRandom(1); // fixed: signatures of the same text are the same everywhere
  const draw = () => Uint32Array.from({ length: signatureSize }, () => random() * 2 ** 32);
  return { factors: draw().map((factor) => factor | 1), offsets: draw() };
}

function minHashSignature(
  shingles: Set<number>,
  { factors, offsets }: { factors: Uint32Array; offsets: Uint32Array },
): Uint32Array {
  const signature = new Uint32Array(signatureSize).fill(2 ** 32 - 1);
  for (const shingle of shingles) {
    for (let p = 0; p < signatureSize; p++) {
      let hash = Math.imul(shingle ^ offsets[p]!, factors[p]!);
      hash = (hash ^ (hash >>> 15)) >>> 0;
      if (hash < signature[p]!) signature[p] = hash;
    }
  }
  return signature;
}

function bandKey(signature: Uint32Array, band: number): number {
  let key = band;
  for (let i = band * bandRows; i < (band + 1) * bandRows; i++)
    key = Math.imul(key ^ signature[i]!, 0x9e3779b1) ^ (key >>> 15);
  return key >>> 0;
}

/** Jaccard similarity of two ascending lists: the share of their distinct values that both contain (Jaccard 1901). */
function jaccard(a: Uint32Array, b: Uint32Array): number {
  let [i, j, shared] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      shared++;
      i++;
      j++;
    } else if (a[i]! < b[j]!) i++;
    else j++;
  }
  return shared / (a.length + b.length - shared);
}
