import { crossedMean, crossedRatio, leastP, type TestedEstimate } from "./crossed-mean.ts";
import { normalTwoSided } from "./distributions.ts";
import { pairItems } from "./paired-items.ts";
import { signTest } from "./sign-test.ts";

/** How much higher a's values are than b's, on the same items. */
export interface ItemDifference {
  /** Items that all models of both have a value for. */
  readonly items: number;
  /** Pairs of trainings. */
  readonly trainings: number;
  /** The means over exactly these items and trainings. */
  readonly means: readonly [a: number, b: number];
  /** a's mean minus b's. NaN without items. */
  readonly difference: TestedEstimate;
  /** `exact`: the p-value is the sign test's, since all values are 0 or 1 and there is one training of each. */
  readonly test: "exact" | "interval";
  /** The p-value of the same means had they been measured on different items: what pairing is compared with. */
  readonly unpairedPValue: number;
}

/**
 * The difference of two arms' values on the same items, paired by item, and by training where there are several. With values of 0 and 1 and one
 * training each, the p-value is exact: McNemar's test, which is the sign test over the items that one alone has right. Else, and where the
 * interval holds 0 though that test is below .05, it is the test that the interval belongs to (see `crossedMean`).
 *
 * @param a the values by item of each of its trainings, NaN where there is none
 */
export function itemDifference(a: readonly Float64Array[], b: readonly Float64Array[]): ItemDifference {
  const { items, trainings, sources, a: ours, b: theirs } = pairItems(a, b);
  const values = ours.map((value, i) => value - theirs[i]!);
  const isShare = [...ours, ...theirs].every((value) => value >= 0 && value <= 1);
  const difference = isShare
    ? crossedMean(values, sources)
    : crossedRatio(values, new Uint8Array(values.length).fill(1), sources, { tested: 0 });
  const wins = values.filter((value) => value > 0).length;
  const losses = values.filter((value) => value < 0).length;
  const exact = signTest(wins, losses);
  const hasZero = !(difference.low > 0 || difference.high < 0);
  const isExact =
    trainings === 1 && [...ours, ...theirs].every((value) => value === 0 || value === 1) && !(hasZero && exact < 0.05); // the interval is the more careful one
  return {
    items,
    trainings,
    means: [moments(ours).mean, moments(theirs).mean],
    difference: isExact ? withZero({ ...difference, pValue: exact }) : difference,
    test: isExact ? "exact" : "interval",
    unpairedPValue: unpaired(ours, theirs),
  };
}

/** An interval that the test does not tell from 0 holds 0: of the two, the more careful one decides. */
function withZero(estimate: TestedEstimate): TestedEstimate {
  if (estimate.pValue < 0.05) return estimate;
  return { ...estimate, low: Math.min(estimate.low, 0), high: Math.max(estimate.high, 0) };
}

/** The two-sided p-value of two means' difference by the normal distribution, with the sum of their variances. */
function unpaired(a: readonly number[], b: readonly number[]): number {
  const [one, other] = [moments(a), moments(b)];
  const error = Math.sqrt(one.variance / a.length + other.variance / b.length);
  if (error > 0) return Math.max(leastP, normalTwoSided((one.mean - other.mean) / error));
  if (one.mean === other.mean) return 1;
  // all alike on each side: of all ways to share out the values, two are so far apart (Fisher's exact test)
  let ways = 1;
  for (let i = 1; i <= Math.min(a.length, b.length); i++) ways *= (Math.max(a.length, b.length) + i) / i;
  return Math.max(leastP, Math.min(1, 2 / ways));
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    mean,
    variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1),
  };
}
