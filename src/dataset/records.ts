import type { Place } from "./place.ts";
import type { DatasetFile, Format } from "./source.ts";

/** One record of a file, before its shape is known. */
export interface FileRecord {
  /** The record's exact text in the file, without separators; empty for Parquet. */
  readonly text: string;
  readonly value: unknown;
  readonly place: Place;
}

/** A file as records, in order and in batches: the interface that every format implements. */
export interface RecordSource {
  /** The format of the content, even if the file name says otherwise. */
  readonly format: Format;
  /** The columns, for formats that declare them: the file's header line, or names with their types. */
  readonly header?: string | undefined;
  batches(): AsyncIterable<readonly FileRecord[]>;
}

/** Opens a file by its format. @throws DataError, now or while reading, with the place of the problem */
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
