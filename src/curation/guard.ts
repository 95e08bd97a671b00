import { z975 } from "../stats/distributions.ts";

/*
 * Decides from scores alone how much of a correction to use. A judge's correction uses only its own scores, so another
 * judge's raw scores are held-out data. Corrected scores that agree better with them are closer to what the judges have in
 * common, which is the best available proxy for the truth.
 */

/** One judge's scores of the rows that all judges have scored. */
export interface JudgedRows {
  readonly raw: Float64Array;
  readonly corrected: Float64Array;
}

/** How much of the correction is used. */
export interface CorrectionWeight {
  /** By judge, from 0 (raw scores) to 1 (corrected scores). */
  readonly weights: readonly number[];
  /** Estimated factor by which the combined score's correlation with the truth grows; with its 95 % interval. */
  readonly gain: { readonly value: number; readonly low: number; readonly high: number };
  /** By judge: the covariance of its scores with those of the rows' neighbours, in standard errors. */
  readonly neighbourAgreement: readonly number[];
}

const tried = [0.25, 0.5, 0.75, 1];
const folds = 20; // for standard errors
/** Up to this many standard errors, a judge may score neighbours no more alike than random pairs. */
export const leastAgreement = 3;
const margin = 2; // standard errors

/**
 * Chooses the weight of the correction: the one whose log gain minus two standard errors is largest, or 0 if that is not
 * positive. A judge's weight is at most the one at which it agrees best with the others by itself. It is 0 for a judge whose
 * scores do not agree with those of the rows' neighbours (see `leastAgreement`).
 *
 * @param nearest the two nearest other rows of each row: [row, 0 or 1]
 */
export function weighCorrection(judges: readonly JudgedRows[], nearest: Uint32Array): CorrectionWeight {
  const count = judges.length;
  const columns = [
    ...judges.map(({ raw }) => raw),
    ...judges.map(({ corrected }) => corrected),
    ...judges.map(({ raw }) => raw.map((_, row) => (raw[nearest[row * 2]!]! + raw[nearest[row * 2 + 1]!]!) / 2)),
  ];
  const all = covariances(columns);
  const loadings = (matrix: Covariances) => judges.map((_, j) => matrix.of(j, 2 * count + j)); // b², up to a common factor
  const neighbourAgreement = judges.map(
    (_, j) => loadings(all.whole)[j]! / Math.max(1e-12, jackknife(all.without.map((one) => loadings(one)[j]!))),
  );
  const usable = neighbourAgreement.map((agreement) => agreement > leastAgreement);
  const none: CorrectionWeight = {
    weights: judges.map(() => 0),
    gain: { value: 1, low: 1, high: 1 },
    neighbourAgreement,
  };
  if (usable.filter(Boolean).length < 2) return none;
  const logCorrelation = (matrix: Covariances, weights: readonly number[]) =>
    logOfCorrelation(
      matrix,
      weights,
      loadings(matrix).map((squared, j) => (usable[j] ? Math.sqrt(Math.max(0, squared)) : 0)),
    );
  const loadingsOfAll = loadings(all.whole).map((squared, j) => (usable[j] ? Math.sqrt(Math.max(0, squared)) : 0));
  const weightLimits = judges.map((_, judge) => {
    const fits = [0, ...tried].map((weight) =>
      logOfCorrelation(
        all.whole,
        judges.map(() => weight),
        loadingsOfAll,
        [judge],
      ),
    );
    return [0, ...tried][fits.indexOf(Math.max(...fits))]!;
  });
  let best = none;
  let leastGain = 0;
  for (const weight of tried) {
    const weights = usable.map((is, j) => (is ? Math.min(weight, weightLimits[j]!) : 0));
    const gainOf = (matrix: Covariances) => logCorrelation(matrix, weights) - logCorrelation(matrix, none.weights);
    const gain = gainOf(all.whole);
    const error = jackknife(all.without.map(gainOf));
    if (!(gain - margin * error > leastGain)) continue;
    leastGain = gain - margin * error;
    const [value, low, high] = [gain, gain - z975 * error, gain + z975 * error].map(Math.exp);
    best = { weights, gain: { value: value!, low: low!, high: high! }, neighbourAgreement };
  }
  return best;
}

interface Covariances {
  of(a: number, b: number): number;
}

/** The covariances of all rows, and of all rows without each fold. */
function covariances(columns: readonly Float64Array[]): { whole: Covariances; without: Covariances[] } {
  const size = columns.length;
  const rows = columns[0]!.length;
  const ofFold = Array.from({ length: folds }, () => new Float64Array(1 + size + size * size)); // rows, sums, products
  for (let row = 0; row < rows; row++) {
    const sums = ofFold[row % folds]!;
    sums[0]!++;
    for (let a = 0; a < size; a++) {
      const value = columns[a]![row]!;
      sums[1 + a]! += value;
      for (let b = 0; b < size; b++) sums[1 + size + a * size + b]! += value * columns[b]![row]!;
    }
  }
  const total = new Float64Array(1 + size + size * size);
  for (const sums of ofFold) for (const [i, value] of sums.entries()) total[i]! += value;
  const from = (sums: Float64Array): Covariances => ({
    of: (a, b) => sums[1 + size + a * size + b]! / sums[0]! - (sums[1 + a]! * sums[1 + b]!) / sums[0]! ** 2,
  });
  return { whole: from(total), without: ofFold.map((sums) => from(total.map((value, i) => value - sums[i]!))) };
}

/**
 * The log correlation of the mean score with the truth, up to a constant. Assumes that a judge's raw score is b times the
 * truth plus an independent error: then cov(weighted score of A, raw score of B) = b of B · cov(weighted score of A, truth).
 *
 * @param loadings b of each judge, up to a common factor; 0 where it is unknown
 * @param among the judges to take the mean of
 */
function logOfCorrelation(
  matrix: Covariances,
  weights: readonly number[],
  loadings: readonly number[],
  among: readonly number[] = [...weights.keys()],
): number {
  const count = weights.length;
  const parts = (j: number) => [[1 - weights[j]!, j] as const, [weights[j]!, count + j] as const];
  const covarianceWithRaw = (a: number, b: number) =>
    parts(a).reduce((sum, [share, at]) => sum + share * matrix.of(at, b), 0);
  const covarianceOfMixed = (a: number, b: number) =>
    parts(a).reduce((sum, [one, i]) => parts(b).reduce((all, [two, j]) => all + one * two * matrix.of(i, j), sum), 0);
  let withTruth = 0;
  let variance = 0;
  for (const a of among) {
    for (const b of among) variance += covarianceOfMixed(a, b);
    let products = 0;
    let squares = 0;
    for (let b = 0; b < count; b++) {
      if (a === b) continue;
      products += loadings[b]! * covarianceWithRaw(a, b);
      squares += loadings[b]! ** 2;
    }
    if (squares > 0) withTruth += products / squares;
  }
  return withTruth > 0 ? Math.log(withTruth / Math.sqrt(variance)) : -30;
}

/** The jackknife standard error of a figure, from its values without each fold. */
function jackknife(without: readonly number[]): number {
  const mean = without.reduce((sum, value) => sum + value, 0) / without.length;
  const squares = without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(((without.length - 1) / without.length) * squares);
}
