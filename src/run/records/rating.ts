import * as z from "zod";
import {
  callsSchema,
  estimateSchema,
  gateSchema,
  histogramSchema,
  questionSchema,
  scaleSchema,
  statesSchema,
  taskSchema,
} from "./common.ts";

const agreementSchema = z.object({
  reference: z.string(),
  rows: z.number(),
  spearman: estimateSchema,
  /** The same for the scores as written, where the score is a mean. */
  writtenSpearman: estimateSchema.optional(),
  thresholds: z.array(
    z.object({
      threshold: z.number(),
      rows: z.number(),
      share: z.number(),
      auc: z.number().nullable(),
      precision: z.number().nullable(),
    }),
  ),
});

export type AgreementRecord = z.infer<typeof agreementSchema>;

/** The estimated errors of a panel's judges, and the scores corrected for them. */
const panelCorrectionSchema = z.object({
  /** Rows that all judges have scored. */
  rows: z.number(),
  /** `corrected.jsonl`: index, the combined corrected score, and each judge's. */
  path: z.string(),
  /** SHA-256 of that file. */
  correctedHash: z.string(),
  /** Estimated factor by which the mean score's correlation with the truth grows. */
  gain: z.object({ value: z.number(), low: z.number(), high: z.number() }),
  judges: z.array(
    z.object({
      judge: z.string(),
      /** How much of the correction is used, from 0 to 1. */
      weight: z.number(),
      /** The covariance of its scores with those of the rows' neighbours, in standard errors. */
      neighbourAgreement: z.number(),
      /** The distinct scores it gives, ascending. */
      levels: z.array(z.number()),
      /** The estimated share of rows with each true score. */
      prior: z.array(z.number()),
      /** [true score][given score]; rows sum to 1. */
      transition: z.array(z.array(z.number())),
      /** The diagonal of the matrix, weighted by the prior: the estimated share of rows that get their true score. */
      consistentShare: z.number(),
      /** Spearman's correlation with each judge's raw scores, before and after the correction. */
      agreements: z.array(z.object({ with: z.string(), raw: estimateSchema, corrected: estimateSchema })),
    }),
  ),
});

export type PanelCorrection = z.infer<typeof panelCorrectionSchema>;

/** What the judges of a panel said, each for itself and beside one another. */
const panelSchema = z.object({
  combine: z.enum(["mean", "median", "lowest"]),
  judges: z.array(
    z.object({
      judge: z.string(),
      scale: scaleSchema.optional(),
      question: questionSchema.optional(),
      states: statesSchema,
      mean: z.number().nullable(),
      histogram: histogramSchema,
      calls: callsSchema.optional(),
    }),
  ),
  agreements: z.array(
    z.object({
      a: z.string(),
      b: z.string(),
      /** Rows that both have scored. */
      rows: z.number(),
      spearman: estimateSchema,
      /** Cohen's kappa with quadratic weights. */
      kappa: estimateSchema,
    }),
  ),
  /** The rows that they disagree about most. */
  disagreements: z.array(
    z.object({
      index: z.number(),
      id: z.string().optional(),
      scores: z.array(z.number().nullable()),
      spread: z.number(),
    }),
  ),
  correction: panelCorrectionSchema.optional(),
  /** Why there is none. */
  uncorrected: z.string().optional(),
});

export type PanelSummary = z.infer<typeof panelSchema>;

/** What came of a student that asked another judge where it was not sure. */
const escalationSchema = z.object({
  student: z.string(),
  /** The judge that was asked, and about how many rows. */
  to: z.string(),
  asked: z.number(),
  /** How many of these were drawn at random for the estimates. */
  audited: z.number(),
  rows: z.number(),
  /** The score, on that judge's scale, at which a row is kept. */
  minScore: z.number(),
  /** Rows that reach it: by their score if asked about, otherwise by their probability. */
  kept: z.number(),
  /** Rows not asked about are kept if their probability is at least this; null when none is kept. */
  keptFrom: z.number().nullable(),
  /** Estimates, compared with asking about every row. */
  precision: estimateSchema,
  recall: estimateSchema,
  /** The same if the student alone had kept as many rows. */
  alone: z.object({ precision: z.number().nullable(), recall: z.number().nullable() }),
});

export type EscalationRecord = z.infer<typeof escalationSchema>;

/** The result of `rate`. Times in milliseconds. */
export const rateSummarySchema = z.object({
  /** Where only a part of the rows was rated (rate --shard): the number of the part from 1, and of how many. */
  shard: z.object({ index: z.number(), of: z.number() }).optional(),
  /** Where some rows were rated for a try (rate --limit): how many, and of how many. */
  limit: z.object({ rows: z.number(), of: z.number() }).optional(),
  judge: z.string(),
  scale: scaleSchema.optional(),
  question: questionSchema.optional(),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  states: statesSchema,
  /** Rows among the failed that no call was made for, such as those whose prompt is too long; absent where there are none. */
  unasked: z.number().optional(),
  /** The share of rows that have a score. */
  coverage: z.number(),
  mean: z.number().nullable(),
  histogram: histogramSchema,
  /** Marks beside the score, by their names. */
  marks: z
    .record(z.string(), z.object({ rows: z.number(), mean: z.number().nullable(), histogram: histogramSchema }))
    .optional(),
  /** Whether rows have marks and none has a score of its own. */
  hasOnlyMarks: z.boolean().optional(),
  /** Present where a panel of judges rated. */
  panel: panelSchema.optional(),
  /** Present where a student escalated to another judge. */
  escalation: escalationSchema.optional(),
  alarms: z.array(z.string()),
  /** The checks of the judge on anchor rows, before a long rating. */
  checks: z.array(gateSchema.extend({ isUnknown: z.boolean().optional() })).optional(),
  agreement: agreementSchema.optional(),
  gates: z.array(gateSchema),
  /** SHA-256 of ratings.jsonl. */
  ratingsHash: z.string(),
  /** Its size; absent in runs of earlier versions. */
  ratingsBytes: z.number().optional(),
  ...taskSchema,
});

export type RateSummary = z.infer<typeof rateSummarySchema>;
