import { z975 } from "../stats/distributions.ts";

/*
 * How far corrected scores may be believed, from scores alone. A judge's correction looks at its own scores only, so that
 * another judge's raw scores are a test that it has not seen: where corrected scores are nearer to them, they are nearer to
 * what the judges have in common, which is the best that is known of the truth.
 */

/** What one judge gave to the rows that all judges have scored. */
export interface JudgedRows {
  readonly raw: Float64Array;
  readonly corrected: Float64Array;
}

/** How much of the correction is taken over. */
export interface CorrectionWeight {
  /** Of each judge, from 0, none, to 1, all of it. */
  readonly weights: readonly number[];
  /** By what factor the combination's correlation with the truth is thought to grow; with its 95 % interval. */
  readonly gain: { readonly value: number; readonly low: number; readonly high: number };
  /** Of each judge, its scores' covariance with those of their rows' neighbours, in standard errors. */
  readonly neighbourAgreement: readonly number[];
}

const tried = [0.25, 0.5, 0.75, 1];
const folds = 20; // for standard errors
/** Below so many standard errors, a judge does not agree with its rows' neighbours beyond random pairs. */
export const leastAgreement = 3;
const margin = 2; // standard errors

/**
 * Which weight of the correction to take: that whose gain, less two standard errors, is largest; none where that is not
 * above nothing. No judge gets more than would bring it nearest to the others by itself, and none gets any whose scores
 * are not like its neighbours' by three standard errors.
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
  const loadings = (matrix: Covariances) => judges.map((_, j) => matrix.of(j, 2 * count + j)); // share s of b²
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
  const logFit = (matrix: Covariances, weights: readonly number[]) =>
    logOfCorrelation(
      matrix,
      weights,
      loadings(matrix).map((squared, j) => (usable[j] ? Math.sqrt(Math.max(0, squared)) : 0)),
    );
  const loaded = loadings(all.whole).map((squared, j) => (usable[j] ? Math.sqrt(Math.max(0, squared)) : 0));
  const most = judges.map((_, judge) => {
    const fits = [0, ...tried].map((weight) =>
      logOfCorrelation(
        all.whole,
        judges.map(() => weight),
        loaded,
        [judge],
      ),
    );
    return [0, ...tried][fits.indexOf(Math.max(...fits))]!;
  });
  let best = none;
  let leastGain = 0;
  for (const weight of tried) {
    const weights = usable.map((is, j) => (is ? Math.min(weight, most[j]!) : 0));
    const gainOf = (matrix: Covariances) => logFit(matrix, weights) - logFit(matrix, none.weights);
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

/** Of all rows, and of all rows but each fold's. */
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
 * The logarithm of the mean score's correlation with the truth, but for a constant. A judge's raw scores are taken to be
 * b times the truth, plus errors of its own: then cov(z of A, raw of B) = b of B times cov(z of A, truth).
 *
 * @param loadings b of each judge, but for a common factor; 0 where it is not known
 * @param among the judges whose mean it is
 */
function logOfCorrelation(
  matrix: Covariances,
  weights: readonly number[],
  loadings: readonly number[],
  among: readonly number[] = [...weights.keys()],
): number {
  const count = weights.length;
  const parts = (j: number) => [[1 - weights[j]!, j] as const, [weights[j]!, count + j] as const];
  const withRaw = (a: number, b: number) => parts(a).reduce((sum, [share, at]) => sum + share * matrix.of(at, b), 0);
  const withMixed = (a: number, b: number) =>
    parts(a).reduce((sum, [one, i]) => parts(b).reduce((all, [two, j]) => all + one * two * matrix.of(i, j), sum), 0);
  let withTruth = 0;
  let variance = 0;
  for (const a of among) {
    for (const b of among) variance += withMixed(a, b);
    let products = 0;
    let squares = 0;
    for (let b = 0; b < count; b++) {
      if (a === b) continue;
      products += loadings[b]! * withRaw(a, b);
      squares += loadings[b]! ** 2;
    }
    if (squares > 0) withTruth += products / squares;
  }
  return withTruth > 0 ? Math.log(withTruth / Math.sqrt(variance)) : -30;
}

/** The standard error of a figure, from what it is without each fold. */
function jackknife(without: readonly number[]): number {
  const mean = without.reduce((sum, value) => sum + value, 0) / without.length;
  const squares = without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(((without.length - 1) / without.length) * squares);
}
