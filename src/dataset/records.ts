import type { Place } from "./place.ts";
import type { DatasetFile, Format } from "./source.ts";

/** One record of a file before any shape is known. */
export interface FileRecord {
  /** Exactly as the file has it, without what separates records; empty for Parquet. */
  readonly text: string;
  readonly value: unknown;
  readonly place: Place;
}

/** A file as records, in order and in batches: the seam that every format implements. */
export interface RecordSource {
  /** What the content is, whatever the name says. */
  readonly format: Format;
  /** The columns, for formats that declare them: the header line as it stands in the file, or names with their types. */
  readonly header?: string;
  batches(): AsyncIterable<readonly FileRecord[]>;
}

/** Opens a file by its format. @throws DataError, now or while reading, with the place of what is wrong */
export async function openRecords(file: DatasetFile): Promise<RecordSource> {
  switch (file.format) {
    case "json":
    case "jsonl":
      return (await import("./json-records.ts")).openJsonRecords(file);
    case "csv":
      return (await import("./csv-records.ts")).openCsvRecords(file);
    case "parquet":
      return (await import("./parquet-records.ts")).openParquetRecords(file);
  }
}
