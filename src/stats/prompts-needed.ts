import { incompleteBeta, studentQuantile, z975 } from "./distributions.ts";
import { createRandom } from "./random.ts";
import { signTest } from "./sign-test.ts";

/*
 * How many prompts or trainings are needed to show a difference of a given size, at 5 % significance with 80 % power.
 */

/** Shares of pairs, or counts of them. */
export interface Split {
  readonly win: number;
  readonly tie: number;
  readonly lose: number;
}

const significance = 0.05;
const wantedPower = 0.8;
const mostPrompts = 1_000_000;

/**
 * How many independent prompts the exact sign test needs, by an exact search: from this number on its power is at least
 * 80 %. Infinity when wins equal losses, or a million prompts are not enough.
 */
export function promptsNeeded({ win, tie, lose }: Split): number {
  const all = win + tie + lose;
  if (win === lose || !(all > 0)) return Infinity;
  const decisive = (win + lose) / all;
  const share = Math.max(win, lose) / (win + lose);
  const isEnough = (n: number) => powerOfSignTest(n, decisive, share) >= wantedPower;
  let high = 8;
  while (high < mostPrompts && !isEnough(high)) high *= 2;
  if (high >= mostPrompts) return Infinity;
  let low = Math.max(1, high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  // power goes up and down a little with n: search back from where it stays high enough
  const sawtooth = 12;
  for (let n = high + sawtooth; n > high; n--) if (!isEnough(n)) return n + 1;
  return high;
}

/** The power of the sign test with n prompts. */
function powerOfSignTest(n: number, decisive: number, share: number): number {
  const deviation = Math.sqrt(n * decisive * (1 - decisive));
  const from = Math.max(0, Math.floor(n * decisive - 6 * deviation - 1));
  const to = Math.min(n, Math.ceil(n * decisive + 6 * deviation + 1));
  if (to - from > 400) {
    // for very many prompts, evenly spaced numbers of decisive ones stand for all: their power hardly differs
    let [sum, weight] = [0, 0];
    const stride = Math.ceil((to - from) / 400);
    for (let m = from; m <= to; m += stride) {
      const chance = binomialDensity(m, n, decisive);
      weight += chance;
      sum += chance * binomialTail(leastWins(m), m, share);
    }
    return sum / weight;
  }
  let power = 0;
  for (let m = from; m <= to; m++) power += binomialDensity(m, n, decisive) * binomialTail(leastWins(m), m, share);
  return power;
}

function binomialDensity(k: number, n: number, p: number): number {
  if (p >= 1) return k === n ? 1 : 0;
  return binomialTail(k, n, p) - binomialTail(k + 1, n, p);
}

/** The chance of k or more successes in n trials. */
function binomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 1;
  if (k > n) return 0;
  return incompleteBeta(p, k, n - k + 1);
}

const exactUpTo = 1_000;
const leastWinsOf: number[] = [];

/** The fewest wins among this many decisive pairs that are significant by the sign test. */
function leastWins(decisive: number): number {
  if (decisive > exactUpTo) return Math.ceil((decisive + 1 + z975 * Math.sqrt(decisive)) / 2); // with the continuity correction
  for (let n = leastWinsOf.length; n <= decisive; n++) {
    let wins = Math.max(leastWinsOf[n - 1] ?? 0, Math.ceil(n / 2));
    while (wins <= n && signTest(wins, n - wins) >= significance) wins++;
    leastWinsOf.push(wins);
  }
  return leastWinsOf[decisive]!;
}

/** The variance components of an effect over prompts and trainings, each for a single one. */
export interface CrossedVariances {
  /** Between trainings, for their means over all possible prompts. */
  readonly training: number;
  /** Between prompts, for their means over all possible trainings. */
  readonly prompt: number;
  /** The rest, for a single pair. */
  readonly residual: number;
}

/** The variance components of a table of means by [training][prompt], by two-way analysis of variance; none below 0. */
export function crossedVariances(table: readonly (readonly number[])[]): CrossedVariances {
  const trainings = table.length;
  const prompts = table[0]?.length ?? 0;
  if (trainings < 2 || prompts < 2) return { training: 0, prompt: 0, residual: 0 };
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const byTraining = table.map(mean);
  const byPrompt = Array.from({ length: prompts }, (_, i) => mean(table.map((row) => row[i]!)));
  const all = mean(byTraining);
  const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + (value - all) ** 2, 0);
  let left = 0;
  for (const [t, row] of table.entries())
    for (const [p, value] of row.entries()) left += (value - byTraining[t]! - byPrompt[p]! + all) ** 2;
  const residual = left / ((trainings - 1) * (prompts - 1));
  return {
    training: Math.max(0, squares(byTraining) / (trainings - 1) - residual / prompts),
    prompt: Math.max(0, squares(byPrompt) / (prompts - 1) - residual / trainings),
    residual,
  };
}

const simulations = 2_000;
const mostTrainings = 50;
/** Prompts shared by all trainings: with fewer the variances cannot be estimated. */
export const leastShared = 10;

/**
 * How many prompts or trainings are needed to show an effect with the test of `crossedMean`, by simulating the test.
 *
 * @param effect the true mean; its sign does not matter
 * @returns prompts needed with the given number of trainings, and trainings needed with the given number of prompts; Infinity
 *   where no number is enough
 */
export function crossedNeeded(
  effect: number,
  variances: CrossedVariances,
  { trainings, prompts }: { readonly trainings: number; readonly prompts: number },
): { readonly prompts: number; readonly trainings: number } {
  const needed = (isEnough: (n: number) => boolean, from: number, most: number) => {
    let high = from;
    while (high < most && !isEnough(high)) high = Math.max(high + 1, Math.ceil(high * 1.5));
    if (!isEnough(Math.min(high, most))) return Infinity;
    let low = from;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isEnough(middle)) high = middle;
      else low = middle + 1;
    }
    return high;
  };
  if (!(Math.abs(effect) > 0) || prompts < leastShared) return { prompts: Infinity, trainings: Infinity };
  const isFound = (t: number, p: number) => crossedPower(effect, variances, t, p) >= wantedPower;
  return {
    prompts: needed((n) => isFound(trainings, n), 10, mostPrompts),
    trainings: needed((n) => isFound(n, prompts), 2, mostTrainings),
  };
}

function crossedPower(
  effect: number,
  { training, prompt, residual }: CrossedVariances,
  trainings: number,
  prompts: number,
): number {
  const random = createRandom(42); // the same draws for every size, so that the power grows with the size
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const t2 = studentQuantile(significance, trainings - 1) ** 2;
  const promptVariance = prompt / prompts + residual / (prompts * trainings);
  const trainingVariance = training + residual / prompts; // of one training's mean
  let found = 0;
  for (let i = 0; i < simulations; i++) {
    const means = Array.from({ length: trainings }, () => Math.sqrt(trainingVariance) * normal());
    const mean = means.reduce((sum, one) => sum + one, 0) / trainings;
    const between = means.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (trainings - 1) / trainings;
    const seen = Math.abs(effect) + mean + Math.sqrt(prompt / prompts) * normal();
    if (seen > 0 && seen ** 2 > t2 * between + z975 ** 2 * promptVariance) found++;
  }
  return found / simulations;
}
