import { denseCount } from "./dense-features.ts";
import { fieldCount, listCount } from "./features.ts";

/*
 * The network that a student has two of: one for the score, one that tells whether an answer fits its prompt. For each field,
 * the embeddings of its distinct words are summed and divided by the square root of their number. Each word also has one
 * "wide" weight for each list it can be on: its field, and the words that the output shares with the instruction or with the
 * input. These are summed and divided in the same way; u is their total over the fields, s and t are those of the two lists of
 * shared words. The output's embedding is multiplied, number by number, by the instruction's and by the input's: the products
 * tell whether they speak of the same things. One hidden layer of ReLU units maps [embeddings, products, dense, s, t, u] to a
 * logit for each class, to which a linear skip connection from all but the embeddings is added.
 */

export const embeddingSize = 8;
export const embeddedCount = fieldCount * embeddingSize;
const productCount = 2 * embeddingSize;
const denseStart = embeddedCount + productCount;
/** Where the sums of wide weights begin: s, t, u. */
export const sumStart = denseStart + denseCount;
export const inputCount = sumStart + 3;
/** Inputs of the linear skip connection: all but the embeddings. */
export const skipCount = inputCount - embeddedCount;

/** What differs between a student's networks. */
export interface NetworkShape {
  readonly classCount: number;
  /** Hidden units, a multiple of 4. */
  readonly hiddenSize: number;
  /** Rows of the tables, a power of 2: buckets are taken modulo it. */
  readonly bucketCount: number;
  /** The lists of words that it reads: the fields alone, or all, to compare the fields. Comparing tells what fits, and does not help to score. */
  readonly lists: typeof fieldCount | typeof listCount;
}

/** All weights, each table row by row. */
export interface Weights extends NetworkShape {
  /** [bucket, embeddingSize] */
  readonly embeddings: Float32Array;
  /** [bucket, lists] */
  readonly wide: Float32Array;
  /** [hiddenSize, inputCount] */
  readonly hidden: Float32Array;
  readonly hiddenBias: Float32Array;
  /** [classCount, hiddenSize] */
  readonly output: Float32Array;
  readonly outputBias: Float32Array;
  /** [classCount, skipCount] */
  readonly skip: Float32Array;
}

/** The sizes of the tables, by name. */
export function weightSizes({
  classCount,
  hiddenSize,
  bucketCount,
  lists,
}: NetworkShape): Record<Exclude<keyof Weights, keyof NetworkShape>, number> {
  return {
    embeddings: bucketCount * embeddingSize,
    wide: bucketCount * lists,
    hidden: hiddenSize * inputCount,
    hiddenBias: hiddenSize,
    output: classCount * hiddenSize,
    outputBias: classCount,
    skip: classCount * skipCount,
  };
}

/** The network's values for one row. {@link forward} computes `hidden` and `logits` from `input`; training reads all. */
export interface Activations {
  /** The network's input: [embeddedCount embeddings, productCount products, denseCount dense features, s, t, u]. */
  readonly input: Float64Array;
  readonly hidden: Float64Array;
  /** Unnormalised log-probabilities of the classes. */
  readonly logits: Float64Array;
}

export function createActivations({
  classCount,
  hiddenSize,
}: Pick<NetworkShape, "classCount" | "hiddenSize">): Activations {
  return {
    input: new Float64Array(inputCount),
    hidden: new Float64Array(hiddenSize),
    logits: new Float64Array(classCount),
  };
}

/**
 * Writes a row's words into the network's input. List l has the buckets `buckets[l]` from `starts[l]` to `ends[l]`; the lists
 * are those of {@link listCount}.
 */
export function setWords(
  weights: Weights,
  { input }: Activations,
  buckets: readonly ArrayLike<number>[],
  starts: ArrayLike<number>,
  ends: ArrayLike<number>,
): void {
  input.fill(0, 0, embeddedCount);
  input[inputCount - 1] = 0;
  for (let f = 0; f < fieldCount; f++) addField(weights, input, f, buckets[f]!, starts[f]!, ends[f]!);
  if (weights.lists === fieldCount) return;
  for (let l = fieldCount; l < listCount; l++)
    input[sumStart + l - fieldCount] = sumShared(weights, l, buckets[l]!, starts[l]!, ends[l]!);
  for (let k = 0; k < embeddingSize; k++) {
    const output = input[k]!;
    input[embeddedCount + k] = output * input[embeddingSize + k]!;
    input[embeddedCount + embeddingSize + k] = output * input[2 * embeddingSize + k]!;
  }
}

function addField(
  { embeddings, wide, bucketCount, lists }: Weights,
  input: Float64Array,
  field: number,
  buckets: ArrayLike<number>,
  start: number,
  end: number,
): void {
  if (end <= start) return;
  const mask = bucketCount - 1;
  let e0 = 0,
    e1 = 0,
    e2 = 0,
    e3 = 0,
    e4 = 0,
    e5 = 0,
    e6 = 0,
    e7 = 0,
    w = 0;
  for (let i = start; i < end; i++) {
    const bucket = buckets[i]! & mask;
    const at = bucket * embeddingSize;
    e0 += embeddings[at]!;
    e1 += embeddings[at + 1]!;
    e2 += embeddings[at + 2]!;
    e3 += embeddings[at + 3]!;
    e4 += embeddings[at + 4]!;
    e5 += embeddings[at + 5]!;
    e6 += embeddings[at + 6]!;
    e7 += embeddings[at + 7]!;
    w += wide[bucket * lists + field]!;
  }
  const scale = 1 / Math.sqrt(end - start);
  const at = field * embeddingSize;
  input[at] = e0 * scale;
  input[at + 1] = e1 * scale;
  input[at + 2] = e2 * scale;
  input[at + 3] = e3 * scale;
  input[at + 4] = e4 * scale;
  input[at + 5] = e5 * scale;
  input[at + 6] = e6 * scale;
  input[at + 7] = e7 * scale;
  input[inputCount - 1]! += w * scale;
}

function sumShared(
  { wide, bucketCount }: Weights,
  list: number,
  buckets: ArrayLike<number>,
  start: number,
  end: number,
): number {
  const mask = bucketCount - 1;
  let sum = 0;
  for (let i = start; i < end; i++) sum += wide[(buckets[i]! & mask) * listCount + list]!;
  return end > start ? sum / Math.sqrt(end - start) : 0;
}

/** Computes hidden units and logits from the input. */
export function forward(weights: Weights, { input, hidden, logits }: Activations): void {
  const { hidden: table, hiddenBias, hiddenSize } = weights;
  for (let h = 0; h < hiddenSize; h += 4) {
    // four units at a time: their sums do not wait for each other
    let a = hiddenBias[h]!,
      b = hiddenBias[h + 1]!,
      c = hiddenBias[h + 2]!,
      d = hiddenBias[h + 3]!;
    let at = h * inputCount;
    for (let i = 0; i < inputCount; i++, at++) {
      const value = input[i]!;
      a += table[at]! * value;
      b += table[at + inputCount]! * value;
      c += table[at + 2 * inputCount]! * value;
      d += table[at + 3 * inputCount]! * value;
    }
    hidden[h] = a > 0 ? a : 0;
    hidden[h + 1] = b > 0 ? b : 0;
    hidden[h + 2] = c > 0 ? c : 0;
    hidden[h + 3] = d > 0 ? d : 0;
  }
  for (let c = 0; c < weights.classCount; c++) {
    let a = weights.outputBias[c]!;
    let b = 0;
    const row = c * hiddenSize;
    for (let h = 0; h < hiddenSize; h++) a += weights.output[row + h]! * hidden[h]!;
    const skipRow = c * skipCount;
    for (let i = 0; i + 1 < skipCount; i += 2) {
      a += weights.skip[skipRow + i]! * input[embeddedCount + i]!;
      b += weights.skip[skipRow + i + 1]! * input[embeddedCount + i + 1]!;
    }
    if (skipCount % 2 === 1) a += weights.skip[skipRow + skipCount - 1]! * input[inputCount - 1]!;
    logits[c] = a + b;
  }
}

/** Turns logits into probabilities in place. */
export function softmax(logits: Float64Array): void {
  let max = -Infinity;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  for (let c = 0; c < logits.length; c++) sum += logits[c] = Math.exp(logits[c]! - max);
  for (let c = 0; c < logits.length; c++) logits[c]! /= sum;
}

/** Mean and standard deviation of each dense feature over the training rows. */
export interface Standardisation {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

const clip = 4; // standard deviations; limits outliers, such as a row with a thousand commas

/** Writes a row's dense features, standardised and clipped, into the network's input. */
export function setDense(
  activations: Activations,
  dense: ArrayLike<number>,
  start: number,
  { mean, deviation }: Standardisation,
): void {
  for (let d = 0; d < denseCount; d++) {
    const z = (dense[start + d]! - mean[d]!) / deviation[d]!;
    activations.input[denseStart + d] = z > clip ? clip : z < -clip ? -clip : z;
  }
}

/** Copies the dense features of one network's input into another's. */
export function copyDense(from: Activations, to: Activations): void {
  for (let i = denseStart; i < sumStart; i++) to.input[i] = from.input[i]!;
}
