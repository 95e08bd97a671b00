import { studentQuantile, z975 } from "./distributions.ts";
import type { Estimate } from "./estimate.ts";
import type { Sources } from "./crossed-mean.ts";

/*
 * The win rate if both answers were equally long, since judges favour the longer one.
 *
 * It uses the logistic model of AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475): the preference depends on the arm, on
 * tanh(length difference / its standard deviation), and on how hard the prompt is. Preferences stay graded. The length's
 * coefficient has a prior, since one comparison says little about it. The prior's mean and width correspond to AlpacaEval's
 * regulariser: "gamed" annotations of one model that was told to answer shorter or longer.
 *
 * To know how hard a prompt is takes annotations of many models. Without them, the length of the other arm's answer is the
 * proxy, since models write more on hard prompts. The model is fitted once with each arm as the other one and the results
 * are averaged, so that A against B and B against A sum to 1. `test/stats/length-controlled.test.ts` measures how close the
 * result is to published rates, on 55 models with published annotations.
 */

/** One decided pair: how strongly the judge prefers the first arm (0 to 1; 0.5 is a tie), and both lengths in characters. */
export interface LengthPair {
  readonly win: number;
  readonly lengths: readonly [a: number, b: number];
  /** How much it counts beside the others. Default: all the same. */
  readonly weight?: number | undefined;
}

export interface LengthControlOptions {
  /**
   * How easy each pair's prompt is for models like these, in logits of winning against the second arm. Used instead of the
   * other answer's length. This function centres it, and scales it to AlpacaEval's standard deviation.
   */
  readonly difficulty?: readonly number[] | undefined;
}

/** A normal prior of the coefficients of length, arm and prompt: its mean, and the inverse of its covariance. */
interface Prior {
  readonly mean: Vector;
  readonly precision: Matrix;
}

type Vector = readonly [number, number, number];
type Matrix = readonly [Vector, Vector, Vector];

const byOtherLength: Prior = {
  mean: [1.6, 0, 0],
  precision: [
    [13.5, 0, 0],
    [0, 0.04, 0],
    [0, 0, 1],
  ],
};

/**
 * The same with a width (1.7) at which a judge may favour length twice as much, not at all, or somewhat less than that: nobody has measured other judges, people among them, as
 * AlpacaEval's was.
 */
const ofAnyJudge: Prior = {
  mean: byOtherLength.mean,
  precision: [[0.35, 0, 0], byOtherLength.precision[1], byOtherLength.precision[2]],
};

const byDifficulty: Prior = {
  mean: [1.83, 0, 0.742],
  precision: [
    [11.4, 0, -7.3],
    [0, 0.04, 0],
    [-7.3, 0, 44.2],
  ],
};
const difficultySpread = 1.48; // of AlpacaEval's difficulties, in logits

/**
 * The length-controlled win rate of the first arm, with its 95 % interval over prompts and trainings; NaN without pairs. The value is by the prior
 * of AlpacaEval's judge. Without `difficulty`, the interval also covers that of a judge whose liking for length is not known.
 */
export function lengthControlledWinRate(
  pairs: readonly LengthPair[],
  sources: Sources,
  { difficulty }: LengthControlOptions = {},
): Estimate {
  if (pairs.length === 0) return { value: NaN, low: NaN, high: NaN };
  const wins = pairs.map(({ win }) => win);
  const whole = pairs.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const counts = pairs.map(({ weight = 1 }) => (weight * pairs.length) / whole); // 1 on average, so that the prior weighs the same
  const differences = pairs.map(({ lengths: [a, b] }) => a - b);
  const spread = standardDeviation(differences);
  const terms = differences.map((difference) => (spread > 0 ? Math.tanh(difference / spread) : 0));
  const rowsWith = (prompt: readonly number[]) => terms.map((term, i) => [term, 1, prompt[i]!] as const);
  const open = openEnds(sources);
  if (difficulty) {
    const scaled = standardise(difficulty).map((value) => difficultySpread * value);
    const observed = { wins, rows: rowsWith(scaled), counts };
    const rate = toRate(rateAtEqualLength(fit(observed, byDifficulty), sources));
    return widest(rate, toRate(rateAtEqualLength(fit(withOpenEnds(observed), byDifficulty), open)));
  }
  const lengthOf = (side: 0 | 1) => standardise(pairs.map(({ lengths }) => lengths[side])).map(Math.tanh);
  const asGiven: Observed = { wins, rows: rowsWith(lengthOf(1)), counts };
  const ownLengths = lengthOf(0);
  // the same with the arms swapped: wins become losses, and length differences change their sign
  const asSwapped: Observed = {
    wins: wins.map((win) => 1 - win),
    rows: terms.map((term, i) => [-term, 1, ownLengths[i]!] as const),
    counts,
  };
  const rateBy = (prior: Prior, prepare: (observed: Observed) => Observed, from: Sources): Estimate => {
    const one = rateAtEqualLength(fit(prepare(asGiven), prior), from);
    const swapped = rateAtEqualLength(fit(prepare(asSwapped), prior), from);
    return toRate({ logit: (one.logit - swapped.logit) / 2, margin: (one.margin + swapped.margin) / 2 });
  };
  const priors = [byOtherLength, ofAnyJudge];
  const [published, ...others] = [
    ...priors.map((prior) => rateBy(prior, (observed) => observed, sources)),
    ...priors.map((prior) => rateBy(prior, withOpenEnds, open)),
  ];
  return widest(published!, ...others);
}

/** The first estimate, with an interval that holds those of all. */
function widest(first: Estimate, ...others: readonly Estimate[]): Estimate {
  return {
    value: first.value,
    low: Math.min(first.low, ...others.map(({ low }) => low)),
    high: Math.max(first.high, ...others.map(({ high }) => high)),
  };
}

/**
 * A further win and a further loss, of two prompts of middling difficulty with answers of equal length: where all pairs go one way, residuals
 * shrink to nothing, and say nothing of how far off the rate may be (as in `crossedMean`).
 */
function withOpenEnds({ wins, rows, counts }: Observed): Observed {
  const middle: Vector = [0, 1, 0];
  return { wins: [...wins, 1, 0], rows: [...rows, middle, middle], counts: [...counts, 1, 1] };
}

function openEnds({ prompts, trainings }: Sources): Sources {
  const known = Array.from(prompts);
  const next = known.reduce((most, prompt) => Math.max(most, prompt + 1), 0);
  const all = { prompts: [...known, next, next + 1] };
  if (!trainings) return all;
  const own = Array.from(trainings);
  return { ...all, trainings: [...own, own[0]!, own.at(-1)!] };
}

/** What the model is fitted to, an entry a pair. */
interface Observed {
  readonly wins: readonly number[];
  readonly rows: readonly Vector[];
  /** How much each pair counts, 1 on average. */
  readonly counts: readonly number[];
}

interface Fit extends Observed {
  readonly weights: Vector;
  readonly curvature: Matrix;
  readonly prior: Prior;
}

const rounds = 50;
const convergence = 1e-10;

/** The coefficients with the highest posterior probability, by Newton's method with step halving. */
function fit(observed: Observed, prior: Prior): Fit {
  let weights = prior.mean;
  let loss = lossOf(weights, observed, prior);
  for (let round = 0; round < rounds; round++) {
    const { gradient, curvature } = derivatives(weights, observed, prior);
    const step = solve(curvature, gradient);
    let length = 1;
    let next = move(weights, step, -length);
    while (lossOf(next, observed, prior) > loss + 1e-12 && length > 1e-6) {
      length /= 2;
      next = move(weights, step, -length);
    }
    weights = next;
    loss = lossOf(weights, observed, prior);
    if (Math.max(...step.map(Math.abs)) < convergence) break;
  }
  return { ...observed, weights, prior, curvature: derivatives(weights, observed, prior).curvature };
}

/** The mean chance of winning with answers of equal length, as a logit, and half the width of its interval. */
function rateAtEqualLength({ wins, rows, counts, weights, curvature, prior }: Fit, { prompts, trainings }: Sources) {
  const n = rows.length;
  const chances = rows.map((row) => logistic(dot(weights, [0, 1, row[2]])));
  const rate = chances.reduce((sum, chance, i) => sum + counts[i]! * chance, 0) / n;
  const slope = [0, 1, 2].map((at) =>
    at === 0 ? 0 : chances.reduce((sum, chance, i) => sum + counts[i]! * chance * (1 - chance) * rows[i]![at]!, 0) / n,
  ) as unknown as Vector; // three of them
  const direction = solve(curvature, slope);
  const influences = rows.map(
    (row, i) =>
      counts[i]! * ((chances[i]! - rate) / n + (wins[i]! - logistic(dot(weights, row))) * dot(direction, row)),
  );
  const ofPrior = dot(direction, prior.precision.map((line) => dot(line, direction)) as unknown as Vector); // its mean may be off
  const [byPrompt, promptCount] = squaresBy(influences, prompts);
  const [byTraining, trainingCount] = trainings ? squaresBy(influences, trainings) : [0, 1];
  const t = trainingCount > 1 ? studentQuantile(0.05, trainingCount - 1) : 0;
  const margin = Math.sqrt(
    z975 ** 2 * ((byPrompt * promptCount) / Math.max(1, promptCount - 1) + ofPrior) +
      t ** 2 * ((byTraining * trainingCount) / Math.max(1, trainingCount - 1)),
  );
  return { logit: Math.log(rate / (1 - rate)), margin: margin / (rate * (1 - rate)) };
}

function toRate({ logit, margin }: { readonly logit: number; readonly margin: number }): Estimate {
  return { value: logistic(logit), low: logistic(logit - margin), high: logistic(logit + margin) };
}

function squaresBy(values: readonly number[], groups: ArrayLike<number>): readonly [squares: number, groups: number] {
  const sums = new Map<number, number>();
  for (const [i, value] of values.entries()) sums.set(groups[i]!, (sums.get(groups[i]!) ?? 0) + value);
  return [[...sums.values()].reduce((sum, value) => sum + value ** 2, 0), sums.size];
}

function lossOf(weights: Vector, { wins, rows, counts }: Observed, { mean: centre, precision }: Prior): number {
  const off = move(weights, centre, -1);
  let loss = 0.5 * dot(off, precision.map((line) => dot(line, off)) as unknown as Vector);
  for (const [i, row] of rows.entries()) {
    const score = dot(weights, row);
    loss += counts[i]! * (Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - wins[i]! * score);
  }
  return loss;
}

function derivatives(weights: Vector, { wins, rows, counts }: Observed, { mean: centre, precision }: Prior) {
  const off = move(weights, centre, -1);
  const gradient = precision.map((line) => dot(line, off)) as [number, number, number];
  const curvature = precision.map((line) => [...line]) as [number, number, number][];
  for (const [n, row] of rows.entries()) {
    const chance = logistic(dot(weights, row));
    for (let i = 0; i < 3; i++) {
      gradient[i]! += counts[n]! * (chance - wins[n]!) * row[i]!;
      for (let j = 0; j < 3; j++) curvature[i]![j]! += counts[n]! * chance * (1 - chance) * row[i]! * row[j]!;
    }
  }
  return { gradient: gradient as Vector, curvature: curvature as unknown as Matrix };
}

function dot([a, b, c]: Vector, [x, y, z]: Vector): number {
  return a * x + b * y + c * z;
}

function move([a, b, c]: Vector, [x, y, z]: Vector, by: number): Vector {
  return [a + by * x, b + by * y, c + by * z];
}

/** Solves three linear equations by Cramer's rule. */
function solve(matrix: Matrix, right: Vector): Vector {
  const whole = determinant(matrix);
  const replaced = (at: number) =>
    determinant(matrix.map((line, i) => line.map((x, j) => (j === at ? right[i]! : x))) as unknown as Matrix) / whole;
  return [replaced(0), replaced(1), replaced(2)];
}

function determinant([[a, b, c], [d, e, f], [g, h, i]]: Matrix): number {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

function standardise(values: readonly number[]): number[] {
  const centre = mean(values);
  const spread = standardDeviation(values);
  return values.map((value) => (spread > 0 ? (value - centre) / spread : 0));
}
