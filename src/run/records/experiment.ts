import * as z from "zod";
import { comparisonResultSchema } from "./comparison.ts";
import { benchmarkSummarySchema } from "./benchmarks.ts";
import { lossSummarySchema } from "./losses.ts";

/** One training of an experiment's arm. */
const trainingResultSchema = z.object({
  /** Absent for a training made elsewhere. */
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
  /** What was said of the choice of its rows, where it may not be what it seems. */
  alarms: z.array(z.string()).optional(),
  trainings: z.array(trainingResultSchema),
  /** For one training: the mean over the seeds. */
  minutes: z.number().nullable(),
  usd: z.number().nullable(),
});

export type ExperimentArm = z.infer<typeof experimentArmSchema>;

const matchResultSchema = z.object({
  a: z.string(),
  b: z.string(),
  judge: z.string(),
  /** What the judge failed in its latest check in the run, where it did. */
  failedChecks: z.array(z.string()).optional(),
  /** Which of its verdicts are missing, where some are: then nothing is concluded. */
  missing: z.string().optional(),
  /** Over all trainings together; prompts and trainings are crossed sources of variance. */
  pooled: comparisonResultSchema,
  sets: z.array(comparisonResultSchema),
  /** The winning score by seed, where there are several. */
  seeds: z.array(z.object({ a: z.string(), b: z.string(), winningScore: z.number().nullable() })),
});

export type MatchResult = z.infer<typeof matchResultSchema>;

/** The result of an experiment. Money in US dollars; null where no price is known. */
export const experimentResultSchema = z.object({
  name: z.string(),
  caveat: z.string().optional(),
  source: z.string().optional(),
  /** Whether its figures are published ones, of an experiment that was run elsewhere. */
  isPublished: z.boolean().optional(),
  /** Whether selecting helped: in one plain sentence, and as a verdict. */
  sentence: z.string(),
  verdict: z.enum(["helped", "did not help", "no benefit shown", "one training", "not compared"]),
  arms: z.array(experimentArmSchema),
  matches: z.array(matchResultSchema),
  /** Losses on held-out answers, where they were measured. */
  losses: lossSummarySchema.pick({ data: true, models: true, differences: true }).optional(),
  benchmarks: z
    .array(
      benchmarkSummarySchema
        .pick({ task: true, metric: true, models: true, differences: true })
        /** `harness` is null where figures were published elsewhere. */
        .extend({ harness: z.string().nullable(), notes: z.array(z.string()).default([]) }),
    )
    .optional(),
  /** The cost of reaching three trainings of each arm, where there are fewer. */
  moreTrainings: z
    .object({
      /** How many more of each arm. */
      trainings: z.number(),
      minutes: z.number().nullable(),
      trainingUsd: z.number().nullable(),
      /** For answers and verdicts. */
      callsUsd: z.number().nullable(),
    })
    .optional(),
  /** Rows of arms that overlap test prompts and were kept (`contamination: note`); absent where none does. */
  contamination: z.object({ rows: z.number(), arms: z.array(z.string()) }).optional(),
  money: z.object({
    rating: z.number().nullable(),
    training: z.number().nullable(),
    generating: z.number().nullable(),
    comparing: z.number().nullable(),
  }),
  /** Savings of training on an arm instead of all rows, and after how many trainings they pay for the rating. */
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
