import type { RecordOptions, RecordSource } from "./record-source.ts";
import type { DatasetFile } from "./source.ts";

/** Opens a file by its format. @throws DataError, now or while reading, with the place of the problem */
export async function openRecords(file: DatasetFile, options: RecordOptions = {}): Promise<RecordSource> {
  switch (file.format) {
    case "json":
    case "jsonl":
      return (await import("./json/records.ts")).openJsonRecords(file, options);
    case "csv":
      return (await import("./csv-records.ts")).openCsvRecords(file, options);
    case "parquet":
      return (await import("./parquet-records.ts")).openParquetRecords(file);
    case "arrow":
      return (await import("./arrow-records.ts")).openArrowRecords(file);
  }
}
