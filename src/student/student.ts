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

/** Everything a student is made of; what its file holds. */
export interface StudentModel {
  readonly card: StudentCard;
  readonly weights: Weights;
  readonly standardisation: Standardisation;
  readonly calibration: Calibration;
}

/**
 * A function that gives the calibrated probabilities of {@link StudentCard.scores} for an example, in a buffer that
 * the next call overwrites.
 */
export function createPredictor(model: StudentModel): (example: ExampleFields) => Float64Array {
  const look = createViewer(model);
  return (example) => look(example).probabilities;
}

/** What a student makes of an example, in buffers that the next look overwrites. */
export interface StudentView {
  /** Calibrated, of {@link StudentCard.scores}. */
  readonly probabilities: Float64Array;
  /** [hiddenSize]: rows that the student takes for alike are near one another. */
  readonly hidden: Float32Array;
  /** [inputCount]: what its network reads. */
  readonly input: Float32Array;
}

/** A function that gives all that a student makes of an example. */
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

/** The mean of the scores, each weighted by its probability. */
export function expectedScore(probabilities: ArrayLike<number>, scores: readonly number[]): number {
  let sum = 0;
  for (let c = 0; c < scores.length; c++) sum += probabilities[c]! * scores[c]!;
  return sum;
}
