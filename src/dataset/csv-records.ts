import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { CsvError, parse, type Info, type InfoField } from "csv-parse";
import { AlpagasusError, DataError, messageOf } from "../errors.ts";
import { formatNumbered } from "../format.ts";
import { dataErrorAt, maxRecordBytes, type Place } from "./place.ts";
import { hasByteOrderMark, isUtf16, readText } from "./read-text.ts";
import type { FileRecord, Quotes, RecordOptions, RecordSource } from "./record-source.ts";
import type { DatasetFile } from "./source.ts";

const batchRows = 500;

interface CsvRow {
  readonly record: readonly string[];
  readonly raw: string;
  readonly info: Info;
}

/** How a file separates and marks its values. */
interface Layout {
  readonly delimiter: string;
  readonly quotes: Quotes;
  /** Whether lines end in line feeds, each with a carriage return before it or without one. */
  readonly endsInLineFeeds: boolean;
}

/** A CSV or TSV file with a header line; every value is text. The delimiter is the most frequent of `,` `;` `|` tab in the header. */
export async function openCsvRecords(file: DatasetFile, options: RecordOptions = {}): Promise<RecordSource> {
  const layout: Layout = { ...(await findLayout(file, options.quotes)), quotes: options.quotes ?? "double" };
  for await (const { row, place } of readRows(file, layout)) {
    if (/^sep=.?$/i.test(row.raw.trim()))
      throw dataErrorAt(place, "expected column names, got Excel's line that names the separator; remove it");
    const names = new Set<string>();
    const twice = row.record.find((name) => names.size === names.add(name).size);
    if (twice !== undefined)
      throw dataErrorAt(place, `expected column names that differ, got ${JSON.stringify(twice)} twice`);
    const header = withoutLineEnds(row.raw);
    return {
      format: "csv",
      header,
      ...((await hasByteOrderMark(file)) && { hasByteOrderMark: true }),
      ...((await isUtf16(file)) && { rewritten: "arms are written as UTF-8 in place of UTF-16" }),
      batches: () => readRecords(file, layout, options),
    };
  }
  throw new DataError(`${file.path}: expected a header line and rows, got an empty file`);
}

async function* readRecords(
  file: DatasetFile,
  layout: Layout,
  { keepsBroken = false }: RecordOptions,
): AsyncGenerator<readonly FileRecord[]> {
  let columns: readonly string[] | undefined;
  let textOf = withoutLineEnds;
  let batch: FileRecord[] = [];
  for await (const { row, place } of readRows(file, layout)) {
    if (!columns) {
      columns = row.record;
      if (/[^\r]\n+$/.test(row.raw)) textOf = withReturn; // rows that end otherwise stay as they are
      continue;
    }
    const value = Object.fromEntries(columns.map((name, i) => [name, row.record[i]]));
    const [wanted, got] = [columns.length, row.record.length];
    const problem =
      got === wanted
        ? undefined
        : `expected ${formatNumbered(wanted, "value", "values")} as in the header (${columns.join(", ").slice(0, 60)}), got ${got}`;
    if (problem !== undefined && !keepsBroken) throw dataErrorAt(place, problem);
    batch.push({
      text: textOf(row.raw),
      place: { ...place, ordinal: place.ordinal - 1 },
      ...(problem === undefined ? { value } : { value: undefined, problem }),
    });
    if (batch.length === batchRows) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** Every record, the header included. */
async function* readRows(
  file: DatasetFile,
  { delimiter, quotes, endsInLineFeeds }: Layout,
): AsyncGenerator<{ row: CsvRow; place: Place }> {
  const lines = new LineCounter();
  const source = Readable.from(checkedBytes(file, lines));
  const parser = parse({
    delimiter,
    quote: quotes === "double" ? '"' : false,
    ...(endsInLineFeeds && { record_delimiter: ["\r\n", "\n"] }),
    raw: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: maxRecordBytes,
  });
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let ordinal = 0;
  try {
    for await (const row of parser as AsyncIterable<CsvRow>) {
      const line = lines.lineAt(row.info.bytes - Buffer.byteLength(row.raw) + lineEnds(row.raw));
      yield { row, place: { path: file.path, format: "csv", line, ordinal: ++ordinal } };
    }
  } catch (cause) {
    if (cause instanceof AlpagasusError) throw cause;
    const { bytes: ends = 0, raw = "" } = (cause instanceof CsvError ? cause : {}) as Partial<InfoField>; // `bytes`: to the end of the last row that was whole
    const line = lines.lineAt(ends + lineEnds(raw));
    const place = { path: file.path, format: "csv", line, ordinal: ordinal + 1 } as const;
    throw dataErrorAt(place, describe(cause), cause);
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** What is wrong with a row, in words: the parser's own name the place where it gave up, which is rarely the place to mend. */
function describe(cause: unknown): string {
  const line = cause instanceof CsvError && typeof cause["lines"] === "number" ? cause["lines"] : undefined;
  const advice = `; write "" for a quote in quoted text, or take quotes as text with --quotes none (in a recipe, quotes: none)`;
  switch (cause instanceof CsvError ? cause.code : undefined) {
    case "CSV_MAX_RECORD_SIZE":
      return `the row is longer than ${maxRecordBytes / 2 ** 20} MB; is a quote missing?`;
    case "CSV_QUOTE_NOT_CLOSED":
      return `a quote opens in this row and is not closed by the end of the file${advice}`;
    case "CSV_INVALID_CLOSING_QUOTE":
      return `expected a separator after the closing quote of text that begins in this row, got other text${line === undefined ? "" : ` on line ${line}`}${advice}`;
    case "INVALID_OPENING_QUOTE":
      return `expected quotes around a whole value, got one in its middle${advice}`;
    default:
      return messageOf(cause);
  }
}

/** Yields the bytes after checking that they are UTF-8; the parser would silently insert replacement characters. */
async function* checkedBytes(file: DatasetFile, lines: LineCounter): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of readText(file)) {
    const bytes = Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(0x0a) + 1 || wholeCharacters(bytes); // a newline byte is never part of a longer character
    const whole = bytes.subarray(0, end);
    checkUtf8(file, whole, lines);
    rest = bytes.subarray(end);
    yield whole;
  }
  if (rest.length > 0) {
    checkUtf8(file, rest, lines);
    yield rest;
  }
}

/** How many bytes to pass on: without the last character if it has several bytes, as it may be cut off. */
function wholeCharacters(bytes: Buffer): number {
  for (let at = bytes.length - 1; at >= Math.max(0, bytes.length - 4); at--) {
    if (bytes[at]! < 0x80) return bytes.length;
    if (bytes[at]! >= 0xc0) return at;
  }
  return bytes.length;
}

function checkUtf8(file: DatasetFile, bytes: Buffer, lines: LineCounter): void {
  if (isUtf8(bytes)) return lines.push(bytes);
  let line = lines.pushedLines + 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end;
  }
  throw dataErrorAt({ path: file.path, format: "csv", line, ordinal: 0 }, "expected UTF-8 text, got invalid bytes");
}

/** Line numbers for ascending byte offsets; the parser's own count is wrong where quoted cells contain line breaks. */
class LineCounter {
  readonly #chunks: Buffer[] = [];
  #base = 0; // offset of the first chunk that is kept
  #at = 0; // offset up to which lines are counted
  #line = 1;
  pushedLines = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) this.pushedLines++;
  }

  lineAt(offset: number): number {
    while (this.#at < offset && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const end = Math.min(chunk.length, offset - this.#base);
      for (let i = this.#at - this.#base; i < end; i++) if (chunk[i] === 0x0a) this.#line++;
      this.#at = this.#base + end;
      if (end === chunk.length) {
        this.#base += chunk.length;
        this.#chunks.shift();
      }
    }
    return this.#line;
  }
}

async function findLayout(file: DatasetFile, quotes: Quotes = "double"): Promise<Omit<Layout, "quotes">> {
  for await (const chunk of readText(file)) {
    const text = chunk.toString("utf8");
    const unquoted = quotes === "double" ? text.replaceAll(/"(?:[^"]|"")*"/g, "") : text; // separators in quotes are text
    const header = unquoted.split(/[\r\n]/, 1)[0]!;
    const count = (delimiter: string) => header.split(delimiter).length;
    return {
      delimiter: [",", ";", "|", "\t"].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best)),
      endsInLineFeeds: unquoted.startsWith("\n", header.length) || unquoted.startsWith("\r\n", header.length),
    };
  }
  return { delimiter: ",", endsInLineFeeds: false };
}

/** How many bytes of line ends a text begins with. */
function lineEnds(raw: string): number {
  return /^[\r\n]*/.exec(raw)![0].length;
}

/** A row without its line feed, and with a carriage return before it. */
function withReturn(raw: string): string {
  return raw.replace(/^[\r\n]+|\n+$/g, "");
}

function withoutLineEnds(raw: string): string {
  return raw.replace(/^[\r\n]+|[\r\n]+$/g, "");
}
