import { DataError } from "../errors.ts";
import type { Format } from "./source.ts";

/** Of a row in any text format. Anything longer is a missing quote or bracket. */
export const maxRecordBytes = 64 * 1024 * 1024;

/** Where a record is in its file, for error messages. */
export interface Place {
  readonly path: string;
  readonly format: Format;
  /** Line on which the record begins, from 1; 0 for Parquet and Arrow, which have no lines. */
  readonly line: number;
  /** The record's number in its file, from 1. */
  readonly ordinal: number;
}

/** `train.jsonl:17`, `alpaca.json:83 (row 17)` or `train.parquet (row 17)`. */
export function describePlace({ path, format, line, ordinal }: Place): string {
  if (format === "parquet" || format === "arrow") return `${path} (row ${ordinal})`;
  if (format === "json") return `${path}:${line} (row ${ordinal})`;
  return `${path}:${line}`;
}

export function dataErrorAt(place: Place, problem: string, cause?: unknown): DataError {
  return new DataError(`${describePlace(place)}: ${problem}`, cause === undefined ? undefined : { cause });
}
