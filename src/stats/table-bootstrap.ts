import type { Estimate } from "./estimate.ts";
import { quantile } from "./quantile.ts";
import { createRandom, type Random } from "./random.ts";

/*
 * Intervals of figures of two lists of scores. The usual intervals are too narrow where scores have few values, or mostly agree:
 * they take combinations that were not observed for impossible. A smoothed bootstrap (Rubin 1981, with a prior as in Agresti
 * and Min 2005) draws tables of both lists' values instead, in which every combination has some chance.
 */

/** A table of probabilities by [value of one list][value of the other]; sums to 1. */
export type Table = readonly (readonly number[])[];

/** The most rows or columns of a table. Lists with more different values are put into this many groups. */
export const mostLevels = 15;
const draws = 1_000;
const leastVariance = 1e-12; // less is rounding
const smallSample = 100; // rows: with this many the interval is one of 97.5 %, since they give the table's levels too

export interface TableOptions {
  /** The exact figures. Default: computed from the table, which is less exact if its values are grouped. */
  readonly values?: readonly number[] | undefined;
  /** All values that each list can have, ascending. Default: those that it has. */
  readonly levels?: readonly [readonly number[], readonly number[]] | undefined;
  /** How many positions are independent of each other. Default: all. */
  readonly independent?: number | undefined;
  readonly seed?: number | undefined;
}

/**
 * Figures of two lists, paired by position, with 95 % intervals.
 *
 * @param measure computes the figures from a table; NaN for a figure that is undefined there
 */
export function tableIntervals(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  measure: (table: Table, levels: readonly [readonly number[], readonly number[]]) => readonly number[],
  { values, levels: given, independent = a.length, seed = 42 }: TableOptions = {},
): Estimate[] {
  const [one, other] = [group(a, given?.[0]), group(b, given?.[1])];
  const counts = one.levels.map(() => other.levels.map(() => 0));
  const unit = a.length > 0 ? independent / a.length : 0;
  for (let i = 0; i < a.length; i++) counts[one.groups[i]!]![other.groups[i]!]! += unit;
  const levels = [one.levels, other.levels] as const;
  const seen = measure(normalise(counts), levels);
  const figures = values ?? seen;
  const prior = smooth(counts, independent);
  const random = createRandom(seed);
  const drawn = seen.map(() => new Float64Array(draws));
  for (let draw = 0; draw < draws; draw++) {
    const table = normalise(prior.map((row) => row.map((weight) => drawGamma(weight, random))));
    for (const [figure, value] of measure(table, levels).entries()) drawn[figure]![draw] = value;
  }
  const alpha = (0.05 * independent) / (independent + smallSample);
  return figures.map((value, figure) => {
    const sorted = drawn[figure]!.filter((x) => !Number.isNaN(x)).sort();
    if (sorted.length === 0) return { value, low: -1, high: 1 }; // a list without any spread
    const shift = Number.isNaN(value) || Number.isNaN(seen[figure]!) ? 0 : value - seen[figure]!;
    const bounded = (x: number) => Math.max(-1, Math.min(1, x + shift));
    const [low, high] = [bounded(quantile(sorted, alpha / 2)), bounded(quantile(sorted, 1 - alpha / 2))];
    return Number.isNaN(value)
      ? { value, low, high }
      : { value, low: Math.min(value, low), high: Math.max(value, high) };
  });
}

/** Which of at most fifteen groups each value belongs to, and the groups' mean values, ascending. */
function group(
  values: ArrayLike<number>,
  given?: readonly number[],
): {
  readonly groups: Uint8Array;
  readonly levels: readonly number[];
} {
  if (given)
    return { groups: Uint8Array.from({ length: values.length }, (_, i) => given.indexOf(values[i]!)), levels: given };
  const different = [...new Set(Array.from(values))].sort((x, y) => x - y);
  const groupOf = new Map<number, number>();
  if (different.length <= mostLevels) for (const [i, value] of different.entries()) groupOf.set(value, i);
  else {
    const counts = new Map<number, number>();
    for (let i = 0; i < values.length; i++) counts.set(values[i]!, (counts.get(values[i]!) ?? 0) + 1);
    let before = 0;
    let next = -1;
    let last = -1;
    for (const value of different) {
      const slot = Math.floor((mostLevels * (before + counts.get(value)! / 2)) / values.length); // by the middle of its ranks
      if (slot !== last) next++;
      last = slot;
      groupOf.set(value, next);
      before += counts.get(value)!;
    }
  }
  const groups = Uint8Array.from({ length: values.length }, (_, i) => groupOf.get(values[i]!)!);
  const sums = Array.from({ length: Math.max(0, ...groupOf.values()) + 1 }, () => [0, 0] as [number, number]);
  for (let i = 0; i < values.length; i++) {
    sums[groups[i]!]![0] += values[i]!;
    sums[groups[i]!]![1]++;
  }
  return { groups, levels: sums.map(([sum, count]) => sum / count) };
}

/** Adds a prior to counts: one row as if the lists were independent, and 0.5 / (length of the longer side) in each cell. */
function smooth(counts: Table, total: number): number[][] {
  const width = counts[0]?.length ?? 0;
  const shareOf = (count: number, levels: number) => (count + 0.5) / (total + 0.5 * levels);
  const rows = counts.map((row) =>
    shareOf(
      row.reduce((sum, x) => sum + x, 0),
      counts.length,
    ),
  );
  const columns = Array.from({ length: width }, (_, j) =>
    shareOf(
      counts.reduce((sum, row) => sum + row[j]!, 0),
      width,
    ),
  );
  const evenly = 0.5 / Math.max(counts.length, width);
  return counts.map((row, i) => row.map((count, j) => count + rows[i]! * columns[j]! + evenly));
}

function normalise(table: Table): number[][] {
  const total = table.reduce((sum, row) => sum + row.reduce((all, x) => all + x, 0), 0);
  return table.map((row) => row.map((x) => x / total));
}

/** A draw of the gamma distribution with scale 1 (Marsaglia and Tsang 2000). */
function drawGamma(shape: number, random: Random): number {
  if (shape < 1) return drawGamma(shape + 1, random) * (1 - random()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Sums over the rows and the columns of a table. */
export function margins(table: Table): readonly [rows: number[], columns: number[]] {
  return [
    table.map((row) => row.reduce((sum, x) => sum + x, 0)),
    Array.from({ length: table[0]?.length ?? 0 }, (_, j) => table.reduce((sum, row) => sum + row[j]!, 0)),
  ];
}

/** Pearson's correlation of a table whose rows and columns have values; NaN without spread. */
export function tableCorrelation(table: Table, rowValues: readonly number[], columnValues: readonly number[]): number {
  const [rows, columns] = margins(table);
  const mean = (shares: readonly number[], values: readonly number[]) =>
    shares.reduce((sum, share, i) => sum + share * values[i]!, 0);
  const [meanA, meanB] = [mean(rows, rowValues), mean(columns, columnValues)];
  const varianceA = rows.reduce((sum, share, i) => sum + share * (rowValues[i]! - meanA) ** 2, 0);
  const varianceB = columns.reduce((sum, share, j) => sum + share * (columnValues[j]! - meanB) ** 2, 0);
  let covariance = 0;
  for (const [i, row] of table.entries())
    for (const [j, share] of row.entries()) covariance += share * (rowValues[i]! - meanA) * (columnValues[j]! - meanB);
  return varianceA > leastVariance && varianceB > leastVariance ? covariance / Math.sqrt(varianceA * varianceB) : NaN;
}

/** The mid-ranks of a table's rows or columns, as shares: all that lies below, plus half of the own share. */
export function middleRanks(shares: readonly number[]): number[] {
  let below = 0;
  return shares.map((share) => {
    below += share;
    return below - share / 2;
  });
}
