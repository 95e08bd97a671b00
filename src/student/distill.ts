/*
 * Trains a student's networks and measures them on held-out rows. Longer than most files: the figures of the held-out rows decide the
 * calibration of the networks, so that both stand together.
 */
import { areaUnderCurve, calibrationError, precisionAtTop, spearman } from "../stats/agreement.ts";
import { createRandom, shuffledIndices } from "../stats/random.ts";
import { applyCalibration, fitCalibration, type Calibration } from "./calibrate.ts";
import type { HeldOut, StudentFit } from "./card.ts";
import { denseCount } from "./dense-features.ts";
import { fieldCount, listCount } from "./features.ts";
import { createActivations, forward, setDense, setWords, type Standardisation, type Weights } from "./network.ts";
import { bucketCount } from "./scan-field.ts";
import { expectedScore, lowerBy, type StudentModel } from "./student.ts";
import { trainNetwork } from "./train.ts";
import { corruptedRow, standardise, trueRow, type TrainingSet } from "./training-set.ts";

export interface DistillNetworkOptions {
  /** The teacher's scores, ascending; the classes of the training set are indices into it. */
  readonly scores: readonly number[];
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the share of the work done so far, 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

const fewRows = 10_000;
const neighbourShare = 0.1; // a 3 for a 4 is half right
const scoreHidden = 24;
const fitHidden = 12; // more units and more buckets tell hardly better
const fitBuckets = 2 ** 13;
const unfitShares = [0.06, 0.05, 0.04, 0.03, 0.02, 0.01, 0.005]; // with more, spoilt rows score lower, and so do true ones that look it
const mostLost = 0.018; // of Spearman

/**
 * Trains a student and measures it on held-out rows: five-fold cross-validation under 10,000 rows, one tenth held out from
 * there on. The calibrations are fitted to the same held-out logits. The final networks are then trained on all rows.
 */
export async function distillNetwork(
  set: TrainingSet,
  options: DistillNetworkOptions,
): Promise<
  Omit<StudentModel, "card" | "lm"> & { heldOut: HeldOut; heldOutFit: StudentFit; heldOutRows: HeldOutRow[] }
> {
  const order = shuffledIndices(set.rowCount, createRandom(options.seed));
  const folds = set.rowCount < fewRows ? 5 : 10;
  const measuredFolds = set.rowCount < fewRows ? 5 : 1;

  const logits: HeldOutLogits = { score: [], spoiltScore: [], fit: [], spoiltFit: [] };
  const classes: number[] = [];
  const rows: number[] = [];
  const onPart = (part: number) => (share: number) => options.onProgress?.((part + share) / (measuredFolds + 1));
  for (let fold = 0; fold < measuredFolds; fold++) {
    const networks = await trainBoth(
      set,
      order.filter((_, i) => i % folds !== fold),
      options,
      onPart(fold),
    );
    const score = createLogits(networks.score, networks.standardisation, set);
    const fit = createLogits(networks.fit, networks.standardisation, set);
    for (const row of order.filter((_, i) => i % folds === fold)) {
      logits.score.push(score(trueRow(row)));
      logits.spoiltScore.push(score(corruptedRow(row)));
      logits.fit.push(fit(trueRow(row)));
      logits.spoiltFit.push(fit(corruptedRow(row)));
      classes.push(set.classes[row]!);
      rows.push(row);
    }
  }
  const how = measuredFolds === 5 ? "five folds" : "one tenth";
  const measured = measureHeldOut(logits, classes, options.scores, how);
  const calibrations = calibrate(logits, classes, () => true);
  const heldOutRows = rows.map((row, i) => {
    const lookAt = (own: Float64Array, ownFit: Float64Array): HeldOutView => {
      applyCalibration(own, calibrations.score);
      applyCalibration(ownFit, calibrations.fit);
      return { expected: expectedScore(own, options.scores) - options.scores[0]!, fits: ownFit[1]! };
    };
    return {
      row,
      whole: lookAt(logits.score[i]!, logits.fit[i]!),
      spoilt: lookAt(logits.spoiltScore[i]!, logits.spoiltFit[i]!),
    };
  });
  const { score, fit, standardisation } = await trainBoth(set, order, options, onPart(measuredFolds));
  return {
    standardisation,
    score: { weights: score, calibration: calibrations.score },
    fit: { weights: fit, calibration: expectUnfit(measured.heldOutFit.unfitShare, calibrations.fit) },
    ...measured,
    heldOutRows,
  };
}

/** A row of the set as networks that were not trained on it see it: as it is, and spoilt. */
export interface HeldOutRow {
  readonly row: number;
  readonly whole: HeldOutView;
  readonly spoilt: HeldOutView;
}

interface HeldOutView {
  /** The expected score if the answer fits, above the lowest score. */
  readonly expected: number;
  /** The probability that the answer fits, where half of the answers do. */
  readonly fits: number;
}

interface Networks {
  readonly standardisation: Standardisation;
  readonly score: Weights;
  readonly fit: Weights;
}

/** Trains both networks: the one for the score on rows as they are, the other on these and on their spoilt versions. */
async function trainBoth(
  set: TrainingSet,
  rows: Uint32Array,
  { scores, seed, signal }: DistillNetworkOptions,
  onShare: (share: number) => void,
): Promise<Networks> {
  const trueRows = rows.map(trueRow);
  const standardisation = standardise(set, trueRows);
  const epochs = Math.round(4 + 8 * Math.min(1, 2000 / rows.length)); // more for fewer rows
  const common = { standardisation, epochs, seed, signal };
  const score = await trainNetwork(set, trueRows, {
    ...common,
    shape: { classCount: scores.length, hiddenSize: scoreHidden, bucketCount, lists: fieldCount },
    classOf: (row) => set.classes[row >> 1]!,
    neighbourShare,
    onEpoch: (epoch) => onShare(epoch / epochs / 3),
  });
  const fit = await trainNetwork(set, Uint32Array.from([...rows].flatMap((row) => [trueRow(row), corruptedRow(row)])), {
    ...common,
    shape: { classCount: 2, hiddenSize: fitHidden, bucketCount: fitBuckets, lists: listCount },
    classOf: (row) => (row === trueRow(row >> 1) ? 1 : 0),
    neighbourShare: 0,
    onEpoch: (epoch) => onShare(1 / 3 + (2 * epoch) / epochs / 3),
  });
  return { standardisation, score, fit };
}

/** Logits, [class], of held-out rows: of both networks, for the rows as they are and spoilt; in the same order. */
interface HeldOutLogits {
  readonly score: Float64Array[];
  readonly spoiltScore: Float64Array[];
  readonly fit: Float64Array[];
  readonly spoiltFit: Float64Array[];
}

/** Creates a function that returns a network's raw logits, [class], for one of the set's rows. */
function createLogits(
  weights: Weights,
  standardisation: Standardisation,
  set: TrainingSet,
): (row: number) => Float64Array {
  const activations = createActivations(weights);
  const lists = Array<Uint16Array>(listCount).fill(set.buckets);
  return (row) => {
    const starts = set.offsets.subarray(row * listCount, (row + 1) * listCount);
    const ends = set.offsets.subarray(row * listCount + 1, (row + 1) * listCount + 1);
    setDense(activations, set.dense, row * denseCount, standardisation);
    setWords(weights, activations, lists, starts, ends);
    forward(weights, activations);
    return activations.logits.slice();
  };
}

/** Fits the calibrations to some of the held-out rows. That of the fit takes half of the answers not to fit, as they are here. */
function calibrate(
  logits: HeldOutLogits,
  classes: readonly number[],
  isIn: (row: number) => boolean,
): { score: Calibration; fit: Calibration } {
  const rows = [...classes.keys()].filter(isIn);
  const packed = (lists: readonly Float64Array[]) => {
    const width = lists[0]!.length;
    const all = new Float64Array(rows.length * width);
    for (const [i, row] of rows.entries()) all.set(lists[row]!, i * width);
    return all;
  };
  const score = fitCalibration(
    packed(logits.score),
    rows.map((row) => classes[row]!),
    logits.score[0]!.length,
  );
  const fit = fitCalibration(
    Float64Array.from([...packed(logits.fit), ...packed(logits.spoiltFit)]),
    [...rows.map(() => 1), ...rows.map(() => 0)],
    2,
  );
  return { score, fit };
}

/** A calibration for data of which this share of the answers does not fit, where it was a half. */
function expectUnfit(share: number, { temperature, biases }: Calibration): Calibration {
  const [no, yes] = biases as [number, number];
  return { temperature, biases: [no + Math.log(share), yes + Math.log(1 - share)] };
}

const calibrationFolds = 5;

/**
 * Measures how well calibrated predictions agree with the teacher's scores, and tell answers that do not fit. Each fifth of
 * the rows is calibrated on the other four, since a calibration looks too good on the rows it was fitted to.
 *
 * The share of answers taken not to fit is the largest of {@link unfitShares} with which the agreement falls by no more than
 * {@link mostLost}: rated data have few such answers, so that looking out for them costs agreement, most where few rows taught how.
 */
function measureHeldOut(
  logits: HeldOutLogits,
  classes: readonly number[],
  scores: readonly number[],
  how: string,
): { heldOut: HeldOut; heldOutFit: StudentFit } {
  const teacher = classes.map((c) => scores[c]!);
  const calibrations = Array.from({ length: calibrationFolds }, (_, fold) =>
    calibrate(logits, classes, (row) => row % calibrationFolds !== fold),
  );
  const lookAt = (unfitShare: number) => {
    const probabilities = new Float64Array(classes.length * scores.length);
    const fits = { true: [] as number[], spoilt: [] as number[] };
    const expected = { true: [] as number[], spoilt: [] as number[] };
    const shifted = calibrations.map(({ score, fit }) => ({ score, fit: expectUnfit(unfitShare, fit) }));
    const look = (row: number, of: "true" | "spoilt") => {
      const own = (of === "true" ? logits.score : logits.spoiltScore)[row]!.slice();
      const fit = (of === "true" ? logits.fit : logits.spoiltFit)[row]!.slice();
      const calibration = shifted[row % calibrationFolds]!;
      applyCalibration(own, calibration.score);
      applyCalibration(fit, calibration.fit);
      lowerBy(fit[1]!, own);
      fits[of].push(fit[1]!);
      expected[of].push(expectedScore(own, scores));
      return own;
    };
    for (let row = 0; row < classes.length; row++) {
      probabilities.set(look(row, "true"), row * scores.length);
      look(row, "spoilt");
    }
    return { unfitShare, probabilities, fits, expected, spearman: spearman(expected.true, teacher).value };
  };
  const without = lookAt(0).spearman;
  const chosen = unfitShares.find((share) => lookAt(share).spearman >= without - mostLost) ?? unfitShares.at(-1)!;
  const found = lookAt(chosen);
  return {
    heldOut: measureProbabilities(found.probabilities, teacher, scores, how),
    heldOutFit: { ...measureFit(found.fits, found.expected), unfitShare: found.unfitShare, spearmanWithout: without },
  };
}

/** The AUC with which the probability of fitting, and the score, tell true rows from those whose answer does not fit. */
function measureFit(
  fits: { readonly true: readonly number[]; readonly spoilt: readonly number[] },
  scores: { readonly true: readonly number[]; readonly spoilt: readonly number[] },
): Pick<StudentFit, "rows" | "auc" | "scoreAuc"> {
  const auc = ({ true: whole, spoilt }: typeof fits) =>
    areaUnderCurve(
      Float64Array.from([...whole, ...spoilt]),
      Uint8Array.from({ length: whole.length + spoilt.length }, (_, i) => (i < whole.length ? 1 : 0)),
    );
  return { rows: fits.true.length, auc: auc(fits), scoreAuc: auc(scores) };
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
