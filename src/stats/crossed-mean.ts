import type { Estimate } from "./estimate.ts";
import { normalQuantile, studentQuantile } from "./distributions.ts";

/*
 * Means over prompts and trainings: the value, its interval and its p-value, from one procedure.
 *
 * Prompts and trainings (seeds, each with its own control) are crossed sources of variance: every training answers the same
 * prompts. The statistic is the sum of value - mean over all observations; its variance is that of the sums by prompt plus
 * that of the sums by training (Cameron, Gelbach and Miller 2011; Miller 2024, arXiv 2411.00640, for evaluations of language
 * models). Few trainings give a poor estimate of their own variance. So each source has its own quantile: Student's t with
 * trainings - 1 degrees of freedom for trainings, the normal distribution for prompts. The squared margins are added (Banerjee
 * 1961, which holds for any mixture of the two). The interaction of prompts and trainings counts in both sums, so the
 * interval is rather wide.
 *
 * For prompts the test is a score test: it uses the variance that the tested mean implies, so that interval and p-value agree.
 * Without trainings and with outcomes of -1, 0 and 1 it is McNemar's test. Two extra prompts of mean size, one at each end of
 * the range, keep the interval open if all outcomes are equal (Agresti and Caffo 2000; Bonett and Price 2012 for paired
 * proportions).
 */

/** A figure with its 95 % interval, and the p-value of the null hypothesis: the middle of the range, or the tested ratio. */
export interface TestedEstimate extends Estimate {
  readonly pValue: number;
}

/** The prompt and the training of each observation, as numbers from 0. */
export interface Sources {
  readonly prompts: ArrayLike<number>;
  /** Default: all of one training. */
  readonly trainings?: ArrayLike<number> | undefined;
}

export interface CrossedMeanOptions {
  /** The lowest and the highest possible value; the p-value tests the middle between them. Default -1 to 1. */
  readonly range?: readonly [low: number, high: number] | undefined;
  /** The weights of the observations. Default: all equal. */
  readonly weights?: ArrayLike<number> | undefined;
}

/** The mean with its interval and p-value. Without observations, all is NaN and the p-value 1. */
export function crossedMean(
  values: ArrayLike<number>,
  sources: Sources,
  { range: [lowest, highest] = [-1, 1], weights }: CrossedMeanOptions = {},
): TestedEstimate {
  const middle = (lowest + highest) / 2;
  const half = (highest - lowest) / 2;
  const scaled = Float64Array.from(values, (value, i) => ((value - middle) / half) * (weights ? weights[i]! : 1));
  const { value, low, high, pValue } = crossedRatio(scaled, weights ?? new Uint8Array(scaled.length).fill(1), sources, {
    openEnds: true,
    tested: 0,
  });
  const unscale = (one: number) => middle + half * Math.max(-1, Math.min(1, one));
  return { value: unscale(value), low: unscale(low), high: unscale(high), pValue };
}

/**
 * The ratio of two sums over prompts and trainings, with its interval and p-value (Fieller 1954).
 *
 * @param openEnds adds a prompt at 1 and one at -1, of mean size
 * @param openRatio adds two prompts of mean size, one with a third and one with three times the ratio: few prompts of one ratio do not say that
 *   all have it. Upside down, the interval is that of the other ratio
 * @param tested the ratio that the p-value is for
 */
export function crossedRatio(
  above: ArrayLike<number>,
  below: ArrayLike<number>,
  { prompts, trainings }: Sources,
  {
    openEnds = false,
    openRatio = false,
    tested = 1,
  }: { readonly openEnds?: boolean; readonly openRatio?: boolean; readonly tested?: number } = {},
): TestedEstimate {
  const byPrompt = sumBy(above, below, prompts);
  const byTraining = trainings ? sumBy(above, below, trainings) : [];
  const total = byPrompt.reduce((sum, [x, n]) => [sum[0] + x, sum[1] + n] as Pair, [0, 0]);
  if (!(total[1] > 0)) return { value: NaN, low: NaN, high: NaN, pValue: 1 };
  const value = total[0] / total[1];
  if (openRatio && value === 0) return { value, low: -Infinity, high: Infinity, pValue: 1 }; // three times nothing opens no end
  const size = total[1] / byPrompt.length;
  const extra: readonly Pair[] = openEnds
    ? [
        [size, size],
        [-size, size],
      ]
    : openRatio
      ? [
          [1.5 * value * size, 0.5 * size],
          [0.5 * value * size, 1.5 * size],
        ]
      : [];
  const counted = [...byPrompt, ...extra];
  const a = total[0] + (openRatio ? 2 * value * size : 0);
  const b = total[1] + (extra.length > 0 ? 2 * size : 0);
  const promptSquares = squares(counted);
  const trainingCount = byTraining.length;
  const trainingSquares =
    trainingCount > 1
      ? squares(centred(byTraining)).map((one) => (one * trainingCount) / (trainingCount - 1))
      : [0, 0, 0];
  /** The squared margin of an interval that leaves out `outside`, as a polynomial in the ratio. */
  const margin = (outside: number): readonly [square: number, linear: number, constant: number] => {
    const z2 = normalQuantile(1 - outside / 2) ** 2;
    const t2 = trainingCount > 1 ? studentQuantile(outside, trainingCount - 1) ** 2 : 0;
    const [xx, xn, nn] = promptSquares.map((one, i) => z2 * one + t2 * trainingSquares[i]!) as [number, number, number];
    return [nn, -2 * xn, xx];
  };
  const [square, linear, constant] = margin(0.05);
  // a ratio is in the interval if (a - ratio * b)² <= margin(ratio)
  const [p, q, r] = [b * b - square, -2 * a * b - linear, a * a - constant];
  const root = Math.sqrt(Math.max(0, q * q - 4 * p * r));
  const [low, high] = [(-q - root) / (2 * p), (-q + root) / (2 * p)];
  if (!(p > 0)) return { value, low: -Infinity, high: Infinity, pValue: 1 }; // too few data to bound it
  const distance = (a - tested * b) ** 2;
  const marginAt = (outside: number) => {
    const [two, one, zero] = margin(outside);
    return two * tested ** 2 + one * tested + zero;
  };
  return { value, low: Math.min(value, low), high: Math.max(value, high), pValue: findP(distance, marginAt) };
}

type Pair = readonly [above: number, below: number];

function sumBy(above: ArrayLike<number>, below: ArrayLike<number>, groups: ArrayLike<number>): Pair[] {
  const sums = new Map<number, [number, number]>();
  for (let i = 0; i < above.length; i++) {
    const sum = sums.get(groups[i]!);
    if (!sum) sums.set(groups[i]!, [above[i]!, below[i]!]);
    else {
      sum[0] += above[i]!;
      sum[1] += below[i]!;
    }
  }
  return [...sums.values()].filter(([x, n]) => n > 0 || x !== 0); // of weight 0, not a score of 0 below the line
}

/** Sums of the squares and products: xx, xn, nn. */
function squares(pairs: readonly Pair[]): [number, number, number] {
  const sums: [number, number, number] = [0, 0, 0];
  for (const [x, n] of pairs) {
    sums[0] += x * x;
    sums[1] += x * n;
    sums[2] += n * n;
  }
  return sums;
}

function centred(pairs: readonly Pair[]): Pair[] {
  const mean = [0, 1].map((at) => pairs.reduce((sum, pair) => sum + pair[at as 0 | 1], 0) / pairs.length);
  return pairs.map(([x, n]) => [x - mean[0]!, n - mean[1]!] as const);
}

/** No p-value is told as less. */
export const leastP = 1e-12;

/** The p-value: the `outside` at which the margin equals the distance, by the Illinois method (false position). */
function findP(distance: number, marginAt: (outside: number) => number): number {
  if (!(distance > 0)) return 1;
  const off = (logP: number) => Math.sqrt(marginAt(Math.exp(logP))) - Math.sqrt(distance);
  let [low, high] = [Math.log(leastP), 0];
  let [above, below] = [off(low), -Math.sqrt(distance)];
  if (above <= 0) return leastP;
  let side = 0;
  for (let round = 0; round < 100 && high - low > 1e-10; round++) {
    const middle = (low * below - high * above) / (below - above);
    const value = off(middle);
    if (value === 0) return Math.exp(middle);
    if (value > 0) {
      [low, above] = [middle, value];
      if (side === 1) below /= 2;
      side = 1;
    } else {
      [high, below] = [middle, value];
      if (side === -1) above /= 2;
      side = -1;
    }
    if (Math.abs(value) < 1e-12 * Math.sqrt(distance)) return Math.exp(middle);
  }
  return Math.exp((low + high) / 2);
}
