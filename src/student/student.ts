import type { ExampleFields } from "../dataset/example.ts";
import { applyCalibration, type Calibration } from "./calibrate.ts";
import { createFeatureExtractor, fieldCount } from "./features.ts";
import {
  addField,
  clearInput,
  createActivations,
  forward,
  setDense,
  type Standardisation,
  type Weights,
} from "./network.ts";
import type { StudentCard } from "./card.ts";

/** A complete student, as its file holds it. */
export interface StudentModel {
  readonly card: StudentCard;
  readonly weights: Weights;
  readonly standardisation: Standardisation;
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
  /** [hiddenSize] Hidden activations, which are close for rows that the student treats alike. */
  readonly hidden: Float32Array;
  /** [inputCount] The network's input. */
  readonly input: Float32Array;
}

/** Creates a function that returns a student's probabilities, hidden activations and input for an example. */
export function createViewer(model: StudentModel): (example: ExampleFields) => StudentView {
  const { weights, standardisation, calibration } = model;
  const extract = createFeatureExtractor();
  const activations = createActivations(weights.classCount);
  const view = { probabilities: activations.logits, hidden: activations.hidden, input: activations.input };
  return (example) => {
    const features = extract(example);
    clearInput(activations);
    setDense(activations, features.dense, 0, standardisation);
    for (let f = 0; f < fieldCount; f++)
      addField(weights, activations, f, features.buckets[f]!, 0, features.counts[f]!);
    forward(weights, activations);
    applyCalibration(activations.logits, calibration);
    return view;
  };
}

/** The expected score: the mean of the scores, weighted by their probabilities. */
export function expectedScore(probabilities: ArrayLike<number>, scores: readonly number[]): number {
  let sum = 0;
  for (let c = 0; c < scores.length; c++) sum += probabilities[c]! * scores[c]!;
  return sum;
}
