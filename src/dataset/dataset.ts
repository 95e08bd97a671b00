import type { Example } from "./example.ts";
import type { LineBlock, Quotes, SpareBuffers } from "./record-source.ts";
import type { Shape } from "./shape.ts";
import type { DatasetFile, Format } from "./source.ts";

/** An opened instruction dataset: its shape is known, its rows are not read yet. */
export interface Dataset {
  /** As the caller gave it: a path, pattern or `hf:` name. */
  readonly source: string;
  readonly files: readonly DatasetFile[];
  readonly format: Format;
  readonly shape: Shape;
  /** Of files with rows of this dataset: `.json`, `.jsonl.gz`, `.parquet`. */
  readonly extension: string;
  /** How the rows of arms differ from those that were read; absent where they do not. */
  readonly rewritten?: string | undefined;
  /** The sources, where there are several. */
  readonly pool?: readonly PooledSource[] | undefined;
  /** How the rows of a pool are written: as they are, as JSON objects with their columns, or as messages. */
  readonly layout?: "as they are" | "objects" | "messages" | undefined;
  /** How CSV and TSV were read, where the caller said it. */
  readonly quotes?: Quotes | undefined;
  /** The header line as the file has it, its byte order mark included (CSV). */
  readonly header?: string | undefined;
  /** Columns of the first row that nothing is read from. */
  readonly unused: readonly string[];
  /**
   * All examples in order, in batches of a few hundred. Each call is a new pass.
   *
   * @throws DataError at the first row that cannot be read, unless such rows are kept; the message names its place, and how many more
   *   there are among the first rows
   */
  batches(): AsyncIterable<readonly Example[]>;
  /** The rows in blocks of lines, where each is a line of a file: threads read them with `eachLineRecord` and `readExample`. */
  readonly lineBlocks?: ((spare: SpareBuffers) => AsyncIterable<RowBlock>) | undefined;
}

/** Some rows of a dataset. */
export interface RowBlock extends LineBlock {
  /** Position of its first row in the whole dataset, from 0. */
  readonly index: number;
}

/** One source of a pool. */
export interface PooledSource {
  /** As the caller gave it. */
  readonly source: string;
  /** Its name in the column `source`: the file's name without its extension, or all of it where two would be alike. */
  readonly label: string;
  readonly shape: string;
  readonly map?: Readonly<Record<string, string>> | undefined;
  readonly quotes?: Quotes | undefined;
}
