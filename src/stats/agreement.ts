import { z975 } from "./distributions.ts";
import type { Estimate } from "./estimate.ts";
import { type Table, margins, mostLevels, middleRanks, tableCorrelation, tableIntervals } from "./table-bootstrap.ts";

/*
 * How far two lists of scores agree. Pure functions on arrays of equal length, position by position.
 */

/** Ranks from 1 in ascending order; equal values share the mean of their ranks. */
export function rank(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

/** Pearson's correlation; NaN when a list has no spread. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  if (isConstant(a) || isConstant(b)) return NaN; // rounding may leave some spread
  let sumA = 0;
  let sumB = 0;
  for (let i = 0; i < n; i++) {
    sumA += a[i]!;
    sumB += b[i]!;
  }
  let products = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < n; i++) {
    const x = a[i]! - sumA / n;
    const y = b[i]! - sumB / n;
    products += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return squaresA > 0 && squaresB > 0 ? products / Math.sqrt(squaresA * squaresB) : NaN;
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}

/**
 * Spearman's rank correlation with its 95 % interval. Scores with few values: by the smoothed bootstrap. Others: by Fisher's transformation, with
 * the larger of two variances: that of Bonett and Wright (2000), (1 + r²/2) / (n - 3), which is for normal distributions, and that of the
 * influence of each pair, which is also for judges that mostly say the same and sometimes something else. Under four pairs the interval is
 * all of [-1, 1].
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): Estimate {
  const n = a.length;
  const [one, other] = [rank(a), rank(b)];
  const value = pearson(one, other);
  if (n < 4) return { value, low: -1, high: 1 };
  const isFine = [a, b].every((values) => countDifferent(values) > Math.min(mostLevels, n / 2));
  const byInfluence = ((1 + rareDisagreements / n) * rankVariance(one, other, value)) / (n * (1 - value ** 2) ** 2);
  const variance = Math.max((1 + value ** 2 / 2) / (n - 3), byInfluence);
  const margin = z975 * Math.sqrt(variance);
  const low = Math.tanh(Math.atanh(value) - margin);
  const high = Math.tanh(Math.atanh(value) + margin);
  if (isFine && n > mostLevels && Math.abs(value) < 1) return { value, low, high };
  const measure = (table: Table) => {
    const [rows, columns] = margins(table);
    return [tableCorrelation(table, middleRanks(rows), middleRanks(columns))];
  };
  const [smoothed] = tableIntervals(a, b, measure, { values: [value] });
  if (!(Math.abs(value) < 1)) return smoothed!;
  return { value, low: Math.min(low, smoothed!.low), high: Math.max(high, smoothed!.high) }; // too few, or too many ties, for either alone
}

const rareDisagreements = 30; // few rows hold few of them, and the variance with them; found by simulation, as its test

function countDifferent(values: ArrayLike<number>): number {
  return new Set(Array.from(values)).size;
}

/**
 * The variance of each pair's influence on the correlation of ranks (Hampel 1974). Where values tie, ranks vary less: by (1 - Σp³)/12, with p the
 * share of each value.
 */
function rankVariance(one: Float64Array, other: Float64Array, correlation: number): number {
  const n = one.length;
  const share = (place: number) => (place - 0.5) / n - 0.5;
  /** For each pair, how far the other list lies above its middle among the pairs that are above it in this list, and half of those beside it. */
  const above = (of: Float64Array, by: Float64Array): Float64Array => {
    const order = Uint32Array.from({ length: n }, (_, i) => i).sort((i, j) => of[j]! - of[i]!);
    const sums = new Float64Array(n);
    let sum = 0;
    for (let start = 0; start < n;) {
      let end = start;
      let beside = 0;
      for (; end < n && of[order[end]!] === of[order[start]!]; end++) beside += share(by[order[end]!]!);
      for (let k = start; k < end; k++) sums[order[k]!] = (sum + beside / 2) / n;
      sum += beside;
      start = end;
    }
    return sums;
  };
  /** The square of the share of each row's value: its mean over rows is Σp³. */
  const tied = (of: Float64Array): Float64Array => {
    const counts = new Map<number, number>();
    for (const place of of) counts.set(place, (counts.get(place) ?? 0) + 1);
    return of.map((place) => (counts.get(place)! / n) ** 2);
  };
  const [fromOne, fromOther, tiedOne, tiedOther] = [above(one, other), above(other, one), tied(one), tied(other)];
  const spread = (squares: Float64Array) => (1 - squares.reduce((sum, x) => sum + x, 0) / n) / 12;
  const [spreadOne, spreadOther] = [spread(tiedOne), spread(tiedOther)];
  const influence = Float64Array.from(
    one,
    (place, i) =>
      (share(place) * share(other[i]!) + fromOne[i]! + fromOther[i]!) / Math.sqrt(spreadOne * spreadOther) +
      (correlation / 8) * (tiedOne[i]! / spreadOne + tiedOther[i]! / spreadOther),
  );
  const mean = influence.reduce((sum, x) => sum + x, 0) / n;
  return influence.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
}

/**
 * Area under the ROC curve: the chance that a random positive scores above a random negative, ties counted half.
 * NaN when there are no positives or no negatives.
 */
export function areaUnderCurve(scores: ArrayLike<number>, isPositive: ArrayLike<number | boolean>): number {
  const ranks = rank(scores);
  let positives = 0;
  let sum = 0;
  for (let i = 0; i < ranks.length; i++) {
    if (!isPositive[i]) continue;
    positives++;
    sum += ranks[i]!;
  }
  const negatives = ranks.length - positives;
  return positives && negatives ? (sum - (positives * (positives + 1)) / 2) / (positives * negatives) : NaN;
}

/** The share of positives among the `count` highest scores. If the cut falls within a tie, the tie's own share counts. */
export function precisionAtTop(
  scores: ArrayLike<number>,
  isPositive: ArrayLike<number | boolean>,
  count: number,
): number {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let taken = 0;
  let hits = 0;
  while (taken < count && taken < order.length) {
    let end = taken;
    let positives = 0;
    while (end < order.length && scores[order[end]!] === scores[order[taken]!])
      positives += isPositive[order[end++]!] ? 1 : 0;
    const room = Math.min(end, count) - taken;
    hits += (positives * room) / (end - taken);
    taken += room;
    if (taken < end) break;
  }
  return taken ? hits / taken : NaN;
}

/**
 * Expected calibration error: the mean distance between claimed probability and observed frequency over ten bins of
 * equal width, weighted by their rows (Guo et al. 2017).
 */
export function calibrationError(probabilities: ArrayLike<number>, happened: ArrayLike<number | boolean>): number {
  const bins = Array.from({ length: 10 }, () => ({ rows: 0, claimed: 0, observed: 0 }));
  for (let i = 0; i < probabilities.length; i++) {
    const bin = bins[Math.min(9, Math.floor(probabilities[i]! * 10))]!;
    bin.rows++;
    bin.claimed += probabilities[i]!;
    bin.observed += happened[i] ? 1 : 0;
  }
  return bins.reduce((sum, bin) => sum + Math.abs(bin.claimed - bin.observed), 0) / probabilities.length;
}

/** How well one judge's scores find the rows that a reference scores at or above a threshold. */
export interface ThresholdAgreement {
  readonly threshold: number;
  /** Rows that the reference scores at or above the threshold, and their share: the precision of random picking. */
  readonly rows: number;
  readonly share: number;
  /** Area under the ROC curve. */
  readonly auc: number;
  /** Of the same number of rows with the judge's highest scores, the share that the reference has at or above the threshold. */
  readonly precision: number;
}

export interface Agreement {
  readonly rows: number;
  readonly spearman: Estimate;
  readonly thresholds: readonly ThresholdAgreement[];
}

const mostThresholds = 12;
const fewestRows = 5; // on either side of a threshold

/** Agreement of scores with a reference: rank correlation, and for each score the reference gave, the rows at or above it. */
export function measureAgreement(scores: ArrayLike<number>, reference: ArrayLike<number>): Agreement {
  const sorted = Float64Array.from(reference).sort();
  const levels: number[] = [];
  for (let below = 0; below < sorted.length; below++)
    // how many rows are below the level that begins here
    if (below >= fewestRows && sorted.length - below >= fewestRows && sorted[below] !== sorted[below - 1])
      levels.push(sorted[below]!); // of fewer rows on a side, no figure says anything
  const stride = Math.ceil(levels.length / mostThresholds);
  const thresholds = levels
    .filter((_, i) => i % stride === 0)
    .map((threshold) => {
      const positive = Uint8Array.from(reference, (value) => (value >= threshold ? 1 : 0));
      const rows = positive.reduce((sum, is) => sum + is, 0);
      return {
        threshold,
        rows,
        share: rows / reference.length,
        auc: areaUnderCurve(scores, positive),
        precision: precisionAtTop(scores, positive, rows),
      };
    });
  return { rows: scores.length, spearman: spearman(scores, reference), thresholds };
}
