/*
 * Figures that AlpaGasus published (arXiv 2307.08701): ChatGPT's ratings of Alpaca's rows, the winning scores of the 7B
 * model by training-set size, and what its training took.
 */

export const paper = "AlpaGasus, arXiv 2307.08701";

/** Alpaca's rows by ChatGPT's score, in steps of 0.5; the lowest bar stands for all scores below 3. */
export const paperHistogram: readonly { readonly score: number; readonly count: number }[] = [
  { score: 2.5, count: 172 },
  { score: 3, count: 1_550 },
  { score: 3.5, count: 10_811 },
  { score: 4, count: 30_240 },
  { score: 4.5, count: 9_218 },
  { score: 5, count: 11 },
];

/** Winning score against the model trained on all 52,002 rows. */
export const paperSizeCurve: readonly { readonly set: string; readonly rows: number; readonly winningScore: number }[] =
  Object.entries({
    vicuna: [1, 1.2, 1.2125, 1.0125, 1],
    koala: [0.828, 0.878, 1.022, 0.939, 1],
    wizardlm: [0.94, 1.023, 1.06, 1.046, 1],
    "self-instruct": [0.877, 0.968, 1.056, 0.988, 1],
  }).flatMap(([set, scores]) =>
    [3_000, 6_000, 9_229, 39_000, 52_002].map((rows, i) => ({ set, rows, winningScore: scores[i]! })),
  );

/** Time and cost of training the 7B model on all rows, on four A100s. */
export const paperTraining = { minutes: 80, usd: 27.31 };

/** The share of rows that the paper kept. */
export const paperShare = 9_229 / 52_002;
