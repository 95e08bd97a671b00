import * as z from "zod";
import { callsSchema, gateSchema, taskSchema } from "./common.ts";

/** Which text of a row its vector is of. */
export const embeddedTexts = ["row", "prompt", "answer"] as const;
export type EmbeddedText = (typeof embeddedTexts)[number];

const vectorsSchema = z.object({
  rows: z.number(),
  /** Rows that have a vector. */
  embedded: z.number(),
  path: z.string(),
  /** SHA-256 of the file. */
  sha256: z.string(),
});

/** The result of `embed` for one model. */
export const embeddingSummarySchema = z.object({
  name: z.string(),
  model: z.string(),
  text: z.enum(embeddedTexts),
  maxLength: z.number().optional(),
  /** Values of a vector. */
  dimensions: z.number(),
  /** Hash of the data that the rows are of. */
  datasetHash: z.string(),
  vectors: vectorsSchema,
  /** Files of examples to choose rows near to, by the hash of their texts. */
  targets: z.record(z.string(), vectorsSchema.extend({ source: z.string() })),
  notes: z.array(z.string()),
  calls: callsSchema.optional(),
  gates: z.array(gateSchema),
  ...taskSchema,
});

export type EmbeddingSummary = z.infer<typeof embeddingSummarySchema>;
