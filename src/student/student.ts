import type { ExampleFields } from "../dataset/example.ts";
import { applyCalibration, type Calibration } from "./calibrate.ts";
import { createFeatureExtractor, listCount, type Features } from "./features.ts";
import {
  copyDense,
  createActivations,
  forward,
  setDense,
  setWords,
  type Activations,
  type Standardisation,
  type Weights,
} from "./network.ts";
import type { StudentCard } from "./card.ts";
import type { LmHead } from "./lm-head.ts";

/** A complete student, as its file holds it. */
export interface StudentModel {
  readonly card: StudentCard;
  readonly standardisation: Standardisation;
  /** Predicts the teacher's score of an answer that fits; its classes are {@link StudentCard.scores}. */
  readonly score: Network;
  /** Tells whether an answer fits its prompt; its classes are no (0) and yes (1). */
  readonly fit: Network;
  /** What a language model adds, for `student-lm`. */
  readonly lm?: LmHead | undefined;
}

/** A trained network, with its calibration. */
export interface Network {
  readonly weights: Weights;
  readonly calibration: Calibration;
}

/**
 * Creates a function that returns an example's calibrated probabilities of {@link StudentCard.scores}. Each call overwrites
 * the buffer that the previous call returned.
 */
export function createPredictor(model: StudentModel): (example: ExampleFields) => Float64Array {
  const look = createViewer(model);
  return (example) => look(example).probabilities;
}

/** A student's results for an example, in buffers that the next call overwrites. */
export interface StudentView {
  /** Calibrated probabilities of {@link StudentCard.scores}. */
  readonly probabilities: Float64Array;
  /** The probability that the answer belongs to its prompt and is whole. Where it does not, it counts as the lowest score. */
  readonly fits: number;
  /** [hiddenSize] Hidden activations, which are close for rows that the student treats alike. */
  readonly hidden: Float64Array;
  /** [inputCount] The network's input. */
  readonly input: Float64Array;
}

/** Creates a function that returns a student's probabilities, hidden activations and input for an example. */
export function createViewer(model: StudentModel): (example: ExampleFields) => StudentView {
  const { score, fit, standardisation } = model;
  const extract = createFeatureExtractor();
  const activations = createActivations(score.weights);
  const fitActivations = createActivations(fit.weights);
  const starts = new Int32Array(listCount);
  const view = {
    probabilities: activations.logits,
    fits: 1,
    hidden: activations.hidden,
    input: activations.input,
  };
  return (example) => {
    const features = extract(example);
    setDense(activations, features.dense, 0, standardisation);
    copyDense(activations, fitActivations);
    run(score, activations, features, starts);
    run(fit, fitActivations, features, starts);
    view.fits = fitActivations.logits[1]!;
    lowerBy(view.fits, activations.logits);
    return view;
  };
}

function run(
  { weights, calibration }: Network,
  activations: Activations,
  features: Features,
  starts: Int32Array,
): void {
  setWords(weights, activations, features.buckets, starts, features.counts);
  forward(weights, activations);
  applyCalibration(activations.logits, calibration);
}

/** Turns the probabilities of an answer's scores, if it fits, into those of its scores: one that does not fit has the lowest. */
export function lowerBy(fits: number, probabilities: Float64Array): void {
  for (let c = 0; c < probabilities.length; c++) probabilities[c]! *= fits;
  probabilities[0]! += 1 - fits;
}

/** The expected score: the mean of the scores, weighted by their probabilities. */
export function expectedScore(probabilities: ArrayLike<number>, scores: readonly number[]): number {
  let sum = 0;
  for (let c = 0; c < scores.length; c++) sum += probabilities[c]! * scores[c]!;
  return sum;
}
