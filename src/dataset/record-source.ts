import type { Place } from "./place.ts";
import type { Row } from "./example.ts";
import type { Format } from "./source.ts";

/** One record of a file, before its shape is known. */
export interface FileRecord {
  /** The record's exact text in the file, without separators; empty for Parquet. */
  readonly text: string;
  readonly value: unknown;
  readonly place: Place;
  /** Why it cannot be read, where the source keeps such records; `value` is then undefined. */
  readonly problem?: string | undefined;
  /** Whether rows after it may be lost with it, so that nothing may be read on. */
  readonly hidesOthers?: boolean | undefined;
}

/** `none`: in files of text between tabs, quotes often stand for themselves. */
export type Quotes = "double" | "none";

export interface RecordOptions {
  /** Tells rows from an object that holds all of a JSON file's rows. Without it, every object is a row. */
  readonly isRow?: ((object: Row) => boolean) | undefined;
  /** For CSV and TSV. */
  readonly quotes?: Quotes | undefined;
  /** Give a record that cannot be read, with its problem, instead of throwing at it. */
  readonly keepsBroken?: boolean | undefined;
}

/** Memory that is free to be used again. */
export type SpareBuffers = ArrayBuffer[];

/** Some whole lines of a file, each with a record or blank. */
export interface LineBlock {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of its first line; the ordinal is that of its first record. */
  readonly place: Place;
  /** How many records it has. */
  readonly records: number;
}

/** A file as records, in order and in batches: the interface that every format implements. */
export interface RecordSource {
  /** The format of the content, even if the file name says otherwise. */
  readonly format: Format;
  /** The columns, for formats that declare them: the file's header line, or names with their types. */
  readonly header?: string | undefined;
  /** Whether it begins with the byte order mark of UTF-8. */
  readonly hasByteOrderMark?: boolean | undefined;
  /** How the rows of arms differ from this file, in words; absent where their text is copied. */
  readonly rewritten?: string | undefined;
  batches(): AsyncIterable<readonly FileRecord[]>;
  /** The file in blocks, where each record is a line: threads read them with `eachLineRecord`. */
  readonly lineBlocks?: ((spare: SpareBuffers) => AsyncIterable<LineBlock>) | undefined;
}
