import * as z from "zod";

/** The data of a run. */
export const datasetRecordSchema = z.object({
  source: z.string(),
  /** The folder that paths were typed in, relative to the run's folder. */
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
