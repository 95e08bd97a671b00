/*
 * Estimates a rater's errors from its scores alone, as a transition matrix: the probability of each given score for each
 * true score. The method is the consensus of neighbours (HOC: Zhu, Song and Liu 2021, "Clusterability as an alternative to
 * anchor points when learning with noisy labels"), as used in DS2 (Pang et al. 2025). It assumes that a row and its two
 * nearest neighbours have the same true score, and that the rater's errors on them are independent.
 */

/** The estimated model of a rater. A score is its index among the distinct scores, ascending. */
export interface RaterModel {
  /** The share of rows with each true score. */
  readonly prior: readonly number[];
  /** [true score][given score]; rows sum to 1. */
  readonly transition: readonly (readonly number[])[];
}

/** The scores of a row and of its two nearest neighbours. */
export type Triple = readonly [number, number, number];

const steps = 1500;
const learningRate = 0.05;
const firstDiagonal = 2; // first logit on the diagonal: a rater gives the true score more often than any other

/**
 * Fits the prior and the matrix to the observed frequencies of single scores, pairs and triples: least squares, by gradient
 * descent (Adam) on logits.
 *
 * @param triples scores as indices from 0 to `count` - 1
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
    const decay = 1 - step / (steps + 1);
    for (let p = 0; p < parameters.length; p++) {
      mean[p] = 0.9 * mean[p]! + 0.1 * gradient[p]!;
      square[p] = 0.99 * square[p]! + 0.01 * gradient[p]! ** 2;
      const unbiased = mean[p]! / (1 - 0.9 ** step);
      parameters[p]! -= (learningRate * decay * unbiased) / (Math.sqrt(square[p]! / (1 - 0.99 ** step)) + 1e-8);
    }
  }
  const { prior, transition } = probabilitiesOf(parameters, count);
  return {
    prior: Array.from(prior),
    transition: Array.from({ length: count }, (_, c) => Array.from(transition.subarray(c * count, (c + 1) * count))),
  };
}

/** The relative frequencies of single scores, pairs and triples. */
interface Consensus {
  readonly one: Float64Array;
  readonly two: Float64Array;
  readonly three: Float64Array;
}

/** Counts pairs and triples in every order, as the model does not distinguish a row from its neighbours. */
function countConsensus(triples: Iterable<Triple>, count: number): Consensus {
  const one = new Float64Array(count);
  const two = new Float64Array(count ** 2);
  const three = new Float64Array(count ** 3);
  let total = 0;
  for (const [a, b, c] of triples) {
    total++;
    one[a]!++;
    for (const [x, y] of [
      [a, b],
      [b, a],
    ] as const)
      two[x * count + y]! += 1 / 2;
    for (const [x, y, z] of [
      [a, b, c],
      [a, c, b],
      [b, a, c],
      [b, c, a],
      [c, a, b],
      [c, b, a],
    ] as const)
      three[(x * count + y) * count + z]! += 1 / 6;
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
  // the model's frequencies minus the observed ones
  const error1 = one.map((share) => -share);
  const error2 = two.map((share) => -share);
  const error3 = three.map((share) => -share);
  for (let c = 0; c < count; c++)
    for (let a = 0; a < count; a++) {
      const first = prior[c]! * transition[c * count + a]!;
      error1[a]! += first;
      for (let b = 0; b < count; b++) {
        const both = first * transition[c * count + b]!;
        error2[a * count + b]! += both;
        for (let d = 0; d < count; d++) error3[(a * count + b) * count + d]! += both * transition[c * count + d]!;
      }
    }
  const byPrior = new Float64Array(count);
  const byTransition = new Float64Array(count * count);
  for (let c = 0; c < count; c++)
    for (let a = 0; a < count; a++) {
      let [ofPairs, ofTriples] = [0, 0];
      for (let b = 0; b < count; b++) {
        let last = 0;
        for (let d = 0; d < count; d++) last += error3[(a * count + b) * count + d]! * transition[c * count + d]!;
        ofPairs += error2[a * count + b]! * transition[c * count + b]!;
        ofTriples += last * transition[c * count + b]!;
      }
      // a score can be at one position of a single score, two of a pair, three of a triple
      byTransition[c * count + a] = 2 * prior[c]! * (error1[a]! + 2 * ofPairs + 3 * ofTriples);
      byPrior[c]! += 2 * transition[c * count + a]! * (error1[a]! + ofPairs + ofTriples);
    }
  const gradient = new Float64Array(parameters.length);
  backpropagateSoftmax(prior, byPrior, gradient, 0, 0, count);
  for (let c = 0; c < count; c++)
    backpropagateSoftmax(transition, byTransition, gradient, c * count, count + c * count, count);
  return gradient;
}

/** Turns the gradient of softmax probabilities into the gradient of their logits. */
function backpropagateSoftmax(
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

/** The probability of each true score, given the scores of a row and its neighbours. */
export function posterior({ prior, transition }: RaterModel, given: readonly number[]): Float64Array {
  const probabilities = Float64Array.from(prior, (share, c) =>
    given.reduce((product, score) => product * transition[c]![score]!, share),
  );
  const total = probabilities.reduce((sum, probability) => sum + probability, 0);
  return total > 0 ? probabilities.map((probability) => probability / total) : Float64Array.from(prior);
}
