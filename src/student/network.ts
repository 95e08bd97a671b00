import { bucketCount } from "./scan-field.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount } from "./features.ts";

/*
 * The student's network. For each field, the embeddings of its distinct words are summed and divided by the square root of
 * their number. Each word also has one "wide" weight per field; these are summed and divided in the same way, and u is their
 * total over the fields. One hidden layer of ReLU units maps [embeddings, dense, u] to a logit per class, to which a linear
 * skip connection from [dense, u] is added.
 */

export const embeddingSize = 8;
export const hiddenSize = 24;
const embeddedCount = fieldCount * embeddingSize;
/** Inputs of the hidden layer: embeddings, dense features, u. */
export const inputCount = embeddedCount + denseCount + 1;
/** Inputs of the linear skip connection: dense features, u. */
export const skipCount = denseCount + 1;

/** All weights, each table row by row. */
export interface Weights {
  /** The number of classes. The classes are the scores that the teacher gave, ascending. */
  readonly classCount: number;
  /** [bucket, embeddingSize] */
  readonly embeddings: Float32Array;
  /** [bucket, field] */
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
export function weightSizes(classCount: number): Record<Exclude<keyof Weights, "classCount">, number> {
  return {
    embeddings: bucketCount * embeddingSize,
    wide: bucketCount * fieldCount,
    hidden: hiddenSize * inputCount,
    hiddenBias: hiddenSize,
    output: classCount * hiddenSize,
    outputBias: classCount,
    skip: classCount * skipCount,
  };
}

/** The network's values for one row. {@link forward} computes `hidden` and `logits` from `input`; training reads all. */
export interface Activations {
  /** The network's input: [embeddedCount embeddings, denseCount dense features, u]. */
  readonly input: Float32Array;
  readonly hidden: Float32Array;
  /** Unnormalised log-probabilities of the classes. */
  readonly logits: Float64Array;
}

export function createActivations(classCount: number): Activations {
  return {
    input: new Float32Array(inputCount),
    hidden: new Float32Array(hiddenSize),
    logits: new Float64Array(classCount),
  };
}

/** Adds one field's words to the network's input. Call {@link clearInput} before the first field. */
export function addField(
  weights: Weights,
  activations: Activations,
  field: number,
  buckets: ArrayLike<number>,
  start: number,
  end: number,
): void {
  if (end <= start) return;
  const { embeddings, wide } = weights;
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
    const bucket = buckets[i]!;
    const at = bucket * embeddingSize;
    e0 += embeddings[at]!;
    e1 += embeddings[at + 1]!;
    e2 += embeddings[at + 2]!;
    e3 += embeddings[at + 3]!;
    e4 += embeddings[at + 4]!;
    e5 += embeddings[at + 5]!;
    e6 += embeddings[at + 6]!;
    e7 += embeddings[at + 7]!;
    w += wide[bucket * fieldCount + field]!;
  }
  const scale = 1 / Math.sqrt(end - start);
  const { input } = activations;
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

export function clearInput(activations: Activations): void {
  activations.input.fill(0, 0, embeddedCount);
  activations.input[inputCount - 1] = 0;
}

/** Computes hidden units and logits from the input. */
export function forward(weights: Weights, { input, hidden, logits }: Activations): void {
  for (let h = 0; h < hiddenSize; h++) {
    let sum = weights.hiddenBias[h]!;
    const row = h * inputCount;
    for (let i = 0; i < inputCount; i++) sum += weights.hidden[row + i]! * input[i]!;
    hidden[h] = sum > 0 ? sum : 0;
  }
  for (let c = 0; c < weights.classCount; c++) {
    let sum = weights.outputBias[c]!;
    const row = c * hiddenSize;
    for (let h = 0; h < hiddenSize; h++) sum += weights.output[row + h]! * hidden[h]!;
    const skipRow = c * skipCount;
    for (let i = 0; i < skipCount; i++) sum += weights.skip[skipRow + i]! * input[embeddedCount + i]!;
    logits[c] = sum;
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
    activations.input[embeddedCount + d] = z > clip ? clip : z < -clip ? -clip : z;
  }
}
