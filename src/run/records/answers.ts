import * as z from "zod";
import { callsSchema, gateSchema, questionSchema, taskSchema } from "./common.ts";

/** The outcome of a test set's prompts. Lengths in characters. */
const answeredSetSchema = z.object({
  set: z.string(),
  prompts: z.number(),
  answered: z.number(),
  cut: z.number(),
  refused: z.number(),
  failed: z.number(),
  pending: z.number(),
  /** Answers without a text. */
  empty: z.number(),
  meanLength: z.number().nullable(),
});

export type AnsweredSet = z.infer<typeof answeredSetSchema>;

/** The result of `generate` for one model. */
export const answersSummarySchema = z.object({
  /** The name of the answers. */
  arm: z.string(),
  model: z.string(),
  template: z.enum(["alpaca", "chat"]),
  question: questionSchema,
  /** The server that was started, and whether its prompts match the training's; absent for a server that already ran. */
  server: z.object({ description: z.string(), startMs: z.number(), parity: z.string() }).optional(),
  sets: z.array(answeredSetSchema),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  gates: z.array(gateSchema),
  answersPath: z.string(),
  /** SHA-256 of that file. */
  answersHash: z.string(),
  /** What it will be when a command that is writing has ended; after that, it says nothing. */
  answersNext: z.string().optional(),
  ...taskSchema,
});

export type AnswersSummary = z.infer<typeof answersSummarySchema>;
