import { createRandom, shuffle } from "../stats/random.ts";
import { bucketCount } from "./scan-field.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount } from "./features.ts";
import {
  addField,
  clearInput,
  createActivations,
  embeddingSize,
  forward,
  hiddenSize,
  inputCount,
  setDense,
  skipCount,
  softmax,
  weightSizes,
  type Activations,
  type Standardisation,
  type Weights,
} from "./network.ts";
import { standardise, usedBuckets, type TrainingSet } from "./training-set.ts";

export interface TrainOptions {
  readonly classCount: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each epoch. `epoch` counts from 1. */
  readonly onEpoch?: ((epoch: number, epochs: number) => void) | undefined;
}

export interface TrainedNetwork {
  readonly weights: Weights;
  readonly standardisation: Standardisation;
}

const wordDropout = 0.3; // the strongest regulariser that was tried; L2 added nothing
const neighbourShare = 0.1; // of the target, for the scores next to the teacher's (label smoothing): a 3 for a 4 is half right
const tableRate = 0.05;
const tableInitial = 0.05; // initial sum of squared gradients; keeps the first steps of rare words small
const denseRate = 0.03;
const denseInitial = 1e-4;
const embeddedCount = fieldCount * embeddingSize;

/** 4 to 12 epochs: more for fewer rows. */
function epochsFor(rows: number): number {
  return Math.round(4 + 8 * Math.min(1, 2000 / rows));
}

/**
 * Trains the network on the given rows, one row at a time: cross-entropy, Adagrad, and a learning rate that falls linearly
 * to 0. The same rows and seed give the same weights.
 */
export async function trainNetwork(
  set: TrainingSet,
  rows: Uint32Array,
  options: TrainOptions,
): Promise<TrainedNetwork> {
  const { classCount } = options;
  const random = createRandom(options.seed);
  const weights = initialWeights(classCount, random);
  const standardisation = standardise(set, rows);
  const step = createStep(weights, classCount);
  const activations = createActivations(classCount);
  const order = rows.slice();
  const epochs = epochsFor(rows.length);
  const total = epochs * order.length;
  const kept = keptWords();
  let done = 0;

  for (let epoch = 1; epoch <= epochs; epoch++) {
    shuffle(order, random);
    for (const row of order) {
      clearInput(activations);
      setDense(activations, set.dense, row * denseCount, standardisation);
      kept.draw(set, row, random);
      for (let f = 0; f < fieldCount; f++)
        addField(weights, activations, f, kept.buckets, kept.starts[f]!, kept.starts[f + 1]!);
      forward(weights, activations);
      step(activations, kept, set.classes[row]!, 1 - done / total);
      done++;
    }
    options.onEpoch?.(epoch, epochs);
    await new Promise((resolve) => setImmediate(resolve)); // lets signal handlers and progress reports run
    options.signal?.throwIfAborted();
  }
  zeroUnusedBuckets(weights, usedBuckets(set, rows));
  return { weights, standardisation };
}

function initialWeights(classCount: number, random: () => number): Weights {
  const sizes = weightSizes(classCount);
  const uniform = (length: number, bound: number) => Float32Array.from({ length }, () => (random() * 2 - 1) * bound);
  return {
    classCount,
    embeddings: uniform(sizes.embeddings, 0.1),
    wide: new Float32Array(sizes.wide),
    hidden: uniform(sizes.hidden, Math.sqrt(3 / inputCount)),
    hiddenBias: new Float32Array(sizes.hiddenBias),
    output: uniform(sizes.output, Math.sqrt(3 / hiddenSize)),
    outputBias: new Float32Array(sizes.outputBias),
    skip: new Float32Array(sizes.skip),
  };
}

/** The words of one row that remain after word dropout. */
interface KeptWords {
  buckets: Uint16Array;
  /** Where each field begins in `buckets`, and where the last one ends. */
  readonly starts: Int32Array;
  draw(set: TrainingSet, row: number, random: () => number): void;
}

function keptWords(): KeptWords {
  return {
    buckets: new Uint16Array(2 ** 12),
    starts: new Int32Array(fieldCount + 1),
    draw(set, row, random) {
      const first = row * fieldCount;
      const most = set.offsets[first + fieldCount]! - set.offsets[first]!;
      if (most > this.buckets.length) this.buckets = new Uint16Array(most * 2);
      let count = 0;
      for (let f = 0; f < fieldCount; f++) {
        this.starts[f] = count;
        for (let i = set.offsets[first + f]!; i < set.offsets[first + f + 1]!; i++) {
          if (random() >= wordDropout) this.buckets[count++] = set.buckets[i]!;
        }
      }
      this.starts[fieldCount] = count;
    },
  };
}

/** Creates the function that makes one gradient step for a row's activations. `fade` scales the learning rate, 1 to 0. */
function createStep(
  weights: Weights,
  classCount: number,
): (activations: Activations, kept: KeptWords, target: number, fade: number) => void {
  const sums = {
    table: new Float32Array(bucketCount).fill(tableInitial), // one sum for all weights of a bucket
    hidden: new Float32Array(weights.hidden.length).fill(denseInitial),
    hiddenBias: new Float32Array(hiddenSize).fill(denseInitial),
    output: new Float32Array(weights.output.length).fill(denseInitial),
    outputBias: new Float32Array(classCount).fill(denseInitial),
    skip: new Float32Array(weights.skip.length).fill(denseInitial),
  };
  const inputGradient = new Float32Array(inputCount);
  const hiddenGradient = new Float32Array(hiddenSize);

  return (activations, kept, target, rateScale) => {
    const { input, hidden, logits } = activations;
    const rate = denseRate * rateScale;
    softmax(logits);
    subtractTarget(logits, target);
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
      inputGradient[inputCount - 1]! += g * weights.skip[skipRow + skipCount - 1]!;
      for (let i = 0; i < skipCount; i++)
        adagrad(weights.skip, sums.skip, skipRow + i, g * input[embeddedCount + i]!, rate);
    }
    for (let h = 0; h < hiddenSize; h++) {
      if (hidden[h]! <= 0) continue;
      const g = hiddenGradient[h]!;
      const row = h * inputCount;
      for (let i = 0; i < inputCount; i++) {
        if (i < embeddedCount || i === inputCount - 1) inputGradient[i]! += g * weights.hidden[row + i]!;
        adagrad(weights.hidden, sums.hidden, row + i, g * input[i]!, rate);
      }
      adagrad(weights.hiddenBias, sums.hiddenBias, h, g, rate);
    }
    updateTables(weights, sums.table, inputGradient, kept, tableRate * rateScale);
  };
}

function updateTables(
  { embeddings, wide }: Weights,
  sums: Float32Array,
  gradient: Float32Array,
  kept: KeptWords,
  rate: number,
): void {
  const wideGradient = gradient[inputCount - 1]!;
  for (let f = 0; f < fieldCount; f++) {
    const start = kept.starts[f]!;
    const end = kept.starts[f + 1]!;
    const scale = 1 / Math.sqrt(end - start || 1);
    const offset = f * embeddingSize;
    let squares = wideGradient * wideGradient;
    for (let k = 0; k < embeddingSize; k++) squares += gradient[offset + k]! ** 2;
    const meanSquare = (squares * scale * scale) / (embeddingSize + 1);
    for (let i = start; i < end; i++) {
      const bucket = kept.buckets[i]!;
      const sum = (sums[bucket]! += meanSquare);
      const step = (rate * scale) / Math.sqrt(sum);
      const at = bucket * embeddingSize;
      for (let k = 0; k < embeddingSize; k++) embeddings[at + k]! -= step * gradient[offset + k]!;
      wide[bucket * fieldCount + f]! -= step * wideGradient;
    }
  }
}

function adagrad(weights: Float32Array, sums: Float32Array, at: number, gradient: number, rate: number): void {
  if (gradient === 0) return;
  const sum = (sums[at]! += gradient * gradient);
  weights[at]! -= (rate * gradient) / Math.sqrt(sum);
}

/** Turns `probabilities`, in place, into the gradient of the cross-entropy with the smoothed target. */
function subtractTarget(probabilities: Float64Array, target: number): void {
  const last = probabilities.length - 1;
  if (last === 0) return void (probabilities[0]! -= 1);
  const below = target > 0 ? (target < last ? neighbourShare / 2 : neighbourShare) : 0;
  const above = target < last ? neighbourShare - below : 0;
  probabilities[target]! -= 1 - neighbourShare;
  if (below) probabilities[target - 1]! -= below;
  if (above) probabilities[target + 1]! -= above;
}

function zeroUnusedBuckets({ embeddings, wide }: Weights, used: Uint8Array): void {
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    if (used[bucket]) continue;
    embeddings.fill(0, bucket * embeddingSize, (bucket + 1) * embeddingSize);
    wide.fill(0, bucket * fieldCount, (bucket + 1) * fieldCount);
  }
}
