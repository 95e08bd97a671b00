import { areaUnderCurve, calibrationError, precisionAtTop, spearman } from "../stats/agreement.ts";
import { createRandom, shuffledIndices } from "../stats/random.ts";
import { applyCalibration, fitCalibration } from "./calibrate.ts";
import type { HeldOut } from "./card.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount } from "./features.ts";
import { addField, clearInput, createActivations, forward, setDense } from "./network.ts";
import { expectedScore, type StudentModel } from "./student.ts";
import { trainNetwork, type TrainedNetwork } from "./train.ts";
import type { TrainingSet } from "./training-set.ts";

export interface DistillNetworkOptions {
  /** The teacher's scores, ascending; the classes of the training set are indices into it. */
  readonly scores: readonly number[];
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the share of the work done so far, 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

const fewRows = 10_000;

/**
 * Trains a student and measures it on held-out rows: five-fold cross-validation under 10,000 rows, one tenth held out from
 * there on. The calibration is fitted to the same held-out logits. The final network is then trained on all rows.
 */
export async function distillNetwork(
  set: TrainingSet,
  options: DistillNetworkOptions,
): Promise<Omit<StudentModel, "card"> & { heldOut: HeldOut }> {
  const order = shuffledIndices(set.rowCount, createRandom(options.seed));
  const folds = set.rowCount < fewRows ? 5 : 10;
  const measuredFolds = set.rowCount < fewRows ? 5 : 1;
  const parts = measuredFolds + 1;
  const train = (rows: Uint32Array, part: number) =>
    trainNetwork(set, rows, {
      classCount: options.scores.length,
      seed: options.seed,
      signal: options.signal,
      onEpoch: (epoch, epochs) => options.onProgress?.((part + epoch / epochs) / parts),
    });

  const heldOutRows = new Uint32Array(order.filter((_, i) => i % folds < measuredFolds).length);
  const raw = new Float64Array(heldOutRows.length * options.scores.length);
  let measured = 0;
  for (let fold = 0; fold < measuredFolds; fold++) {
    const network = await train(
      order.filter((_, i) => i % folds !== fold),
      fold,
    );
    const rows = order.filter((_, i) => i % folds === fold);
    heldOutRows.set(rows, measured);
    raw.set(predictLogits(network, set, rows), measured * options.scores.length);
    measured += rows.length;
  }
  const classes = Array.from(heldOutRows, (row) => set.classes[row]!);
  const calibration = fitCalibration(raw, classes, options.scores.length);
  const heldOut = measureHeldOut(raw, classes, options.scores, measuredFolds === 5 ? "five folds" : "one tenth");
  const network = await train(order, measuredFolds);
  return { ...network, calibration, heldOut };
}

/** Raw logits of the given rows, [row, class]. */
function predictLogits(
  { weights, standardisation }: TrainedNetwork,
  set: TrainingSet,
  rows: Uint32Array,
): Float64Array {
  const activations = createActivations(weights.classCount);
  const logits = new Float64Array(rows.length * weights.classCount);
  rows.forEach((row, i) => {
    clearInput(activations);
    setDense(activations, set.dense, row * denseCount, standardisation);
    for (let f = 0; f < fieldCount; f++) {
      addField(
        weights,
        activations,
        f,
        set.buckets,
        set.offsets[row * fieldCount + f]!,
        set.offsets[row * fieldCount + f + 1]!,
      );
    }
    forward(weights, activations);
    logits.set(activations.logits, i * weights.classCount);
  });
  return logits;
}

const calibrationFolds = 5;

/**
 * Measures how well calibrated predictions agree with the teacher's scores. Each fifth of the rows is calibrated on the other
 * four, since a calibration looks too good on the rows it was fitted to. `logits` is [row, class] and is not changed.
 */
function measureHeldOut(
  logits: Float64Array,
  classes: readonly number[],
  scores: readonly number[],
  how: string,
): HeldOut {
  const classCount = scores.length;
  const probabilities = logits.slice();
  const rowsOf = (isIn: (row: number) => boolean) => [...classes.keys()].filter(isIn);
  const logitsOf = (row: number) => logits.subarray(row * classCount, (row + 1) * classCount);
  for (let fold = 0; fold < calibrationFolds; fold++) {
    const others = rowsOf((row) => row % calibrationFolds !== fold);
    const fitted = new Float64Array(others.length * classCount);
    for (const [i, row] of others.entries()) fitted.set(logitsOf(row), i * classCount);
    const calibration = fitCalibration(
      fitted,
      others.map((row) => classes[row]!),
      classCount,
    );
    for (const row of rowsOf((one) => one % calibrationFolds === fold))
      applyCalibration(probabilities.subarray(row * classCount, (row + 1) * classCount), calibration);
  }
  return measureProbabilities(
    probabilities,
    classes.map((c) => scores[c]!),
    scores,
    how,
  );
}

/** Measures how well probabilities, [row, class], agree with the teacher's scores. */
export function measureProbabilities(
  probabilities: Float64Array,
  teacher: readonly number[],
  scores: readonly number[],
  how: string,
): HeldOut {
  const classCount = scores.length;
  const expected = new Float64Array(teacher.length);
  const atLeast = scores.map(() => new Float64Array(teacher.length));
  let squares = 0;
  for (let row = 0; row < teacher.length; row++) {
    const own = probabilities.subarray(row * classCount, (row + 1) * classCount);
    expected[row] = expectedScore(own, scores);
    squares += (expected[row]! - teacher[row]!) ** 2;
    let sum = 0;
    for (let c = classCount - 1; c >= 0; c--) atLeast[c]![row] = sum += own[c]!;
  }
  const thresholds = scores.slice(1).map((threshold, i) => {
    const positive = Uint8Array.from(teacher, (score) => (score >= threshold ? 1 : 0));
    const rows = positive.reduce((sum, is) => sum + is, 0);
    return {
      threshold,
      rows,
      share: rows / teacher.length,
      auc: finite(areaUnderCurve(atLeast[i + 1]!, positive)),
      precision: finite(precisionAtTop(expected, positive, rows)),
      calibrationError: calibrationError(atLeast[i + 1]!, positive),
    };
  });
  return {
    how,
    rows: teacher.length,
    spearman: spearman(expected, teacher),
    thresholds,
    rootMeanSquareError: Math.sqrt(squares / teacher.length),
  };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
