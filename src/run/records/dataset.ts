import * as z from "zod";

/** How CSV marks values, where it was said. */
export const quotesSchema = z.enum(["double", "none"]);

/** The sources of a pool, each with its layout. */
export const pooledSourcesSchema = z.array(
  z.object({
    source: z.string(),
    label: z.string(),
    shape: z.string(),
    map: z.record(z.string(), z.string()).optional(),
    quotes: quotesSchema.optional(),
  }),
);

/** The data of a run. */
export const datasetRecordSchema = z.object({
  source: z.string(),
  /** The folder that paths were typed in, relative to the run's folder. */
  workingFolder: z.string().optional(),
  files: z.array(z.object({ path: z.string(), bytes: z.number() })),
  format: z.enum(["json", "jsonl", "csv", "parquet", "arrow"]),
  shape: z.string(),
  /** Columns given by hand (--map). */
  map: z.record(z.string(), z.string()).optional(),
  /** How CSV was read, where it was said (--quotes). */
  quotes: quotesSchema.optional(),
  /** Where the data is a pool of several sources. */
  sources: pooledSourcesSchema.optional(),
  rows: z.number(),
  /** Whether some row has several turns, a system text, tools or reasoning. Absent in older runs. */
  hasChats: z.boolean().optional(),
  /** SHA-256 over the hashes of all rows, in order. */
  hash: z.string(),
});

export type DatasetRecord = z.infer<typeof datasetRecordSchema>;
