import { createRandom, shuffle } from "../stats/random.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount, listCount } from "./features.ts";
import {
  createActivations,
  embeddingSize,
  forward,
  embeddedCount,
  inputCount,
  sumStart,
  setDense,
  setWords,
  skipCount,
  softmax,
  weightSizes,
  type Activations,
  type NetworkShape,
  type Standardisation,
  type Weights,
} from "./network.ts";
import { usedBuckets, type TrainingSet } from "./training-set.ts";

export interface TrainOptions {
  readonly shape: NetworkShape;
  /** The class of a row of the set. */
  readonly classOf: (row: number) => number;
  /** The share of the target that goes to the classes beside it (label smoothing). */
  readonly neighbourShare: number;
  readonly standardisation: Standardisation;
  readonly epochs: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each epoch, which counts from 1. */
  readonly onEpoch?: ((epoch: number) => void) | undefined;
}

const wordDropout = 0.3; // the strongest regulariser that was tried; L2 added nothing
const tableRate = 0.05;
const tableInitial = 0.05; // initial sum of squared gradients; keeps the first steps of rare words small
const denseRate = 0.03;
const denseInitial = 1e-4;

/**
 * Trains a network on the given rows of a set, one at a time: cross-entropy, Adagrad, and a learning rate that falls linearly
 * to 0. The same rows and seed give the same weights.
 */
export async function trainNetwork(set: TrainingSet, rows: Uint32Array, options: TrainOptions): Promise<Weights> {
  const { shape, standardisation, epochs } = options;
  const random = createRandom(options.seed);
  const weights = initialWeights(shape, random);
  const step = createStep(weights, options.neighbourShare);
  const activations = createActivations(shape);
  const order = rows.slice();
  const total = epochs * order.length;
  const kept = keptWords();
  let done = 0;

  for (let epoch = 1; epoch <= epochs; epoch++) {
    shuffle(order, random);
    for (const row of order) {
      setDense(activations, set.dense, row * denseCount, standardisation);
      kept.draw(set, row, random);
      setWords(weights, activations, kept.lists, kept.starts, kept.ends);
      forward(weights, activations);
      step(activations, kept, options.classOf(row), 1 - done / total);
      done++;
    }
    options.onEpoch?.(epoch);
    await new Promise((resolve) => setImmediate(resolve)); // lets signal handlers and progress reports run
    options.signal?.throwIfAborted();
  }
  zeroUnusedBuckets(weights, usedBuckets(set, rows, shape.bucketCount));
  return weights;
}

function initialWeights(shape: NetworkShape, random: () => number): Weights {
  const sizes = weightSizes(shape);
  const draw = (bound: number) => () => (random() * 2 - 1) * bound;
  return {
    ...shape,
    embeddings: Float32Array.from({ length: sizes.embeddings }, draw(0.1)),
    wide: new Float32Array(sizes.wide),
    hidden: Float32Array.from({ length: sizes.hidden }, draw(Math.sqrt(3 / inputCount))),
    hiddenBias: new Float32Array(sizes.hiddenBias),
    output: Float32Array.from({ length: sizes.output }, draw(Math.sqrt(3 / shape.hiddenSize))),
    outputBias: new Float32Array(sizes.outputBias),
    skip: new Float32Array(sizes.skip),
  };
}

/** The words of one row that remain after word dropout. */
interface KeptWords {
  buckets: Uint16Array;
  /** [listCount] `buckets`, once for each list. */
  readonly lists: Uint16Array[];
  /** Where each list begins in `buckets`, and where it ends. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  draw(set: TrainingSet, row: number, random: () => number): void;
}

function keptWords(): KeptWords {
  const buckets = new Uint16Array(2 ** 12);
  return {
    buckets,
    lists: Array.from({ length: listCount }, () => buckets),
    starts: new Int32Array(listCount),
    ends: new Int32Array(listCount),
    draw(set, row, random) {
      const first = row * listCount;
      const most = set.offsets[first + listCount]! - set.offsets[first]!;
      if (most > this.buckets.length) this.lists.fill((this.buckets = new Uint16Array(most * 2)));
      let count = 0;
      for (let f = 0; f < listCount; f++) {
        this.starts[f] = count;
        for (let i = set.offsets[first + f]!; i < set.offsets[first + f + 1]!; i++) {
          if (random() >= wordDropout) this.buckets[count++] = set.buckets[i]!;
        }
        this.ends[f] = count;
      }
    },
  };
}

/** Creates the function that makes one gradient step for a row's activations. `fade` scales the learning rate, 1 to 0. */
function createStep(
  weights: Weights,
  neighbourShare: number,
): (activations: Activations, kept: KeptWords, target: number, fade: number) => void {
  const { classCount, hiddenSize, bucketCount } = weights;
  const sums = {
    table: new Float32Array(bucketCount).fill(tableInitial), // one sum for all weights of a bucket
    shared: new Float32Array(bucketCount * (listCount - fieldCount)).fill(tableInitial),
    hidden: new Float32Array(weights.hidden.length).fill(denseInitial),
    hiddenBias: new Float32Array(hiddenSize).fill(denseInitial),
    output: new Float32Array(weights.output.length).fill(denseInitial),
    outputBias: new Float32Array(classCount).fill(denseInitial),
    skip: new Float32Array(weights.skip.length).fill(denseInitial),
  };
  const inputGradient = new Float64Array(inputCount);
  const hiddenGradient = new Float64Array(hiddenSize);

  return (activations, kept, target, rateScale) => {
    const { input, hidden, logits } = activations;
    const rate = denseRate * rateScale;
    softmax(logits);
    subtractTarget(logits, target, neighbourShare);
    inputGradient.fill(0);
    hiddenGradient.fill(0);

    for (let c = 0; c < classCount; c++) {
      const g = logits[c]!;
      const row = c * hiddenSize;
      for (let h = 0; h < hiddenSize; h++) {
        const at = row + h;
        hiddenGradient[h]! += g * weights.output[at]!;
        adagrad(weights.output, sums.output, at, g * hidden[h]!, rate);
      }
      adagrad(weights.outputBias, sums.outputBias, c, g, rate);
      const skipRow = c * skipCount;
      for (let i = 0; i < skipCount; i++) {
        inputGradient[embeddedCount + i]! += g * weights.skip[skipRow + i]!;
        adagrad(weights.skip, sums.skip, skipRow + i, g * input[embeddedCount + i]!, rate);
      }
    }
    for (let h = 0; h < hiddenSize; h++) {
      if (hidden[h]! <= 0) continue;
      const g = hiddenGradient[h]!;
      const row = h * inputCount;
      for (let i = 0; i < inputCount; i++) {
        inputGradient[i]! += g * weights.hidden[row + i]!;
        adagrad(weights.hidden, sums.hidden, row + i, g * input[i]!, rate);
      }
      adagrad(weights.hiddenBias, sums.hiddenBias, h, g, rate);
    }
    multiplyBack(inputGradient, input);
    updateTables(weights, sums.table, sums.shared, inputGradient, kept, tableRate * rateScale);
  };
}

/** Adds to the gradient of the embeddings what reaches them through their products. */
function multiplyBack(gradient: Float64Array, input: Float64Array): void {
  for (let k = 0; k < embeddingSize; k++) {
    const ofInstruction = gradient[embeddedCount + k]!;
    const ofInput = gradient[embeddedCount + embeddingSize + k]!;
    const output = input[k]!;
    gradient[k]! += ofInstruction * input[embeddingSize + k]! + ofInput * input[2 * embeddingSize + k]!;
    gradient[embeddingSize + k]! += ofInstruction * output;
    gradient[2 * embeddingSize + k]! += ofInput * output;
  }
}

function updateTables(
  { embeddings, wide, bucketCount, lists }: Weights,
  sums: Float32Array,
  sharedSums: Float32Array,
  gradient: Float64Array,
  kept: KeptWords,
  rate: number,
): void {
  const mask = bucketCount - 1;
  const wideGradient = gradient[inputCount - 1]!;
  for (let f = 0; f < fieldCount; f++) {
    const start = kept.starts[f]!;
    const end = kept.ends[f]!;
    const scale = 1 / Math.sqrt(end - start || 1);
    const offset = f * embeddingSize;
    let squares = wideGradient * wideGradient;
    for (let k = 0; k < embeddingSize; k++) squares += gradient[offset + k]! ** 2;
    const meanSquare = (squares * scale * scale) / (embeddingSize + 1);
    for (let i = start; i < end; i++) {
      const bucket = kept.buckets[i]! & mask;
      const sum = (sums[bucket]! += meanSquare);
      const step = (rate * scale) / Math.sqrt(sum);
      const at = bucket * embeddingSize;
      for (let k = 0; k < embeddingSize; k++) embeddings[at + k]! -= step * gradient[offset + k]!;
      wide[bucket * lists + f]! -= step * wideGradient;
    }
  }
  for (let l: number = fieldCount; l < lists; l++) {
    const start = kept.starts[l]!;
    const end = kept.ends[l]!;
    const scale = 1 / Math.sqrt(end - start || 1);
    const own = gradient[sumStart + l - fieldCount]!;
    for (let i = start; i < end; i++) {
      const bucket = kept.buckets[i]! & mask;
      const at = bucket * (listCount - fieldCount) + l - fieldCount;
      const sum = (sharedSums[at]! += own * own * scale * scale);
      wide[bucket * lists + l]! -= (rate * scale * own) / Math.sqrt(sum);
    }
  }
}

function adagrad(weights: Float32Array, sums: Float32Array, at: number, gradient: number, rate: number): void {
  if (gradient === 0) return;
  const sum = (sums[at]! += gradient * gradient);
  weights[at]! -= (rate * gradient) / Math.sqrt(sum);
}

/** Turns `probabilities`, in place, into the gradient of the cross-entropy with the smoothed target. */
function subtractTarget(probabilities: Float64Array, target: number, neighbourShare: number): void {
  const last = probabilities.length - 1;
  if (last === 0 || neighbourShare === 0) return void (probabilities[target]! -= 1);
  const below = target > 0 ? (target < last ? neighbourShare / 2 : neighbourShare) : 0;
  const above = target < last ? neighbourShare - below : 0;
  probabilities[target]! -= 1 - neighbourShare;
  if (below) probabilities[target - 1]! -= below;
  if (above) probabilities[target + 1]! -= above;
}

function zeroUnusedBuckets({ embeddings, wide, bucketCount, lists }: Weights, used: Uint8Array): void {
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    if (used[bucket]) continue;
    embeddings.fill(0, bucket * embeddingSize, (bucket + 1) * embeddingSize);
    wide.fill(0, bucket * lists, (bucket + 1) * lists);
  }
}
