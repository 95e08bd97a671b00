import * as z from "zod";
import { callsSchema, estimateSchema, gateSchema, questionSchema, taskSchema } from "./common.ts";

const outcomeCountsSchema = z.object({ win: z.number(), tie: z.number(), lose: z.number(), undecided: z.number() });

const withoutSetSchema = z.object({ set: z.string(), winningScore: z.number() });

/** The comparison on one group of prompts. Figures are from A's side; null where there is none. */
export const comparisonResultSchema = z.object({
  group: z.string(),
  pairs: z.number(),
  /** Different prompts among them; absent in older runs. */
  prompts: z.number().optional(),
  counts: outcomeCountsSchema,
  identical: z.number(),
  winningScore: estimateSchema,
  winRate: estimateSchema,
  gradedWinRate: estimateSchema.optional(),
  pValue: z.number(),
  adjusted: z
    .object({ pValue: z.number(), comparisons: z.number(), method: z.enum(["Holm", "Benjamini-Hochberg"]) })
    .optional(),
  conclusion: z.enum(["better", "worse", "no difference shown", "nothing can be concluded"]),
  promptsNeeded: z.number().nullable(),
  promptsNeededRange: z.tuple([z.number().nullable(), z.number().nullable()]),
  trainingsNeeded: z.number().nullable().optional(),
  withoutOneSet: z.object({ low: withoutSetSchema, high: withoutSetSchema }).optional(),
  orders: z.object({
    pairs: z.number(),
    flipRate: estimateSchema,
    firstShare: estimateSchema,
    first: z.number(),
    second: z.number(),
    draws: z.number(),
  }),
  length: z
    .object({
      meanA: z.number(),
      meanB: z.number(),
      longerWins: estimateSchema,
      controlledWinRate: estimateSchema,
    })
    .optional(),
  relativeScore: estimateSchema.optional(),
});

export type ComparisonRecord = z.infer<typeof comparisonResultSchema>;

/** How far two judges, or a judge and people, agree on the same pairs. */
const outcomeAgreementSchema = z.object({
  with: z.string(),
  pairs: z.number(),
  /** Share of the pairs with the same outcome. */
  share: estimateSchema,
  kappa: estimateSchema,
  /** Pearson's correlation of outcomes as 1, 0 and -1. */
  correlation: estimateSchema,
});

export type OutcomeAgreement = z.infer<typeof outcomeAgreementSchema>;

/** The result of `compare` for two arms. */
export const comparisonSummarySchema = z.object({
  /** The arm under test, and its opponent. */
  a: z.string(),
  b: z.string(),
  judge: z.string(),
  question: questionSchema.optional(),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  /** SHA-256 over all pairs of answers; absent for published reviews. */
  answersHash: z.string().optional(),
  /** Prompts that only one arm has an answer to. */
  missing: z.number(),
  /** How many more pairs there would be if both had answered all prompts: a conversation has one for each turn that is judged. */
  missingPairs: z.number().optional(),
  /** How many of the judged orders ended in each state. */
  states: z.record(z.string(), z.number()),
  seed: z.number(),
  pooled: comparisonResultSchema,
  sets: z.array(comparisonResultSchema),
  categories: z.array(comparisonResultSchema.extend({ set: z.string() })),
  /** By level of difficulty, where a set has them. */
  difficulties: z.array(comparisonResultSchema.extend({ set: z.string() })).optional(),
  agreement: z.array(outcomeAgreementSchema),
  /** What the judge failed when it was checked in this run. */
  failedChecks: z.array(z.string()).optional(),
  gates: z.array(gateSchema),
  /** Every pair with both orders' verdicts; absent for published reviews that were only counted. */
  verdictsPath: z.string().optional(),
  /** SHA-256 of that file. */
  verdictsHash: z.string().optional(),
  /** Commands that made it before, of the same answers: it is corrected with what they compared beside it. */
  earlierCommands: z.array(z.string()).optional(),
  ...taskSchema,
});

export type ComparisonSummary = z.infer<typeof comparisonSummarySchema>;
