import * as z from "zod";

/** What a stage at work tells of itself. */
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
    .object({ inFlight: z.number(), waiting: z.number(), failed: z.number(), paidUsd: z.number().nullable() })
    .optional(),
  /** What is being rated, by whom, and the file that the ratings so far are in. */
  rating: z
    .object({
      source: z.string(),
      workingFolder: z.string().optional(),
      shape: z.string(),
      map: z.record(z.string(), z.string()).optional(),
      judge: z.string(),
      scale: z.object({ min: z.number(), max: z.number() }).optional(),
      ratingsPath: z.string(),
    })
    .optional(),
});
/** A stage that is at work. */
export type Work = z.infer<typeof workSchema>;
