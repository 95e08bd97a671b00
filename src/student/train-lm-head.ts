import { areaUnderCurve, spearman } from "../stats/agreement.ts";
import { fitLogistic } from "../stats/logistic.ts";
import { judgeFit, lmFeatures, lmLogOdds, lmTerms, type LmFeatures, type LmHead } from "./lm-head.ts";

/** A held-out row as it is, and with an answer that does not fit. */
export interface LmTrainingRow {
  readonly teacher: number;
  readonly whole: LmView;
  readonly spoilt: LmView;
}

interface LmView {
  readonly features: LmFeatures;
  /** The expected score if the answer fits, above the lowest score. */
  readonly expected: number;
}

const folds = 5;
const priorPrecision = 3;
const unfitShares = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01, 0.005];
const sharpnesses = [1, 2, 3];
const mostLost = 0.014; // of Spearman; the student pays .018 for less

/**
 * Trains a head on rows that the student was not trained on. The share of answers that are taken not to fit, and the sharpness, are those
 * with which the score tells best whether an answer fits, of those with which agreement with the teacher falls by no more than
 * {@link mostLost}. Its figures are of fivefold cross-validation.
 */
export function trainLmHead(model: string, rows: readonly LmTrainingRow[]): LmHead {
  const logOdds = crossValidate(rows);
  const teacher = rows.map((row) => row.teacher);
  const isWhole = Uint8Array.from({ length: 2 * rows.length }, (_, i) => (i < rows.length ? 1 : 0));
  const expected = [...rows.map(({ whole }) => whole.expected), ...rows.map(({ spoilt }) => spoilt.expected)];
  const spearmanWithout = spearman(expected.slice(0, rows.length), teacher).value;
  const candidates = sharpnesses.flatMap((sharpness) =>
    unfitShares.map((unfitShare) => {
      const scores = Float64Array.from(expected, (score, i) => {
        return score * judgeFit(logOdds[i]!, { unfitShare, sharpness }).factor;
      });
      return {
        unfitShare,
        sharpness,
        scoreAuc: areaUnderCurve(scores, isWhole),
        spearman: spearman(scores.subarray(0, rows.length), teacher).value,
      };
    }),
  );
  const [mildest] = candidates.toSorted((a, b) => b.spearman - a.spearman);
  const [best = mildest!] = candidates
    .filter((one) => one.spearman >= spearmanWithout - mostLost)
    .toSorted((a, b) => b.scoreAuc - a.scoreAuc);
  const { unfitShare, sharpness, scoreAuc } = best;
  return {
    model,
    ...fit(rows),
    unfitShare,
    sharpness,
    trainedOn: rows.length,
    heldOut: {
      rows: rows.length,
      auc: areaUnderCurve(logOdds, isWhole),
      scoreAuc,
      spearman: best.spearman,
      spearmanWithout,
    },
  };
}

/** The log-odds of all rows as they are, then of all spoilt ones, each by a head that was trained without that row. */
function crossValidate(rows: readonly LmTrainingRow[]): Float64Array {
  const logOdds = new Float64Array(2 * rows.length);
  for (let fold = 0; fold < folds; fold++) {
    const head = fit(rows.filter((_, i) => i % folds !== fold));
    for (let i = fold; i < rows.length; i += folds) {
      logOdds[i] = lmLogOdds(rows[i]!.whole.features, head);
      logOdds[rows.length + i] = lmLogOdds(rows[i]!.spoilt.features, head);
    }
  }
  return logOdds;
}

function fit(rows: readonly LmTrainingRow[]): Pick<LmHead, "mean" | "deviation" | "weights"> {
  const features = rows.flatMap(({ whole, spoilt }) => [lmFeatures(whole.features), lmFeatures(spoilt.features)]);
  const columns = features[0]!.map((_, column) => features.map((row) => row[column]!));
  const mean = columns.map((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
  const deviation = columns.map(
    (values, c) => Math.sqrt(values.reduce((sum, value) => sum + (value - mean[c]!) ** 2, 0) / values.length) || 1,
  );
  const terms = features.map((row) => lmTerms(row, { mean, deviation }));
  const { weights } = fitLogistic(
    Float32Array.from(terms.flat()),
    Uint32Array.from(terms.keys()),
    terms.map((_, i) => 1 - (i % 2)),
    terms[0]!.map((_, term) => ({ mean: 0, precision: term === 0 ? 1e-6 : priorPrecision })),
  );
  return { mean, deviation, weights: [...weights] };
}
