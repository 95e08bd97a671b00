import type { LearningCheck } from "./duplicates.ts";
import { hashWord, wordsOf } from "./words.ts";

const bucketCount = 2 ** 18;
const commonShare = 0.1; // of the rows; words in more rows than this say little about a row's topic

/**
 * Rejects rows that lie closer than `distance` to a kept row: the rule of DEITA (Liu et al. 2024, "score first, then
 * distance"). The distance is 1 - cosine of TF-IDF vectors, which needs no embedding model. A word counts once per row;
 * words in more than a tenth of the rows count only in rows that have no others.
 *
 * @param distance above 0, at most 1; 1 keeps only rows that share no counted word
 */
export function diversity(distance: number): LearningCheck {
  const rows = new Map<number, Int32Array>();
  const frequency = new Uint32Array(bucketCount);
  const postings = new Map<number, { rows: number[]; weights: number[] }>();
  let learnt = 0;

  return {
    learn(row, { instruction, input, output }) {
      const buckets = new Set(
        wordsOf(`${instruction}\n${input}\n${output}`).map((word) => hashWord(word) % bucketCount),
      );
      for (const bucket of buckets) frequency[bucket]!++;
      rows.set(row, Int32Array.from(buckets));
      learnt++;
    },
    reject(row) {
      const similarities = new Map<number, number>();
      for (const [bucket, weight] of vectorOf(row)) {
        const posting = postings.get(bucket);
        if (!posting) continue;
        for (let i = 0; i < posting.rows.length; i++) {
          similarities.set(posting.rows[i]!, (similarities.get(posting.rows[i]!) ?? 0) + weight * posting.weights[i]!);
        }
      }
      let of = -1;
      let nearest = 0;
      for (const [other, similarity] of similarities) if (similarity > nearest) [of, nearest] = [other, similarity];
      if (of < 0 || 1 - nearest >= distance) return undefined;
      return { reason: "too close", detail: { of, similarity: Math.round(nearest * 1000) / 1000 } };
    },
    keep(row) {
      for (const [bucket, weight] of vectorOf(row)) {
        let posting = postings.get(bucket);
        if (!posting) postings.set(bucket, (posting = { rows: [], weights: [] }));
        posting.rows.push(row);
        posting.weights.push(weight);
      }
    },
  };

  /** The row's TF-IDF vector, scaled to length 1. */
  function vectorOf(row: number): [bucket: number, weight: number][] {
    const buckets = rows.get(row)!;
    const informative = buckets.filter((bucket) => frequency[bucket]! <= commonShare * learnt);
    const vector: [number, number][] = [];
    let squares = 0;
    for (const bucket of informative.length > 0 ? informative : buckets) {
      const weight = Math.log(learnt / frequency[bucket]!) + 1;
      vector.push([bucket, weight]);
      squares += weight * weight;
    }
    for (const entry of vector) entry[1] /= Math.sqrt(squares);
    return vector;
  }
}
