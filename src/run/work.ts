import * as z from "zod";
import { pooledSourcesSchema, quotesSchema } from "./records/dataset.ts";

/** What a running stage reports about itself. */
export const workSchema = z.object({
  pid: z.number(),
  startedAt: z.string(),
  stage: z.string(),
  /** In a word or two: `rating`, `judging`. */
  doing: z.string(),
  done: z.number(),
  total: z.number().optional(),
  unit: z.string(),
  note: z.string().optional(),
  calls: z
    .object({
      inFlight: z.number(),
      waiting: z.number(),
      failed: z.number(),
      paidUsd: z.number().nullable(),
      trouble: z.string().optional(),
    })
    .optional(),
  /** The data being rated, the judge, and the file with the ratings so far. */
  rating: z
    .object({
      source: z.string(),
      workingFolder: z.string().optional(),
      shape: z.string(),
      map: z.record(z.string(), z.string()).optional(),
      quotes: quotesSchema.optional(),
      sources: pooledSourcesSchema.optional(),
      judge: z.string(),
      scale: z.object({ min: z.number(), max: z.number() }).optional(),
      ratingsPath: z.string(),
    })
    .optional(),
});
/** A running stage. */
export type Work = z.infer<typeof workSchema>;
