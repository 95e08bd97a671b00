import type { Compression } from "../files/read-bytes.ts";
import { rename, rm } from "node:fs/promises";
import { openAtomicFile, partialPath, type AtomicFile } from "../files/atomic-file.ts";
import { openDuckDb, sqlText, rowIndex } from "./duckdb.ts";
import type { Example } from "./example.ts";
import type { Dataset } from "./dataset.ts";
import { parquetReader } from "./parquet-records.ts";
import { plainFile } from "./plain-file.ts";

/** Writes selected rows of a dataset in the dataset's own format, with each row's text unchanged. */
export interface RowWriter {
  /** Writes the next selected row; rows must come in the dataset's order. */
  write(example: Example): Promise<void> | void;
  /** Writes selected rows that are lines already, with a line feed between them; none where there are no bytes. Only for JSON Lines. */
  writeLines?(lines: Uint8Array): Promise<void>;
  /** Moves the finished file to its path. Until then, nothing at that path changes. */
  commit(): Promise<void>;
  /** Deletes the unfinished file; does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Opens a writer for rows of `dataset`; `path` should end with its `extension`. */
export function openRowWriter(dataset: Dataset, path: string): RowWriter {
  if (dataset.format === "parquet") return new ParquetWriter(dataset, path);
  return new TextRowWriter(path, compressionOf(dataset), textLayout(dataset));
}

/** As the arm's extension says: rows of a pool whose files differ are not compressed. */
function compressionOf({ extension }: Dataset): Compression | undefined {
  return /\.gz$/i.test(extension) ? "gzip" : /\.zst$/i.test(extension) ? "zstd" : undefined;
}

interface TextLayout {
  readonly begin: string;
  readonly between: string;
  readonly end: string;
  /** The indentation before a row's text. */
  indent(text: string): string;
}

function textLayout(dataset: Dataset): TextLayout {
  if (dataset.format === "json") return { begin: "[\n", between: ",\n", end: "\n]\n", indent: indentOfLastLine };
  const begin = dataset.format === "csv" ? `${dataset.header}\n` : "";
  return { begin, between: "\n", end: "\n", indent: () => "" };
}

/** The indentation of a row's last line, its closing bracket; the text itself begins after the first line's indentation. */
function indentOfLastLine(text: string): string {
  const lastLine = text.slice(text.lastIndexOf("\n") + 1);
  return lastLine.length < text.length ? /^[ \t]*/.exec(lastLine)![0] : "";
}

class TextRowWriter implements RowWriter {
  readonly #file: AtomicFile;
  readonly #layout: TextLayout;
  #rows = 0;

  constructor(path: string, compression: Compression | undefined, layout: TextLayout) {
    this.#file = openAtomicFile(path, { compression });
    this.#layout = layout;
  }

  write({ text }: Example): Promise<void> | void {
    const lead = this.#rows++ === 0 ? this.#layout.begin : this.#layout.between;
    return this.#file.write(`${lead}${this.#layout.indent(text)}${text}`);
  }

  async writeLines(lines: Uint8Array): Promise<void> {
    if (lines.length === 0) return;
    if (this.#rows++ > 0) await this.#file.write(this.#layout.between);
    await this.#file.writeBytes(lines);
  }

  async commit(): Promise<void> {
    await this.#file.write(
      this.#rows === 0 ? `${this.#layout.begin}${this.#layout.end.trimStart()}` : this.#layout.end,
    );
    await this.#file.commit();
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}

const rowGroupRows = 20_480; // a reader of the file holds a whole group in memory

/** Parquet has no text to copy: the kept positions are collected, and DuckDB copies those rows with their types. */
class ParquetWriter implements RowWriter {
  readonly #dataset: Dataset;
  readonly #path: string;
  #kept = new Uint32Array(1024);
  #count = 0;

  constructor(dataset: Dataset, path: string) {
    this.#dataset = dataset;
    this.#path = path;
  }

  write({ index }: Example): void {
    if (this.#count === this.#kept.length) {
      const larger = new Uint32Array(this.#kept.length * 2);
      larger.set(this.#kept);
      this.#kept = larger;
    }
    this.#kept[this.#count++] = index;
  }

  async commit(): Promise<void> {
    const plain = await Promise.all(this.#dataset.files.map(plainFile));
    try {
      await this.#copyKept(plain.map((file) => file.path));
    } finally {
      await Promise.all(plain.map((file) => file[Symbol.asyncDispose]()));
    }
    await rename(partialPath(this.#path), this.#path);
  }

  async #copyKept(paths: readonly string[]): Promise<void> {
    await using database = await openDuckDb();
    const { connection } = database;
    await connection.run("CREATE TABLE kept (index UBIGINT)");
    const appender = await connection.createAppender("kept");
    for (let i = 0; i < this.#count; i++) {
      appender.appendUBigInt(BigInt(this.#kept[i]!));
      appender.endRow();
    }
    appender.closeSync();
    await connection.run(`COPY (
      SELECT * EXCLUDE (${rowIndex}) FROM (SELECT *, row_number() OVER () - 1 AS ${rowIndex} FROM ${parquetReader(paths)})
      WHERE ${rowIndex} IN (FROM kept) ORDER BY ${rowIndex}
    ) TO ${sqlText(partialPath(this.#path))} (FORMAT parquet, ROW_GROUP_SIZE ${rowGroupRows})`);
  }

  async discard(): Promise<void> {
    await rm(partialPath(this.#path), { force: true });
  }
}
