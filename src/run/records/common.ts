import * as z from "zod";
import { ratingStates } from "../rating.ts";

export const scaleSchema = z.object({ min: z.number(), max: z.number() });

export const estimateSchema = z.object({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});

/** How a stage was run. */
export const taskSchema = {
  /** What the user typed; absent when the stage was called from a program. */
  command: z.string().optional(),
  startedAt: z.string(),
  wallMs: z.number(),
};

export const gateSchema = z.object({
  name: z.string(),
  held: z.boolean(),
  /** One sentence: what was measured, and what was wanted. */
  message: z.string(),
});

export type Gate = z.infer<typeof gateSchema>;

/** How a model is asked. */
export const questionSchema = z.object({
  /** Absent where a model is asked a prompt as it is. */
  rubric: z.string().optional(),
  rubricVersion: z.number().optional(),
  /** The most tokens a reply may have, reasoning included. */
  maxOutputTokens: z.number(),
  temperature: z.number().optional(),
  reasoning: z.string().optional(),
  /** Whether the score is the mean by the probabilities of the reply's tokens. */
  logprobs: z.boolean().optional(),
  /** Of how many replies the score is the mean. */
  samples: z.number().optional(),
  /** Over everything that was asked but for the rows: the model, the rubric, the sampling. */
  hash: z.string(),
});

export type Question = z.infer<typeof questionSchema>;

/** What calls to a model did and cost. Money in US dollars; null where no price is known. */
export const callsSchema = z.object({
  /** Calls with an outcome that this command made. */
  made: z.number(),
  /** Calls that an earlier command had made. */
  stored: z.number(),
  /** Calls that shared the reply of an identical one. */
  shared: z.number(),
  attempts: z.number(),
  failed: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  paidUsd: z.number().nullable(),
  /** For attempts whose reply never arrived: at most this much may be on the bill as well. */
  perhapsPaidUsd: z.number(),
  /** This run, this command and all before. */
  runPaidUsd: z.number().nullable(),
  runPerhapsPaidUsd: z.number(),
  priceBasis: z.string().nullable(),
  budgetUsd: z.number().optional(),
  /** What stopped the calls before all rows were asked about. */
  stopped: z.enum(["interrupted", "budget", "failure", "batches"]).optional(),
  /** What went wrong, where that stopped them. */
  failure: z.string().optional(),
  /** What asking about the remaining rows would cost, by the mean so far. */
  finishUsd: z.number().nullable().optional(),
  /** The call store that holds the replies. */
  store: z.string(),
});

export type CallsRecord = z.infer<typeof callsSchema>;

export const statesSchema = z.partialRecord(z.enum(ratingStates), z.number());

/** Bars over [from, to); value by value where from equals to. */
export const histogramSchema = z.array(z.object({ from: z.number(), to: z.number(), count: z.number() }));
