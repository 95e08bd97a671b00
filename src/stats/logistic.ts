/*
 * Logistic regression with a normal prior, by Newton's method: fast enough to fit again after every round of questions.
 */

import { cholesky, solve } from "./linear.ts";

/** The most probable weights (maximum a posteriori). */
export interface LogisticFit {
  readonly weights: Float64Array;
  /** The log evidence of the labels under the priors (Laplace's approximation), for choosing among priors. */
  readonly evidence: number;
}

export interface Prior {
  readonly mean: number;
  /** One over the variance. */
  readonly precision: number;
}

const steps = 12;
const tolerance = 1e-4; // stop when no weight would move by more

/**
 * Fits weights to labels.
 *
 * @param features [row, weight]
 * @param rows which rows have a label
 * @param labels by row: 1 or 0
 * @param priors a normal prior for each weight
 * @param start initial weights, such as those of an earlier fit
 */
export function fitLogistic(
  features: Float32Array,
  rows: ArrayLike<number>,
  labels: ArrayLike<number>,
  priors: readonly Prior[],
  start?: Float64Array,
): LogisticFit {
  const size = priors.length;
  const weights = start?.slice() ?? Float64Array.from(priors, ({ mean }) => mean);
  let hessian = new Float64Array(size * size);
  for (let step = 0; step < steps; step++) {
    const gradient = Float64Array.from(priors, ({ mean, precision }, w) => precision * (weights[w]! - mean));
    hessian = new Float64Array(size * size);
    for (const [w, { precision }] of priors.entries()) hessian[w * size + w] = precision;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const p = probability(features, row, weights);
      const error = p - labels[row]!;
      const curvature = p * (1 - p);
      const at = row * size;
      for (let a = 0; a < size; a++) {
        gradient[a]! += error * features[at + a]!;
        const scaled = curvature * features[at + a]!;
        for (let b = 0; b <= a; b++) hessian[a * size + b]! += scaled * features[at + b]!;
      }
    }
    const factor = cholesky(hessian, size);
    const move = solve(factor, gradient, size);
    const longest = Math.max(...move.map(Math.abs));
    const share = Math.min(1, 2 / Math.max(longest, 1e-12)); // limits the step, as a full one may overshoot
    for (let w = 0; w < size; w++) weights[w]! -= share * move[w]!;
    if (longest < tolerance) break;
  }
  const factor = cholesky(hessian, size);
  let evidence = 0;
  for (let i = 0; i < rows.length; i++) {
    const p = probability(features, rows[i]!, weights);
    evidence += Math.log(Math.max(1e-12, labels[rows[i]!] ? p : 1 - p));
  }
  for (const [w, { mean, precision }] of priors.entries())
    evidence += 0.5 * (Math.log(precision) - precision * (weights[w]! - mean) ** 2) - Math.log(factor[w * size + w]!);
  return { weights, evidence };
}

/** The probability that a row's label is 1. */
export function probability(features: Float32Array, row: number, weights: Float64Array): number {
  let sum = 0;
  for (let w = 0, at = row * weights.length; w < weights.length; w++, at++) sum += weights[w]! * features[at]!;
  return 1 / (1 + Math.exp(-sum));
}
