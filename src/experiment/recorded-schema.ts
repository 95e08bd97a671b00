import * as z from "zod";
import { count, name } from "./train-schema.ts";

const times = z.number().int().min(0);

const outcomesSchema = z.strictObject({ set: z.string(), win: times, tie: times, lose: times });

const recordedBenchmarkSchema = z.strictObject({
  task: z
    .string()
    .regex(/^\w[\w.:+-]*$/, "expected letters, digits, . : + or -")
    .describe("The benchmark, with examples in the prompt after a colon: mmlu:5"),
  metric: z
    .string()
    .regex(/^\w[\w.@+ -]*$/, "expected letters, digits, . @ + or -")
    .default("accuracy")
    .describe(
      "A mean over the items of values from 0 to 1, as accuracy or F1 by item; not of a whole corpus, as macro-F1",
    ),
  items: count.describe("How many items the percentages are of"),
  percent: z.record(name, z.number().min(0).max(100)).describe("By arm, as published"),
});

/** Figures of an experiment that was run elsewhere. */
export const recordedSchema = z.strictObject({
  judge: z.string().optional().describe("Who compared; needed with comparisons"),
  rating_usd: z.number().min(0).optional().describe("What rating cost"),
  arms: z.record(
    name,
    z.strictObject({ rows: count, minutes: z.number().positive().optional(), usd: z.number().min(0).optional() }),
  ),
  trainings: count.optional().describe("How often each arm was trained, where that is known"),
  comparisons: z.array(z.strictObject({ a: name, b: name, sets: z.array(outcomesSchema).min(1) })).default([]),
  benchmarks: z.array(recordedBenchmarkSchema).default([]),
});
