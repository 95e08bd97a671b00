/*
 * How a rater errs, from its scores alone: a matrix of the probabilities with which it gives each score to a row of each
 * true score. By the consensus of neighbours (HOC: Zhu, Song and Liu 2021, "Clusterability as an alternative to anchor
 * points when learning with noisy labels"), as DS2 uses it (Pang et al. 2025): a row and its two nearest neighbours are
 * taken to have the same true score, and the rater to err on each of them for itself.
 */

/** What is learnt of a rater. Scores by their place among the different scores, ascending. */
export interface RaterModel {
  /** The share of rows of each true score. */
  readonly prior: readonly number[];
  /** [true score][given score]; rows sum to 1. */
  readonly transition: readonly (readonly number[])[];
}

/** The scores of a row and of its two nearest neighbours. */
export type Triple = readonly [number, number, number];

const steps = 1500;
const rate = 0.05;
const firstDiagonal = 2; // of the logits: a rater is more often right than wrong by any one score

/**
 * Finds the prior and the matrix whose triples would be seen as often as these: least squares over how often each score,
 * each pair and each triple of scores was seen, by gradient descent (Adam) on logits.
 *
 * @param triples scores as places from 0 to `count` - 1
 */
export function estimateRater(triples: Iterable<Triple>, count: number): RaterModel {
  const seen = countConsensus(triples, count);
  const parameters = Float64Array.from({ length: count + count * count }, (_, i) => {
    if (i < count) return Math.log(Math.max(1e-4, seen.one[i]!));
    const [truth, given] = [Math.floor((i - count) / count), (i - count) % count];
    return truth === given ? firstDiagonal : 0;
  });
  const mean = new Float64Array(parameters.length);
  const square = new Float64Array(parameters.length);
  for (let step = 1; step <= steps; step++) {
    const gradient = gradientOf(parameters, seen, count);
    const fade = 1 - step / (steps + 1);
    for (let p = 0; p < parameters.length; p++) {
      mean[p] = 0.9 * mean[p]! + 0.1 * gradient[p]!;
      square[p] = 0.99 * square[p]! + 0.01 * gradient[p]! ** 2;
      const unbiased = mean[p]! / (1 - 0.9 ** step);
      parameters[p]! -= (rate * fade * unbiased) / (Math.sqrt(square[p]! / (1 - 0.99 ** step)) + 1e-8);
    }
  }
  const { prior, transition } = probabilitiesOf(parameters, count);
  return {
    prior: Array.from(prior),
    transition: Array.from({ length: count }, (_, c) => Array.from(transition.subarray(c * count, (c + 1) * count))),
  };
}

/** How often each score, each pair and each triple was seen, as shares. */
interface Consensus {
  readonly one: Float64Array;
  readonly two: Float64Array;
  readonly three: Float64Array;
}

function countConsensus(triples: Iterable<Triple>, count: number): Consensus {
  const one = new Float64Array(count);
  const two = new Float64Array(count ** 2);
  const three = new Float64Array(count ** 3);
  let total = 0;
  for (const [a, b, c] of triples) {
    total++;
    one[a]!++;
    two[a * count + b]!++;
    three[(a * count + b) * count + c]!++;
  }
  for (const counts of [one, two, three]) for (let i = 0; i < counts.length; i++) counts[i]! /= Math.max(1, total);
  return { one, two, three };
}

function probabilitiesOf(parameters: Float64Array, count: number): { prior: Float64Array; transition: Float64Array } {
  const prior = parameters.slice(0, count);
  const transition = parameters.slice(count);
  softmax(prior, 0, count);
  for (let c = 0; c < count; c++) softmax(transition, c * count, count);
  return { prior, transition };
}

function softmax(values: Float64Array, from: number, count: number): void {
  let most = -Infinity;
  for (let i = from; i < from + count; i++) most = Math.max(most, values[i]!);
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += values[i] = Math.exp(values[i]! - most);
  for (let i = from; i < from + count; i++) values[i]! /= sum;
}

function gradientOf(parameters: Float64Array, { one, two, three }: Consensus, count: number): Float64Array {
  const { prior, transition } = probabilitiesOf(parameters, count);
  const byPrior = new Float64Array(count);
  const byTransition = new Float64Array(count * count);
  const t = (c: number, score: number) => transition[c * count + score]!;
  const addError = (error: number, scores: readonly number[]) => {
    for (let c = 0; c < count; c++) {
      const product = scores.reduce((all, score) => all * t(c, score), 1);
      byPrior[c]! += 2 * error * product;
      for (const [at, score] of scores.entries()) {
        const others = scores.reduce((all, other, k) => (k === at ? all : all * t(c, other)), 1);
        byTransition[c * count + score]! += 2 * error * prior[c]! * others;
      }
    }
  };
  const modelled = (scores: readonly number[]) => {
    let sum = 0;
    for (let c = 0; c < count; c++) sum += scores.reduce((all, score) => all * t(c, score), prior[c]!);
    return sum;
  };
  for (let a = 0; a < count; a++) {
    addError(modelled([a]) - one[a]!, [a]);
    for (let b = 0; b < count; b++) {
      addError(modelled([a, b]) - two[a * count + b]!, [a, b]);
      for (let d = 0; d < count; d++) addError(modelled([a, b, d]) - three[(a * count + b) * count + d]!, [a, b, d]);
    }
  }
  const gradient = new Float64Array(parameters.length);
  throughSoftmax(prior, byPrior, gradient, 0, 0, count);
  for (let c = 0; c < count; c++)
    throughSoftmax(transition, byTransition, gradient, c * count, count + c * count, count);
  return gradient;
}

/** The gradient of logits from that of their softmax. */
function throughSoftmax(
  probabilities: Float64Array,
  by: Float64Array,
  gradient: Float64Array,
  from: number,
  to: number,
  count: number,
): void {
  let mean = 0;
  for (let i = 0; i < count; i++) mean += probabilities[from + i]! * by[from + i]!;
  for (let i = 0; i < count; i++) gradient[to + i] = probabilities[from + i]! * (by[from + i]! - mean);
}

/** How probable each true score is, where a row and its neighbours were given these scores. */
export function posterior({ prior, transition }: RaterModel, given: readonly number[]): Float64Array {
  const probabilities = Float64Array.from(prior, (share, c) =>
    given.reduce((product, score) => product * transition[c]![score]!, share),
  );
  const total = probabilities.reduce((sum, probability) => sum + probability, 0);
  return total > 0 ? probabilities.map((probability) => probability / total) : Float64Array.from(prior);
}
