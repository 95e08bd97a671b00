import * as z from "zod";
import { answersSummarySchema } from "./records/answers.ts";
import { armSummarySchema } from "./records/arm.ts";
import { comparisonSummarySchema } from "./records/comparison.ts";
import { type DatasetRecord, datasetRecordSchema } from "./records/dataset.ts";
import { embeddingSummarySchema } from "./records/embedding.ts";
import { experimentResultSchema } from "./records/experiment.ts";
import { benchmarkSummarySchema } from "./records/benchmarks.ts";
import { lossSummarySchema } from "./records/losses.ts";
import { type RateSummary, rateSummarySchema } from "./records/rating.ts";
import { trainSummarySchema } from "./records/training.ts";

/** Version of the manifest's layout; raised when an older reader would misread it. */
export const manifestVersion = 2;

/** The inputs and results of a run: `run.json`. */
export const manifestSchema = z.object({
  version: z.literal(manifestVersion),
  alpagasus: z.string(),
  /** The rated data and the rating; absent in a run that only compares. */
  dataset: datasetRecordSchema.optional(),
  rate: rateSummarySchema.optional(),
  /** Further scores of the same rows, by their names (rate --as NAME). */
  scores: z.record(z.string(), rateSummarySchema).optional(),
  /** Vectors of the rows, by the names of the embeddings. */
  embeddings: z.record(z.string(), embeddingSummarySchema).optional(),
  /** By the arm's name. */
  arms: z.record(z.string(), armSummarySchema),
  /** By the names of the arms and of the judge. */
  comparisons: z.record(z.string(), comparisonSummarySchema).optional(),
  /** By the model's name. */
  models: z.record(z.string(), trainSummarySchema).optional(),
  /** Losses on held-out answers, by the name of their file. */
  losses: z.record(z.string(), lossSummarySchema).optional(),
  /** By the name of the task. */
  benchmarks: z.record(z.string(), benchmarkSummarySchema).optional(),
  /** By the name of the answers. */
  answers: z.record(z.string(), answersSummarySchema).optional(),
  /** The result of the experiment, if the run is one. */
  experiment: experimentResultSchema.optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest of a run that has ratings. */
export type RatedManifest = Manifest & { readonly dataset: DatasetRecord; readonly rate: RateSummary };

export function isRated(manifest: Manifest | undefined): manifest is RatedManifest {
  return manifest?.dataset !== undefined && manifest.rate !== undefined;
}
