import * as z from "zod";
import { gateSchema, taskSchema } from "./common.ts";

const checkSchema = z.object({ name: z.string(), held: z.boolean(), message: z.string() });

/** The result of `train` for one model. */
export const trainSummarySchema = z.object({
  model: z.string(),
  arm: z.string(),
  base: z.string(),
  recipe: z.string(),
  recipeVersion: z.number(),
  method: z.enum(["full", "lora", "qlora"]),
  template: z.enum(["alpaca", "chat"]),
  /** Settings that differ from the recipe's. */
  differences: z.array(z.object({ setting: z.string(), recipe: z.string(), here: z.string() })),
  seed: z.number(),
  /** The training's folder, and the trained model's. */
  path: z.string(),
  outputPath: z.string(),
  /** The checkpoint at the end of each epoch, where they were kept. */
  checkpoints: z.array(z.object({ step: z.number(), path: z.string() })).optional(),
  /** Rows that were trained on. */
  rows: z.number(),
  /** Rows of the arm that were held out, and the loss on them at the end and by step. */
  heldOut: z.number().optional(),
  validationLoss: z.number().nullish(),
  validationCurve: z.array(z.object({ step: z.number(), loss: z.number() })).optional(),
  /** Positions among the rows that were trained on, from 0, of rows cut at the maximum length and of rows left without labels. */
  cutRows: z.array(z.number()),
  unlabelledRows: z.array(z.number()),
  steps: z.number(),
  globalBatch: z.number(),
  gpus: z.number(),
  processes: z.number(),
  /** Tokens trained on, over all epochs. */
  tokens: z.number(),
  finalLoss: z.number().nullable(),
  /** Loss by step; with many steps, only every n-th. */
  lossCurve: z.array(z.object({ step: z.number(), loss: z.number() })),
  /** The trainer's time over all attempts; and the part of it before the first step (loading). */
  trainMs: z.number(),
  startMs: z.number(),
  gpuHours: z.number(),
  usdPerHour: z.number().nullable(),
  usd: z.number().nullable(),
  examplesPerSecond: z.number(),
  tokensPerSecond: z.number(),
  /** The checks of the saved model. */
  checks: z.array(checkSchema),
  gates: z.array(gateSchema),
  /** How often training was started or resumed. */
  attempts: z.number(),
  /** SHA-256 over the settings and the rows. */
  hash: z.string(),
  ...taskSchema,
});

export type TrainSummary = z.infer<typeof trainSummarySchema>;
