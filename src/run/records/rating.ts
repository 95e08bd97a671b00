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
  /** Of the scores as the judge wrote them, where the score is a mean. */
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

/** What is known of the errors of a panel's judges, and their scores corrected by it. */
const panelCorrectionSchema = z.object({
  /** Rows that all judges have scored. */
  rows: z.number(),
  /** `corrected.jsonl`: index, the combined corrected score, and each judge's. */
  path: z.string(),
  /** SHA-256 of that file. */
  correctedHash: z.string(),
  /** By what factor the mean score's correlation with the truth is thought to grow. */
  gain: z.object({ value: z.number(), low: z.number(), high: z.number() }),
  judges: z.array(
    z.object({
      judge: z.string(),
      /** How much of the correction was taken over, from 0 to 1. */
      weight: z.number(),
      /** Its scores' covariance with their rows' neighbours' scores, in standard errors. */
      neighbourAgreement: z.number(),
      /** The scores it gives, ascending. */
      levels: z.array(z.number()),
      /** The estimated share of rows of each true score. */
      prior: z.array(z.number()),
      /** [true score][given score]; rows sum to 1. */
      transition: z.array(z.array(z.number())),
      /** How much of the matrix is on its diagonal: the share of rows that it scores as it scores their like. */
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
  /** Who was asked, and about how many rows. */
  to: z.string(),
  asked: z.number(),
  /** Of these, drawn at random in the end, which the estimates rest on. */
  audited: z.number(),
  rows: z.number(),
  /** The score of that judge from which on a row is to be kept. */
  minScore: z.number(),
  /** Rows that have it: of those asked about, and of the others by their probability. */
  kept: z.number(),
  /** Rows not asked about are kept from this probability on; null when none is. */
  keptFrom: z.number().nullable(),
  /** Estimates, against asking about every row. */
  precision: estimateSchema,
  recall: estimateSchema,
  /** The same, had the student alone kept as many rows. */
  alone: z.object({ precision: z.number().nullable(), recall: z.number().nullable() }),
});

export type EscalationRecord = z.infer<typeof escalationSchema>;

/** What `rate` says when it is done. Times in milliseconds. */
export const rateSummarySchema = z.object({
  judge: z.string(),
  scale: scaleSchema.optional(),
  question: questionSchema.optional(),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  states: statesSchema,
  /** Rows with a score over all rows. */
  coverage: z.number(),
  mean: z.number().nullable(),
  histogram: histogramSchema,
  /** Where several judges rated together. */
  panel: panelSchema.optional(),
  /** Where a student asked another judge. */
  escalation: escalationSchema.optional(),
  alarms: z.array(z.string()),
  /** How the judge did on rows whose order is known, before a long rating. */
  checks: z.array(gateSchema.extend({ isUnknown: z.boolean().optional() })).optional(),
  agreement: agreementSchema.optional(),
  gates: z.array(gateSchema),
  /** SHA-256 of ratings.jsonl. */
  ratingsHash: z.string(),
  ...taskSchema,
});

export type RateSummary = z.infer<typeof rateSummarySchema>;
