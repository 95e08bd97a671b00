import * as z from "zod";

const estimate = z.object({ value: z.number(), low: z.number(), high: z.number() });

/** How a student agrees with its teacher on rows it was not trained on. */
const heldOutSchema = z.object({
  /** Which rows: `five folds`, `one tenth`, or the name of a fixed split. */
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
  /** Root of the mean squared difference between the expected score and the teacher's. */
  rootMeanSquareError: z.number(),
});
export type HeldOut = z.infer<typeof heldOutSchema>;

/** What a student is, what it learnt from, and how good it was: the head of its file. */
export const studentCardSchema = z.object({
  format: z.literal("alpagasus-student"),
  version: z.literal(1),
  name: z.string(),
  /** The scores it chooses among, ascending: those its teacher gave. */
  scores: z.array(z.number()).min(2),
  teacher: z.string(),
  trainedOn: z.object({ data: z.string(), rows: z.number(), licence: z.string().optional() }),
  heldOut: heldOutSchema,
  seed: z.number(),
  madeWith: z.string(),
});
export type StudentCard = z.infer<typeof studentCardSchema>;
