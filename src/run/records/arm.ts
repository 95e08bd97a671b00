import * as z from "zod";
import { gateSchema, histogramSchema, taskSchema } from "./common.ts";

const categoriesSchema = z.array(z.object({ category: z.string(), rows: z.number(), share: z.number() }));

/** Rows at or above a threshold, compared with the whole set. Lengths are in characters. */
const whatIfSchema = z.object({
  threshold: z.number(),
  rows: z.number(),
  share: z.number(),
  meanPromptLength: z.number(),
  meanOutputLength: z.number(),
  /** Characters of these rows over those of all rows. */
  textShare: z.number(),
  /** Training time and cost as a share of the full set's, by steps (as in the paper: rows at a fixed batch size). */
  trainingShare: z.number(),
  trainingMinutes: z.number().optional(),
  trainingUsd: z.number().optional(),
  /** Share of each category among these rows, the largest first. */
  categories: categoriesSchema.optional(),
});

export type WhatIf = z.infer<typeof whatIfSchema>;

const watchedWordSchema = z.object({
  word: z.string(),
  /** Rows that have it, and how many of them are kept. */
  rows: z.number(),
  kept: z.number(),
  /** The same within each category, the largest first. */
  categories: z.array(z.object({ category: z.string(), rows: z.number(), kept: z.number() })).optional(),
});

/** A word, and what becomes of the rows that have it (select --watch). */
export type WatchedWord = z.infer<typeof watchedWordSchema>;

/** The result of `select` for one arm. */
export const armSummarySchema = z.object({
  arm: z.string(),
  method: z.enum(["score", "random", "longest", "full", "rows", "toward", "representative"]),
  /** The choice in words: "the 9,000 best by score". */
  choice: z.string(),
  seed: z.number(),
  path: z.string(),
  decisionsPath: z.string(),
  /** Its rows and its decisions as they were written; absent in older runs. */
  files: z.object({ bytes: z.number(), sha256: z.string(), decisionsSha256: z.string() }).optional(),
  rows: z.number(),
  totalRows: z.number(),
  share: z.number(),
  /** The lowest score that was kept, where the score alone decided. */
  cut: z.number().nullable(),
  meanPromptLength: z.number().nullable(),
  meanOutputLength: z.number().nullable(),
  textShare: z.number(),
  /** Share of each category among the kept rows, the largest first. */
  categories: categoriesSchema.optional(),
  /** What becomes of rows with certain words. */
  watched: z.array(watchedWordSchema).optional(),
  /** How many rows were kept or dropped for each reason. */
  reasons: z.record(z.string(), z.number()),
  coverage: z.number(),
  full: whatIfSchema.optional(),
  whatIf: z.array(whatIfSchema),
  notes: z.array(z.string()),
  alarms: z.array(z.string()),
  gates: z.array(gateSchema),
  /** What took the place of the score (--by). */
  by: z.string().optional(),
  /** Of the values of that. */
  histogram: histogramSchema.optional(),
  /** Hash of the ratings this arm was made from; and of the named scores, by their names. */
  ratingsHash: z.string(),
  scoreHashes: z.record(z.string(), z.string()).optional(),
  /** Hash of which rows a control of this arm is drawn from. */
  candidatesHash: z.string().optional(),
  /** Of a control: the arm whose size it took, and from whose candidates it was drawn. */
  controls: z.object({ arm: z.string(), rows: z.number().optional(), candidatesHash: z.string() }).optional(),
  /** The vectors that the choice depends on, and the hash of the examples that rows were chosen near to. */
  vectors: z
    .object({
      name: z.string(),
      sha256: z.string(),
      target: z.string().optional(),
      targetSha256: z.string().optional(),
    })
    .optional(),
  ...taskSchema,
});

export type ArmSummary = z.infer<typeof armSummarySchema>;

/** An arm for figures of the judge's scores: the cut of an arm by an expression is on another scale, and is left out. */
export function onJudgesScale<Arm extends Pick<ArmSummary, "by" | "cut">>(arm: Arm): Arm {
  return arm.by === undefined ? arm : { ...arm, cut: null };
}

/** Whether a file of the run still fits its manifest. */
export type FileState = "present" | "missing" | "changed";

/** An arm, and whether it is still up to date. */
export interface ArmState extends ArmSummary {
  readonly state: FileState;
  /** Whether the rows were rated again, the data changed, or the arm that this one controls was chosen anew since it was made. */
  readonly isStale: boolean;
}
