import { softmax } from "./network.ts";

/** Calibrates probabilities: logits are divided by the temperature, then a bias is added for each class. */
export interface Calibration {
  readonly temperature: number;
  readonly biases: readonly number[];
}

const steps = 400;
const rate = 0.05;

/**
 * Fits one temperature and one bias per class to held-out logits (temperature scaling, Guo et al. 2017, with biases).
 * Minimises the cross-entropy with Adam.
 *
 * @param logits [row, class]
 * @param classes the true class of each row
 */
export function fitCalibration(logits: Float64Array, classes: ArrayLike<number>, classCount: number): Calibration {
  const rows = classes.length;
  const parameters = new Float64Array(classCount + 1); // log of the inverse temperature, then the biases
  const mean = new Float64Array(classCount + 1);
  const square = new Float64Array(classCount + 1);
  const gradient = new Float64Array(classCount + 1);
  const probabilities = new Float64Array(classCount);
  for (let step = 1; step <= steps; step++) {
    const scale = Math.exp(parameters[0]!);
    gradient.fill(0);
    for (let row = 0; row < rows; row++) {
      const start = row * classCount;
      for (let c = 0; c < classCount; c++) probabilities[c] = logits[start + c]! * scale + parameters[c + 1]!;
      softmax(probabilities);
      probabilities[classes[row]!]! -= 1;
      for (let c = 0; c < classCount; c++) {
        gradient[0]! += probabilities[c]! * logits[start + c]! * scale;
        gradient[c + 1]! += probabilities[c]!;
      }
    }
    for (let p = 0; p <= classCount; p++) {
      const g = gradient[p]! / rows;
      mean[p] = 0.9 * mean[p]! + 0.1 * g;
      square[p] = 0.99 * square[p]! + 0.01 * g * g;
      parameters[p]! -= (rate * (mean[p]! / (1 - 0.9 ** step))) / (Math.sqrt(square[p]! / (1 - 0.99 ** step)) + 1e-8);
    }
  }
  return { temperature: Math.exp(-parameters[0]!), biases: Array.from(parameters.subarray(1)) };
}

/** Turns raw logits into calibrated probabilities, in place. */
export function applyCalibration(logits: Float64Array, { temperature, biases }: Calibration): void {
  for (let c = 0; c < logits.length; c++) logits[c] = logits[c]! / temperature + biases[c]!;
  softmax(logits);
}
