import * as z from "zod";

/*
 * What makes a student `student-lm`: a logistic regression of whether an answer fits its prompt, on what the student's own network finds
 * and on how near the two are to a language model. Its score is the student's, lowered where the answer does not fit.
 */

export const lmHeadSchema = z.object({
  /** The model that makes the vectors, as `embed --model` takes it. */
  model: z.string(),
  /** Means and standard deviations of the features in training. */
  mean: z.array(z.number()).length(4).readonly(),
  deviation: z.array(z.number().positive()).length(4).readonly(),
  /** Of the terms of {@link lmTerms}. */
  weights: z.array(z.number()).length(15).readonly(),
  /** The share of answers that are taken not to fit. */
  unfitShare: z.number(),
  /** The log-odds that an answer fits are multiplied by this before they lower its score. */
  sharpness: z.number(),
  trainedOn: z.number(),
  /** On held-out rows, half of which have an answer that does not fit. */
  heldOut: z.object({
    rows: z.number(),
    auc: z.number(),
    scoreAuc: z.number(),
    /** Spearman with the teacher's scores, and what it is without looking at whether answers fit. */
    spearman: z.number(),
    spearmanWithout: z.number(),
  }),
});
export type LmHead = z.infer<typeof lmHeadSchema>;

/** What the head looks at of a row. */
export interface LmFeatures {
  /** The log-odds that the answer fits to the student, where half of the answers do. */
  readonly fitLogOdds: number;
  /** Of the vectors of prompt and answer; 0 where one has no text. */
  readonly cosine: number;
  readonly promptLength: number;
  readonly answerLength: number;
}

/** The features of a row, as a list. */
export function lmFeatures(row: LmFeatures): number[] {
  return [row.fitLogOdds, row.cosine, Math.log1p(row.promptLength), Math.log1p(row.answerLength)];
}

const clip = 4; // standard deviations

/** The terms of the regression: 1, the standardised features, and all products of two. */
export function lmTerms(
  features: readonly number[],
  { mean, deviation }: Pick<LmHead, "mean" | "deviation">,
): number[] {
  const values = features.map((value, i) => Math.max(-clip, Math.min(clip, (value - mean[i]!) / deviation[i]!)));
  return [1, ...values, ...values.flatMap((value, i) => values.slice(i).map((other) => value * other))];
}

/** The log-odds that an answer fits, where half of the answers do. */
export function lmLogOdds(features: LmFeatures, head: Pick<LmHead, "mean" | "deviation" | "weights">): number {
  return lmTerms(lmFeatures(features), head).reduce((sum, term, i) => sum + term * head.weights[i]!, 0);
}

/** What the head makes of a row: the probability that its answer fits, and by how much its score is lowered. */
export function judgeFit(
  logOdds: number,
  { unfitShare, sharpness }: Pick<LmHead, "unfitShare" | "sharpness">,
): { readonly fits: number; readonly factor: number } {
  const shifted = logOdds + Math.log((1 - unfitShare) / unfitShare);
  return { fits: logistic(shifted), factor: logistic(sharpness * shifted) };
}

function logistic(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}

const most = 12; // log-odds; a network is no surer than that

/** The log-odds of an answer to fit where half of the answers do, from its probability where `unfitShare` of them do not. */
export function fitLogOdds(fits: number, unfitShare: number): number {
  const shifted = Math.log(fits / (1 - fits)) - Math.log((1 - unfitShare) / unfitShare);
  return Math.max(-most, Math.min(most, shifted));
}

/** The probabilities of an answer's scores if it fits, from those that were lowered because it may not. */
export function raiseBy(fits: number, lowered: ArrayLike<number>): Float64Array {
  const result = Float64Array.from(lowered);
  result[0] = Math.max(0, result[0]! - (1 - fits));
  const sum = result.reduce((total, value) => total + value, 0);
  return sum > 0 ? result.map((value) => value / sum) : result.fill(1, 0, 1);
}
