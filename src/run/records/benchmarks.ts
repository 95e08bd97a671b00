import * as z from "zod";
import { estimateSchema, gateSchema, taskSchema } from "./common.ts";

/** A model's result in one benchmark. */
const modelBenchmarkSchema = z.object({
  model: z.string(),
  /** The models that it stands with: trainings of one arm. */
  group: z.string(),
  /** The mean of the items' values. */
  value: estimateSchema,
  /** The harness's own figure; null where it gives none for the whole. Another one than the mean where parts count alike. */
  harnessValue: z.number().nullable(),
  items: z.number(),
  /** A line an item: task, item, hashes, target, replies, value, metrics. Empty for a figure that was published. */
  path: z.string(),
});

const benchmarkDifferenceSchema = z.object({
  a: z.string(),
  b: z.string(),
  /** Items that all models of both have a value for. */
  items: z.number(),
  /** Pairs of trainings; null where figures were published without it. */
  trainings: z.number().nullable(),
  /** The two means over these items and trainings; null without items. */
  means: z.tuple([z.number().nullable(), z.number().nullable()]),
  /** a's mean minus b's, by item. */
  difference: estimateSchema,
  pValue: z.number(),
  /**
   * `exact`: the sign test over items that one alone has right. `interval`: the test that the interval belongs to. `unpaired`: that of two
   * shares of which only the values were published.
   */
  test: z.enum(["exact", "interval", "unpaired"]),
  /** Corrected for all differences of this command, by Holm's method. */
  adjustedPValue: z.number(),
  /** p if the items had not been paired, to show what pairing gains. */
  unpairedPValue: z.number(),
  sentence: z.string(),
});

/** A task within a benchmark, as the harness names it. */
const partSchema = z.object({
  task: z.string(),
  metric: z.string(),
  filter: z.string(),
  version: z.string(),
  shots: z.number().nullable(),
  items: z.number(),
});

/** The result of one task of `benchmark`. */
export const benchmarkSummarySchema = z.object({
  task: z.string(),
  harness: z.string(),
  metric: z.string(),
  /** Whether a higher value is better. */
  higherIsBetter: z.boolean(),
  parts: z.array(partSchema),
  models: z.array(modelBenchmarkSchema),
  differences: z.array(benchmarkDifferenceSchema),
  notes: z.array(z.string()),
  gates: z.array(gateSchema),
  /** SHA-256 over the items' values. */
  itemsHash: z.string(),
  ...taskSchema,
});

export type BenchmarkSummary = z.infer<typeof benchmarkSummarySchema>;
export type ModelBenchmark = z.infer<typeof modelBenchmarkSchema>;
export type BenchmarkDifference = z.infer<typeof benchmarkDifferenceSchema>;
