import * as z from "zod";
import { ratingStates } from "./rating.ts";

/** Version of the manifest's layout; raised when an older reader would misread it. */
export const manifestVersion = 2;

const scaleSchema = z.object({ min: z.number(), max: z.number() });
const estimateSchema = z.object({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});

/** How a stage was run. */
const taskSchema = {
  /** What the user typed; absent when the stage was called from a program. */
  command: z.string().optional(),
  startedAt: z.string(),
  wallMs: z.number(),
};

/** Which data a run is about. */
const datasetRecordSchema = z.object({
  source: z.string(),
  /** The folder that paths were typed from, seen from the run's folder. */
  workingFolder: z.string().optional(),
  files: z.array(z.object({ path: z.string(), bytes: z.number() })),
  format: z.enum(["json", "jsonl", "csv", "parquet"]),
  shape: z.string(),
  /** Columns given by hand (--map). */
  map: z.record(z.string(), z.string()).optional(),
  rows: z.number(),
  /** SHA-256 over the hashes of all rows, in order. */
  hash: z.string(),
});
export type DatasetRecord = z.infer<typeof datasetRecordSchema>;

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

const gateSchema = z.object({
  name: z.string(),
  held: z.boolean(),
  /** One sentence: what was measured, and what was wanted. */
  message: z.string(),
});
export type Gate = z.infer<typeof gateSchema>;

/** How a model is asked. */
const questionSchema = z.object({
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
const callsSchema = z.object({
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

const statesSchema = z.partialRecord(z.enum(ratingStates), z.number());
/** Bars over [from, to); value by value where from equals to. */
const histogramSchema = z.array(z.object({ from: z.number(), to: z.number(), count: z.number() }));

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
const rateSummarySchema = z.object({
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

const categoriesSchema = z.array(z.object({ category: z.string(), rows: z.number(), share: z.number() }));

/** Rows at or above a threshold, beside the whole set. Lengths are mean characters. */
const whatIfSchema = z.object({
  threshold: z.number(),
  rows: z.number(),
  share: z.number(),
  meanPromptLength: z.number(),
  meanOutputLength: z.number(),
  /** Characters of these rows over those of all rows. */
  textShare: z.number(),
  /** Training time and money over the full set's, by steps (as in the paper: rows at a fixed batch). */
  trainingShare: z.number(),
  trainingMinutes: z.number().optional(),
  trainingUsd: z.number().optional(),
  /** Share of each category among these rows, the largest first. */
  categories: categoriesSchema.optional(),
});
export type WhatIf = z.infer<typeof whatIfSchema>;

/** What `select` says of one arm. */
const armSummarySchema = z.object({
  arm: z.string(),
  method: z.enum(["score", "random", "longest", "full", "rows"]),
  /** The choice in words: "the 9,000 best by score". */
  choice: z.string(),
  seed: z.number(),
  path: z.string(),
  decisionsPath: z.string(),
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
  /** How many rows met each fate. */
  reasons: z.record(z.string(), z.number()),
  coverage: z.number(),
  full: whatIfSchema.optional(),
  whatIf: z.array(whatIfSchema),
  notes: z.array(z.string()),
  alarms: z.array(z.string()),
  gates: z.array(gateSchema),
  /** The ratings this arm was made from. */
  ratingsHash: z.string(),
  ...taskSchema,
});
export type ArmSummary = z.infer<typeof armSummarySchema>;

const outcomeCountsSchema = z.object({ win: z.number(), tie: z.number(), lose: z.number(), undecided: z.number() });

const withoutSetSchema = z.object({ set: z.string(), winningScore: z.number() });

/** What can be concluded about one group of prompts. Figures are told from A's side; null where there is none. */
const comparisonResultSchema = z.object({
  group: z.string(),
  pairs: z.number(),
  counts: outcomeCountsSchema,
  identical: z.number(),
  winningScore: estimateSchema,
  winRate: estimateSchema,
  gradedWinRate: estimateSchema.optional(),
  pValue: z.number(),
  adjusted: z
    .object({ pValue: z.number(), comparisons: z.number(), method: z.enum(["Holm", "Benjamini-Hochberg"]) })
    .optional(),
  conclusion: z.enum(["better", "worse", "no difference shown"]),
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

/** What `compare` says of two arms. */
const comparisonSummarySchema = z.object({
  /** The arm whose side is told, and its opponent. */
  a: z.string(),
  b: z.string(),
  judge: z.string(),
  question: questionSchema.optional(),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  /** SHA-256 over all pairs of answers; absent for published reviews. */
  answersHash: z.string().optional(),
  /** Prompts that only one of them has an answer to. */
  missing: z.number(),
  /** Orders by how their judgement ended. */
  states: z.record(z.string(), z.number()),
  seed: z.number(),
  pooled: comparisonResultSchema,
  sets: z.array(comparisonResultSchema),
  categories: z.array(comparisonResultSchema.extend({ set: z.string() })),
  agreement: z.array(outcomeAgreementSchema),
  gates: z.array(gateSchema),
  /** Every pair with both orders' verdicts; absent for published reviews that were only counted. */
  verdictsPath: z.string().optional(),
  /** SHA-256 of that file. */
  verdictsHash: z.string().optional(),
  ...taskSchema,
});
export type ComparisonSummary = z.infer<typeof comparisonSummarySchema>;

const checkSchema = z.object({ name: z.string(), held: z.boolean(), message: z.string() });

/** What `train` says of one model. */
const trainSummarySchema = z.object({
  model: z.string(),
  arm: z.string(),
  base: z.string(),
  recipe: z.string(),
  recipeVersion: z.number(),
  method: z.enum(["full", "lora", "qlora"]),
  template: z.enum(["alpaca", "chat"]),
  /** Settings that are not the recipe's. */
  differences: z.array(z.object({ setting: z.string(), recipe: z.string(), here: z.string() })),
  seed: z.number(),
  /** The training's folder, and what it produced. */
  path: z.string(),
  outputPath: z.string(),
  rows: z.number(),
  /** Rows cut at the maximum length, and rows of which no label was left: their positions in the arm, from 0. */
  cutRows: z.array(z.number()),
  unlabelledRows: z.array(z.number()),
  steps: z.number(),
  globalBatch: z.number(),
  gpus: z.number(),
  processes: z.number(),
  /** Tokens trained on, over all epochs. */
  tokens: z.number(),
  finalLoss: z.number().nullable(),
  /** Loss by step; of many steps, every so many. */
  lossCurve: z.array(z.object({ step: z.number(), loss: z.number() })),
  /** The trainer alone, over all attempts; and the part of it before the first step: loading. */
  trainMs: z.number(),
  startMs: z.number(),
  gpuHours: z.number(),
  usdPerHour: z.number().nullable(),
  usd: z.number().nullable(),
  examplesPerSecond: z.number(),
  tokensPerSecond: z.number(),
  /** What was looked at when the model was saved. */
  checks: z.array(checkSchema),
  gates: z.array(gateSchema),
  /** How often it was begun or gone on with. */
  attempts: z.number(),
  /** SHA-256 over the settings and the rows. */
  hash: z.string(),
  ...taskSchema,
});
export type TrainSummary = z.infer<typeof trainSummarySchema>;

/** What became of a test set's prompts. Lengths in characters. */
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

/** What `generate` says of one model's answers. */
const answersSummarySchema = z.object({
  /** What the answers are called. */
  arm: z.string(),
  model: z.string(),
  template: z.enum(["alpaca", "chat"]),
  question: questionSchema,
  /** The server that was started, and how its prompts compare with the training's; absent for one that already ran. */
  server: z.object({ description: z.string(), startMs: z.number(), parity: z.string() }).optional(),
  sets: z.array(answeredSetSchema),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  gates: z.array(gateSchema),
  answersPath: z.string(),
  /** SHA-256 of that file. */
  answersHash: z.string(),
  ...taskSchema,
});
export type AnswersSummary = z.infer<typeof answersSummarySchema>;

/** One training of an experiment's arm. */
const trainingResultSchema = z.object({
  /** Absent for one that was made elsewhere. */
  seed: z.number().optional(),
  minutes: z.number(),
  usd: z.number().nullable(),
  finalLoss: z.number().nullable(),
  lossCurve: z.array(z.object({ step: z.number(), loss: z.number() })),
});

const experimentArmSchema = z.object({
  arm: z.string(),
  /** Null for a model that only answers. */
  rows: z.number().nullable(),
  trainings: z.array(trainingResultSchema),
  /** Of one training, the mean over the seeds. */
  minutes: z.number().nullable(),
  usd: z.number().nullable(),
});
export type ExperimentArm = z.infer<typeof experimentArmSchema>;

const matchResultSchema = z.object({
  a: z.string(),
  b: z.string(),
  judge: z.string(),
  /** Over all trainings together; prompts and trainings are crossed sources of variance. */
  pooled: comparisonResultSchema,
  sets: z.array(comparisonResultSchema),
  /** The winning score by seed, where there are several. */
  seeds: z.array(z.object({ a: z.string(), b: z.string(), winningScore: z.number().nullable() })),
});
export type MatchResult = z.infer<typeof matchResultSchema>;

/** What an experiment came to. Money in US dollars; null where no price is known. */
const experimentResultSchema = z.object({
  name: z.string(),
  caveat: z.string().optional(),
  source: z.string().optional(),
  /** Whether selecting helped, in one plain sentence, and in a word. */
  sentence: z.string(),
  verdict: z.enum(["helped", "did not help", "no benefit shown", "one training", "not compared"]),
  arms: z.array(experimentArmSchema),
  matches: z.array(matchResultSchema),
  /** What it takes to have three trainings of each arm, where there are fewer. */
  moreTrainings: z
    .object({
      /** Of each arm. */
      trainings: z.number(),
      minutes: z.number().nullable(),
      trainingUsd: z.number().nullable(),
      /** Of answers and verdicts. */
      callsUsd: z.number().nullable(),
    })
    .optional(),
  money: z.object({
    rating: z.number().nullable(),
    training: z.number().nullable(),
    generating: z.number().nullable(),
    comparing: z.number().nullable(),
  }),
  /** What training on an arm saves against training on all rows, and after how many trainings that pays for the rating. */
  savings: z.array(
    z.object({
      arm: z.string(),
      full: z.string(),
      timesFaster: z.number(),
      minutes: z.number(),
      usd: z.number().nullable(),
      paysBackAfter: z.number().nullable(),
    }),
  ),
});
export type ExperimentResult = z.infer<typeof experimentResultSchema>;

/** What a run was asked and what came out: `run.json`. */
export const manifestSchema = z.object({
  version: z.literal(manifestVersion),
  alpagasus: z.string(),
  /** What was rated, and how; absent in a run that only compares. */
  dataset: datasetRecordSchema.optional(),
  rate: rateSummarySchema.optional(),
  /** By the arm's name. */
  arms: z.record(z.string(), armSummarySchema),
  /** By the names of the arms and of the judge. */
  comparisons: z.record(z.string(), comparisonSummarySchema).optional(),
  /** By the model's name. */
  models: z.record(z.string(), trainSummarySchema).optional(),
  /** By what the answers are called. */
  answers: z.record(z.string(), answersSummarySchema).optional(),
  /** What the experiment that the run is came to. */
  experiment: experimentResultSchema.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of a run that has ratings. */
export type RatedManifest = Manifest & { readonly dataset: DatasetRecord; readonly rate: RateSummary };

export function isRated(manifest: Manifest | undefined): manifest is RatedManifest {
  return manifest?.dataset !== undefined && manifest.rate !== undefined;
}

/** Whether a file of the run is what its manifest says. */
export type FileState = "present" | "missing" | "changed";

/** An arm, and whether it is still what it was. */
export interface ArmState extends ArmSummary {
  readonly state: FileState;
  /** Whether the rows were rated anew, or the data changed, since this arm was made. */
  readonly isStale: boolean;
}
