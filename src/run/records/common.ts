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
  /** The folder that it was typed in, relative to the run's folder; absent in older runs, and where nothing tells the command again. */
  commandFolder: z.string().optional(),
  startedAt: z.string(),
  wallMs: z.number(),
};

export const gateSchema = z.object({
  name: z.string(),
  held: z.boolean(),
  /** One sentence: what was measured, and what was required. */
  message: z.string(),
});

export type Gate = z.infer<typeof gateSchema>;

/** How a model is prompted. */
export const questionSchema = z.object({
  /** Absent where a prompt is sent as it is. */
  rubric: z.string().optional(),
  rubricVersion: z.number().optional(),
  /** The most tokens a reply may have, reasoning included. */
  maxOutputTokens: z.number(),
  temperature: z.number().optional(),
  reasoning: z.string().optional(),
  /** Whether the score is a mean weighted by token probabilities. */
  logprobs: z.boolean().optional(),
  /** The number of replies that the score is the mean of. */
  samples: z.number().optional(),
  /** Hash of everything in the requests except the rows: the model, the rubric, the sampling. */
  hash: z.string(),
});

export type Question = z.infer<typeof questionSchema>;

/** Calls to a model and their cost. Money in US dollars; null where no price is known. */
export const callsSchema = z.object({
  /** Calls that this command made and that have an outcome. */
  made: z.number(),
  /** Calls that an earlier command made, answered from the store. */
  stored: z.number(),
  /** Calls that shared the reply of an identical one. */
  shared: z.number(),
  attempts: z.number(),
  failed: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  paidUsd: z.number().nullable(),
  /** At most this much more may be billed, for attempts whose reply never arrived. */
  perhapsPaidUsd: z.number(),
  /** For the whole run: this command and all before. */
  runPaidUsd: z.number().nullable(),
  runPerhapsPaidUsd: z.number(),
  priceBasis: z.string().nullable(),
  budgetUsd: z.number().optional(),
  /** Why the calls stopped before all were made. */
  stopped: z.enum(["interrupted", "budget", "failure", "batches"]).optional(),
  /** The error, if one stopped them. */
  failure: z.string().optional(),
  /** Estimated cost of the remaining calls, by the mean so far. */
  finishUsd: z.number().nullable().optional(),
  /** Where the budget stopped them: the most that one of them can cost. */
  highestUsd: z.number().optional(),
  /** Likewise: what is reserved for calls in batches at the provider. */
  batchedUsd: z.number().optional(),
  /** Of merged shards: whether each that has failed calls tried them again (`--retry-failed`). */
  hasRetried: z.boolean().optional(),
  /** The call store that holds the replies. */
  store: z.string(),
});

export type CallsRecord = z.infer<typeof callsSchema>;

export const statesSchema = z.partialRecord(z.enum(ratingStates), z.number());

/** Bins [from, to); a single value where `from` equals `to`. */
export const histogramSchema = z.array(z.object({ from: z.number(), to: z.number(), count: z.number() }));
