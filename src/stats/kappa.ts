import type { Estimate } from "./agreement.ts";

/**
 * Cohen's kappa: how far two judges agree beyond chance, 1 for always, 0 for as often as chance would have it. NaN when
 * both always say the same one thing.
 *
 * @param weights how often each position counts
 */
export function cohensKappa(a: readonly string[], b: readonly string[], weights?: ArrayLike<number>): number {
  const countsA = new Map<string, number>();
  const countsB = new Map<string, number>();
  let total = 0;
  let agreed = 0;
  for (const [i, said] of a.entries()) {
    const weight = weights ? weights[i]! : 1;
    total += weight;
    if (said === b[i]) agreed += weight;
    countsA.set(said, (countsA.get(said) ?? 0) + weight);
    countsB.set(b[i]!, (countsB.get(b[i]!) ?? 0) + weight);
  }
  let chance = 0;
  for (const [said, count] of countsA) chance += (count * (countsB.get(said) ?? 0)) / total ** 2;
  return chance < 1 ? (agreed / total - chance) / (1 - chance) : NaN;
}

const leastPairs = 10; // for an interval

/**
 * Cohen's kappa with quadratic weights (Cohen 1968): agreement of two lists of scores beyond chance, where a disagreement
 * counts by the square of its distance. For scores on a line it is 1 - E(a - b)² / (E(a - b)² if they were independent),
 * which is Lin's coefficient of concordance. With its 95 % interval by the delta method, which says nothing under ten pairs;
 * NaN where neither list has any spread.
 */
export function weightedKappa(a: ArrayLike<number>, b: ArrayLike<number>): Estimate {
  const n = a.length;
  let [centre, square] = [0, 0];
  for (let i = 0; i < n; i++) centre += (a[i]! + b[i]!) / (2 * n);
  for (let i = 0; i < n; i++) square += ((a[i]! - centre) ** 2 + (b[i]! - centre) ** 2) / (2 * n);
  const unit = Math.sqrt(square) || 1; // kappa is the same in any unit, the arithmetic is not
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
  const margin = 1.959964 * Math.sqrt(variance / n);
  return { value, low: Math.max(-1, value - margin), high: Math.min(1, value + margin) };
}

function kappaOfMoments([meanA, meanB, squareA, squareB, product]: readonly number[]): number {
  const apart = squareA! + squareB! - 2 * product!;
  const byChance = squareA! + squareB! - 2 * meanA! * meanB!;
  return byChance > 0 ? 1 - apart / byChance : NaN;
}
