import * as z from "zod";
import { estimateSchema, gateSchema, taskSchema } from "./common.ts";

/** A model's loss on held-out answers: natural log, a mean over items of the mean over an answer's tokens. */
const modelLossSchema = z.object({
  model: z.string(),
  /** The models that it stands with: trainings of one arm. */
  group: z.string(),
  /** How its prompts were written. */
  template: z.enum(["plain", "alpaca", "chat"]),
  loss: estimateSchema,
  items: z.number(),
  tokens: z.number(),
  /** Items that are longer than the model was given. */
  cut: z.number(),
  /** Items that could not be measured, and why the first could not. */
  failed: z.number(),
  problem: z.string().optional(),
  /** A line an item: index, id, nll, tokens. */
  path: z.string(),
});

const lossDifferenceSchema = z.object({
  a: z.string(),
  b: z.string(),
  /** Items that all models of both have a loss for. */
  items: z.number(),
  /** Pairs of trainings. */
  trainings: z.number(),
  /** b's loss minus a's, by item: over 0 where a finds the answers likelier. */
  difference: estimateSchema,
  pValue: z.number(),
  /** Corrected for the other differences of this command, by Holm's method. */
  adjustedPValue: z.number(),
  sentence: z.string(),
});

/** The result of `evaluate --loss` for one file. */
export const lossSummarySchema = z.object({
  name: z.string(),
  data: z.string(),
  rows: z.number(),
  /** Rows whose prompt is in the data that was rated, which models may have been trained on. */
  trainedOn: z.number(),
  models: z.array(modelLossSchema),
  differences: z.array(lossDifferenceSchema),
  notes: z.array(z.string()),
  gates: z.array(gateSchema),
  /** SHA-256 over the items' losses. */
  lossesHash: z.string(),
  ...taskSchema,
});

export type LossSummary = z.infer<typeof lossSummarySchema>;
export type ModelLoss = z.infer<typeof modelLossSchema>;
export type LossDifference = z.infer<typeof lossDifferenceSchema>;
