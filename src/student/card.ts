import * as z from "zod";

const estimate = z.object({ value: z.number(), low: z.number(), high: z.number() });

/** How well a student agrees with its teacher on rows it was not trained on. */
const heldOutSchema = z.object({
  /** Which rows were held out: `five folds`, `one tenth`, or the name of a fixed split. */
  how: z.string(),
  rows: z.number(),
  spearman: estimate,
  thresholds: z.array(
    z.object({
      threshold: z.number(),
      rows: z.number(),
      share: z.number(),
      auc: z.number().nullable(),
      precision: z.number().nullable(),
      calibrationError: z.number(),
    }),
  ),
  /** Of the student's expected score against the teacher's score. */
  rootMeanSquareError: z.number(),
});
export type HeldOut = z.infer<typeof heldOutSchema>;

/** How well a student tells held-out rows from the same prompts with answers that do not fit: others' answers, cut or repeated ones, refusals. */
const fitSchema = z.object({
  rows: z.number(),
  /** AUC of the probability that the answer fits. */
  auc: z.number(),
  /** AUC of the score. */
  scoreAuc: z.number(),
  /** The share of answers that the student takes not to fit. */
  unfitShare: z.number(),
  /** Spearman with the teacher if it took all to fit. */
  spearmanWithout: z.number(),
});
export type StudentFit = z.infer<typeof fitSchema>;

/** Describes a student: its scores, training data and held-out agreement. Stored in the header of its file. */
export const studentCardSchema = z.object({
  format: z.literal("alpagasus-student"),
  version: z.literal(2),
  name: z.string(),
  /** The scores it can predict, ascending: those its teacher gave. */
  scores: z.array(z.number()).min(2),
  teacher: z.string(),
  trainedOn: z.object({ data: z.string(), rows: z.number(), licence: z.string().optional() }),
  heldOut: heldOutSchema,
  fit: fitSchema,
  seed: z.number(),
  madeWith: z.string(),
});
export type StudentCard = z.infer<typeof studentCardSchema>;
