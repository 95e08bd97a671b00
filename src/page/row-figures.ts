import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../dataset/dataset.ts";
import { AlpagasusError, UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { rateAll } from "../judge/rate-all.ts";
import { toAgreementRecord } from "../run/estimate-record.ts";
import type { RatingLine } from "../run/ratings-file.ts";
import { measureAgreement, rank } from "../stats/agreement.ts";
import { type Bin, histogramOf } from "../stats/histogram.ts";
import type { ArmOverlap, ReferenceReport, ScoreAgreement, ThresholdTable } from "./contract.ts";
import { batchesPerTurn } from "./in-turn.ts";

/** Figures computed while reading all rows. */
export interface RowFigures {
  readonly thresholds: ThresholdTable;
  readonly references: readonly ReferenceReport[];
  readonly agreements: readonly ScoreAgreement[];
  readonly overlaps: readonly ArmOverlap[];
  /** Histogram of the run's own scores. */
  readonly histogram: readonly Bin[];
  readonly states: Readonly<Record<string, number>>;
  readonly mean: number | null;
  /** What else could not be read, and why. */
  readonly problems: readonly string[];
}

const maxAgreementRows = 1_000_000; // most rows that agreement is measured on; larger data are thinned evenly

export async function readScores(
  lines: AsyncIterable<readonly RatingLine[]>,
  signal: AbortSignal,
): Promise<Float64Array> {
  const parts: Float64Array[] = [];
  for await (const batch of lines) {
    signal.throwIfAborted();
    if (parts.length % batchesPerTurn === 0) await setImmediate();
    parts.push(Float64Array.from(batch, (rating) => (rating.state === "scored" ? rating.score : NaN)));
  }
  const scores = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    scores.set(part, at);
    at += part.length;
  }
  return scores;
}

/** The judge's score of each row, NaN if none. @throws UsageError if its scores do not fit the data */
export async function rateWith(
  judge: Judge,
  dataset: Dataset,
  rows: number,
  signal: AbortSignal,
): Promise<Float64Array> {
  const scores = new Float64Array(rows).fill(NaN);
  let row = 0;
  try {
    for await (const ratings of rateAll(judge, dataset.batches())) {
      signal.throwIfAborted();
      for (const rating of ratings) {
        if (rating.state === "scored") scores[row] = rating.score;
        row++;
      }
    }
  } catch (cause) {
    if (!(cause instanceof AlpagasusError)) throw cause;
    throw new UsageError(`--against ${judge.name}: its scores do not match this run's data: ${cause.message}`, {
      cause,
    });
  }
  return scores;
}

/** Distance between two judges' ranks of each row, as a share of the rows both scored; NaN if either has no score. */
export function measureDisagreement(own: Float64Array, other: Float64Array): Float64Array {
  const rows = bothScored(own, other);
  const ranks = [own, other].map((scores) => rank(Float64Array.from(rows, (row) => scores[row]!)));
  const far = new Float64Array(own.length).fill(NaN);
  rows.forEach((row, i) => (far[row] = Math.abs(ranks[0]![i]! - ranks[1]![i]!) / rows.length));
  return far;
}

function bothScored(own: Float64Array, other: Float64Array): Uint32Array {
  const rows = new Uint32Array(own.length);
  let count = 0;
  own.forEach((score, row) => {
    if (!Number.isNaN(score) && !Number.isNaN(other[row]!)) rows[count++] = row;
  });
  return rows.subarray(0, count);
}

export function meanOf(scores: Float64Array): number | null {
  let [sum, count] = [0, 0];
  for (const score of scores) {
    if (Number.isNaN(score)) continue;
    sum += score;
    count++;
  }
  return count > 0 ? sum / count : null;
}

export function describeReference(
  { name }: Judge,
  own: Float64Array,
  ownBins: readonly Bin[],
  reference: Float64Array,
): ReferenceReport {
  const rows = bothScored(own, reference);
  const [ownScores, referenceScores] = [own, reference].map((scores) =>
    Float64Array.from(rows, (row) => scores[row]!),
  ) as [Float64Array, Float64Array]; // map keeps the length
  const bins = histogramOf(reference);
  const counts = bins.map(() => ownBins.map(() => 0));
  if (ownBins.length > 0)
    ownScores.forEach((score, i) => counts[binOf(bins, referenceScores[i]!)]![binOf(ownBins, score)]!++);
  return {
    name,
    scored: reference.reduce((sum, score) => sum + (Number.isNaN(score) ? 0 : 1), 0),
    mean: meanOf(reference),
    histogram: bins,
    agreement: toAgreementRecord(name, measureAgreement(thin(ownScores), thin(referenceScores))),
    grid: { own: ownBins, reference: bins, counts },
  };
}

/** Thins many scores, since sorting all would take too long: keeps every second, third, … of them. */
function thin(scores: Float64Array): Float64Array {
  const step = Math.ceil(scores.length / maxAgreementRows);
  return step <= 1 ? scores : scores.filter((_, i) => i % step === 0);
}

/** Index of the last bin that begins at or below the score. */
function binOf(bins: readonly Bin[], score: number): number {
  let i = bins.length - 1;
  while (i > 0 && bins[i]!.from > score + 1e-9) i--;
  return i;
}
