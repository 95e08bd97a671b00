import type { Estimate } from "./estimate.ts";
import { z975 } from "./distributions.ts";
import { margins, mostLevels, tableIntervals, type Table } from "./table-bootstrap.ts";

/**
 * Cohen's kappa: how far two judges agree beyond chance. 1 is full agreement, 0 is as much as by chance. NaN when both
 * always give one and the same label.
 */
export function cohensKappa(a: readonly string[], b: readonly string[]): number {
  const countsA = new Map<string, number>();
  const countsB = new Map<string, number>();
  let total = 0;
  let agreed = 0;
  for (const [i, said] of a.entries()) {
    total++;
    if (said === b[i]) agreed++;
    countsA.set(said, (countsA.get(said) ?? 0) + 1);
    countsB.set(b[i]!, (countsB.get(b[i]!) ?? 0) + 1);
  }
  let chance = 0;
  for (const [said, count] of countsA) chance += (count * (countsB.get(said) ?? 0)) / total ** 2;
  return chance < 1 ? (agreed / total - chance) / (1 - chance) : NaN;
}

/** Cohen's kappa of a table whose rows and columns are the same categories. */
export function tableKappa(table: Table): number {
  const [rows, columns] = margins(table);
  const agreed = table.reduce((sum, row, i) => sum + row[i]!, 0);
  const chance = rows.reduce((sum, share, i) => sum + share * columns[i]!, 0);
  return chance < 1 ? (agreed - chance) / (1 - chance) : NaN;
}

const leastVariance = 1e-12; // less is rounding
const leastPairs = 10; // for an interval

/**
 * Cohen's kappa with quadratic weights (Cohen 1968): agreement of two lists of scores beyond chance, where a disagreement
 * counts by the square of its distance. For scores on a line it is 1 - E(a - b)² / (E(a - b)² if they were independent),
 * which is Lin's coefficient of concordance. Its 95 % interval covers that of the delta method and that of the smoothed bootstrap: the first
 * alone takes disagreements that were not seen for impossible. Under ten pairs it is [-1, 1]. NaN when all scores are equal.
 */
export function weightedKappa(a: ArrayLike<number>, b: ArrayLike<number>): Estimate {
  const n = a.length;
  let [centre, square] = [0, 0];
  for (let i = 0; i < n; i++) centre += (a[i]! + b[i]!) / (2 * n);
  for (let i = 0; i < n; i++) square += ((a[i]! - centre) ** 2 + (b[i]! - centre) ** 2) / (2 * n);
  const unit = Math.sqrt(square) || 1; // kappa does not depend on the unit, but rounding does
  const moments = (i: number) => {
    const [x, y] = [(a[i]! - centre) / unit, (b[i]! - centre) / unit];
    return [x, y, x ** 2, y ** 2, x * y] as const;
  };
  const mean = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) for (const [m, value] of moments(i).entries()) mean[m]! += value / n;
  const value = kappaOfMoments(mean);
  const gradient = mean.map((_, m) => {
    const step = 1e-5 * Math.max(1, Math.abs(mean[m]!));
    const moved = (by: number) => kappaOfMoments(mean.map((one, k) => (k === m ? one + by : one)));
    return (moved(step) - moved(-step)) / (2 * step);
  });
  let variance = 0;
  for (let i = 0; i < n; i++) {
    const influence = moments(i).reduce((sum, moment, m) => sum + gradient[m]! * (moment - mean[m]!), 0);
    variance += influence ** 2 / n;
  }
  if (n < leastPairs) return { value, low: -1, high: 1 };
  const margin = z975 * Math.sqrt(variance / n);
  const plain = { value, low: Math.max(-1, value - margin), high: Math.min(1, value + margin) };
  const scale = [...new Set([...Array.from(a), ...Array.from(b)])].sort((x, y) => x - y); // both may give what one has given
  const levels = scale.length <= mostLevels ? { levels: [scale, scale] as const } : {};
  const [smoothed] = tableIntervals(a, b, weightedTableKappa, { values: [value], ...levels });
  if (Number.isNaN(plain.low)) return smoothed!;
  return { value, low: Math.min(plain.low, smoothed!.low), high: Math.max(plain.high, smoothed!.high) };
}

function kappaOfMoments([meanA, meanB, squareA, squareB, product]: readonly number[]): number {
  const apart = squareA! + squareB! - 2 * product!;
  const byChance = squareA! + squareB! - 2 * meanA! * meanB!;
  return byChance > leastVariance ? 1 - apart / byChance : NaN;
}

function weightedTableKappa(
  table: Table,
  [valuesA, valuesB]: readonly [readonly number[], readonly number[]],
): number[] {
  const [rows, columns] = margins(table);
  const mean = (shares: readonly number[], of: (i: number) => number) =>
    shares.reduce((sum, share, i) => sum + share * of(i), 0);
  const product = table.reduce((sum, row, i) => sum + valuesA[i]! * mean(row, (j) => valuesB[j]!), 0);
  return [
    kappaOfMoments([
      mean(rows, (i) => valuesA[i]!),
      mean(columns, (j) => valuesB[j]!),
      mean(rows, (i) => valuesA[i]! ** 2),
      mean(columns, (j) => valuesB[j]! ** 2),
      product,
    ]),
  ];
}
