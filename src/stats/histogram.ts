/** Counts of scores, by score. */
export type ScoreCounts = ReadonlyMap<number, number>;

/** One bar: scores in [from, to), the last bar's `to` included; where `from` equals `to`, exactly that score. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

const mostSingleValues = 13; // a 0 to 5 scale in halves, or 0 to 10 in whole numbers, is shown value by value
const wantedBins = 20;

/** Ascending bins. Few different scores get a bin each; many are put into about twenty bins of a round width. */
export function histogram(counts: ScoreCounts): Bin[] {
  const values = [...counts.keys()].sort((a, b) => a - b);
  if (values.length <= mostSingleValues)
    return values.map((value) => ({ from: value, to: value, count: counts.get(value)! }));
  const width = stepOf(values[0]!, values.at(-1)!);
  const start = Math.floor(values[0]! / width + 1e-9);
  const end = Math.floor(values.at(-1)! / width + 1e-9);
  const bins = Array.from({ length: end - start + 1 }, () => 0);
  for (const [value, count] of counts) bins[Math.floor(value / width + 1e-9) - start]! += count;
  return bins.map((count, i) => ({ from: tidy((start + i) * width), to: tidy((start + i + 1) * width), count }));
}

/** The histogram of many different scores, without counting each score first. NaN is ignored. */
function histogramOfMany(scores: Float64Array): Bin[] {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const score of scores) {
    if (score < lowest) lowest = score;
    if (score > highest) highest = score;
  }
  const width = stepOf(lowest, highest);
  const numberOf = (score: number) => Math.floor(score / width + 1e-9);
  const start = numberOf(lowest);
  const counts = Array.from({ length: numberOf(highest) - start + 1 }, () => 0);
  for (const score of scores) if (!Number.isNaN(score)) counts[numberOf(score) - start]!++;
  return counts.map((count, i) => ({ from: tidy((start + i) * width), to: tidy((start + i + 1) * width), count }));
}

const maxDistinctScores = 20_000; // counted one by one; if there are more, they are counted by bin

/** The histogram of scores, of few different ones or many. NaN is ignored. */
export function histogramOf(scores: Float64Array): readonly Bin[] {
  const counts = new Map<number, number>();
  for (const score of scores) {
    if (Number.isNaN(score)) continue;
    counts.set(score, (counts.get(score) ?? 0) + 1);
    if (counts.size > maxDistinctScores) return histogramOfMany(scores);
  }
  return histogram(counts);
}

/** The score that most rows have, and their share; undefined without any scores. */
export function commonestScore(counts: ScoreCounts): { score: number; share: number } | undefined {
  let total = 0;
  let best: [number, number] | undefined;
  for (const entry of counts) {
    total += entry[1];
    if (!best || entry[1] > best[1]) best = entry;
  }
  return best && { score: best[0], share: best[1] / total };
}

/** The smallest of 1, 2, 2.5 or 5 times a power of ten that is at least `step`. */
export function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= step * (1 - 1e-9))!;
  return factor * power;
}

/** The width of bins; those of scores that differ in their last digits alone are as wide as can be told apart. */
function stepOf(lowest: number, highest: number): number {
  const finest = Math.max(Math.abs(lowest), Math.abs(highest)) * 1e-10;
  return roundStep(Math.max((highest - lowest) / wantedBins, finest));
}

/** Removes floating-point noise: 0.30000000000000004 becomes 0.3. */
export function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

/** A histogram on one line, for an error message: `0: 12, 0.5: 3, 1 to 2: 40`. */
export function renderHistogram(bins: readonly Bin[]): string {
  return bins
    .filter(({ count }) => count > 0)
    .map(({ from, to, count }) => `${from === to ? from : `${from} to ${to}`}: ${count}`)
    .join(", ");
}
