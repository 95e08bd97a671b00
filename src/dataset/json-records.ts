import { isUtf8 } from "node:buffer";
import { DataError, messageOf } from "../errors.ts";
import { readBytes } from "../files/read-bytes.ts";
import { parseExactly } from "../files/try-parse.ts";
import { explainNotJson } from "./not-json.ts";
import { dataErrorAt, maxRecordBytes, type Place } from "./place.ts";
import type { FileRecord, RecordOptions, RecordSource } from "./record-source.ts";
import type { DatasetFile } from "./source.ts";

/*
 * Splits JSON arrays and JSON Lines into records in bounded memory, and keeps each record's text and line number.
 * The first byte that is not white space decides which of the two a file is.
 */

/** A record found in the buffer: [start, end) and the line on which it begins. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

/** Finds records in a growing buffer; keeps its position between calls. */
interface Splitter {
  /** The line on which the current record begins. */
  readonly line: number;
  /** The complete records in `buffer`, and how many of its bytes are no longer needed. */
  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number };
}

export async function openJsonRecords(file: DatasetFile, options: RecordOptions = {}): Promise<RecordSource> {
  for await (const chunk of readBytes(file)) {
    const first = firstByte(chunk, file.path);
    if (first !== undefined) {
      const format = first === byte("[") ? "json" : "jsonl";
      return { format, batches: () => readRecords(file, format, options) };
    }
  }
  throw new DataError(`${file.path}: expected rows, got an empty file`);
}

async function* readRecords(
  file: DatasetFile,
  format: "json" | "jsonl",
  { keepsBroken = false }: RecordOptions,
): AsyncGenerator<readonly FileRecord[]> {
  const splitter = format === "json" ? new ArraySplitter(file.path) : new LineSplitter();
  const window = new Window();
  let ordinal = 0;
  const take = (atEnd: boolean): readonly FileRecord[] => {
    const buffer = window.content();
    const { spans, used } = splitter.split(buffer, atEnd);
    const records = parseSpans(buffer, spans, (line) => ({ path: file.path, format, line, ordinal: ++ordinal }));
    window.drop(used);
    const broken = keepsBroken ? undefined : records.find(({ problem }) => problem !== undefined);
    if (broken) throw dataErrorAt(broken.place, broken.problem!);
    return records;
  };
  let isFirst = true;
  for await (const chunk of readBytes(file)) {
    window.add(isFirst ? withoutByteOrderMark(chunk) : chunk);
    isFirst = false;
    const records = take(false);
    if (records.length > 0) yield records;
    if (window.length > maxRecordBytes) {
      const place = { path: file.path, format, line: splitter.line, ordinal: ordinal + 1 };
      throw dataErrorAt(place, `the row is longer than ${maxRecordBytes / 2 ** 20} MB; is a quote or bracket missing?`);
    }
  }
  const records = take(true);
  if (records.length > 0) yield records;
}

/** The part of a file that is being parsed, in a buffer that is reused. */
class Window {
  #buffer: Buffer = Buffer.allocUnsafeSlow(2 ** 19);
  length = 0;

  add(chunk: Buffer): void {
    if (this.length + chunk.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.length + chunk.length));
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    this.length += chunk.copy(this.#buffer, this.length);
  }

  content(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  /** Forgets the first bytes. */
  drop(count: number): void {
    this.#buffer.copyWithin(0, count, this.length);
    this.length -= count;
  }
}

function parseSpans(buffer: Buffer, spans: readonly Span[], placeOf: (line: number) => Place): FileRecord[] {
  if (spans.length === 0) return [];
  const allValid = isUtf8(buffer.subarray(spans[0]!.start, spans.at(-1)!.end));
  return spans.map(({ start, end, line }) => {
    const place = placeOf(line);
    const text = buffer.toString("utf8", start, end);
    if (!allValid && !isUtf8(buffer.subarray(start, end)))
      return { text, value: undefined, place, problem: "expected UTF-8 text, got invalid bytes" };
    return { text, ...parseJson(text, place), place };
  });
}

function parseJson(text: string, place: Place): Pick<FileRecord, "value" | "problem"> {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch (cause) {
    const wanted = place.format === "jsonl" ? "expected one JSON object a line" : "expected a JSON object";
    return { value: undefined, problem: `${wanted}${explainNotJson(text) ?? `: ${messageOf(cause)}`}` };
  }
  return isDeeper(value, maxDepth)
    ? { value: undefined, problem: `expected at most ${maxDepth} objects and lists inside each other, got more` }
    : { value };
}

/** Deeper values are no data; programs that read them, DuckDB among them, may end without a word. */
const maxDepth = 100;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const name in value) if (isDeeper((value as Record<string, unknown>)[name], levels - 1)) return true;
  return false;
}

class LineSplitter implements Splitter {
  line = 1;

  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let start = 0;
    while (start < buffer.length) {
      const newline = buffer.indexOf(0x0a, start);
      if (newline < 0 && !atEnd) break;
      const next = newline < 0 ? buffer.length : newline + 1;
      const end = trimmedEnd(buffer, start, newline < 0 ? buffer.length : newline);
      if (end > start) spans.push({ start, end, line: this.line });
      this.line++;
      start = next;
    }
    return { spans, used: start };
  }
}

class ArraySplitter implements Splitter {
  readonly #path: string;
  #state: "before array" | "before element" | "in element" | "after array" = "before array";
  #line = 1;
  #elementLine = 1;
  #scanned = 0; // bytes of an unfinished element that are already scanned
  #depth = 0;
  #elements = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get line(): number {
    return this.#elementLine;
  }

  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let start = 0; // of the current element
    let at = this.#scanned;
    while (at < buffer.length) {
      if (this.#state !== "in element") {
        const c = buffer[at]!;
        if (c === 0x0a) this.#line++;
        else if (!isSpace(c) && this.#beginElement(c)) {
          start = at;
          continue; // scan this byte again, now as part of an element
        }
        at++;
        continue;
      }
      const end = this.#findEnd(buffer, at);
      if (end === undefined) break;
      spans.push({ start, end: trimmedEnd(buffer, start, end), line: this.#elementLine });
      this.#elements++;
      this.#state = buffer[end] === 0x2c ? "before element" : "after array";
      at = end + 1;
    }
    if (atEnd) this.#expectEnd();
    const used = this.#state === "in element" ? start : buffer.length;
    this.#scanned = this.#state === "in element" ? this.#scanned - used : 0;
    return { spans, used };
  }

  /**
   * The position of the comma or bracket that ends the element, from `at` on. Undefined when it is not in the buffer yet;
   * `#scanned` is then where to continue. Strings are skipped in one step, as they hold most of a dataset's bytes.
   */
  #findEnd(buffer: Buffer, at: number): number | undefined {
    let depth = this.#depth;
    let lines = 0;
    let end: number | undefined;
    for (; at < buffer.length; at++) {
      const c = buffer[at]!;
      if (c === 0x22) {
        const close = closingQuote(buffer, at + 1);
        if (close < 0) break;
        at = close;
      } else if (c === 0x0a) lines++;
      else if (depth === 0 && (c === 0x2c || c === 0x5d)) {
        end = at;
        break;
      } else if (c === 0x7b || c === 0x5b) depth++;
      else if (c === 0x7d || c === 0x5d) depth--;
    }
    this.#depth = depth;
    this.#line += lines;
    this.#scanned = at;
    return end;
  }

  /** Handles a byte between elements; true when an element begins with it. */
  #beginElement(c: number): boolean {
    if (this.#state === "before array") {
      this.#state = "before element"; // the byte is the `[` that made this file an array
      return false;
    }
    if (this.#state === "after array") throw this.#error(`expected nothing after the closing "]", got ${quoted(c)}`);
    if (c === 0x5d && this.#elements === 0) {
      this.#state = "after array"; // []
      return false;
    }
    if (c === 0x2c || c === 0x5d) throw this.#error(`expected a row, got ${quoted(c)}; is there an extra comma?`);
    this.#state = "in element";
    this.#elementLine = this.#line;
    this.#depth = 0;
    return true;
  }

  #expectEnd(): void {
    if (this.#state === "after array") return;
    const where =
      this.#state === "in element"
        ? `inside row ${this.#elements + 1}, which begins on line ${this.#elementLine}`
        : `after row ${this.#elements}`;
    throw new DataError(
      `${this.#path}:${this.#line}: expected the array to be closed with "]", got the end of the file ${where}; is the file cut short?`,
    );
  }

  #error(problem: string): DataError {
    return dataErrorAt({ path: this.#path, format: "json", line: this.#line, ordinal: this.#elements + 1 }, problem);
  }
}

/** The quote that ends a string whose content begins at `from`; -1 when it is not in the buffer. */
function closingQuote(buffer: Buffer, from: number): number {
  for (let at = buffer.indexOf(0x22, from); at >= 0; at = buffer.indexOf(0x22, at + 1)) {
    let before = at - 1;
    while (before >= from && buffer[before] === 0x5c) before--;
    if ((at - before) % 2 === 1) return at; // an even number of backslashes: the quote is not escaped
  }
  return -1;
}

function firstByte(chunk: Buffer, path: string): number | undefined {
  if ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)) {
    throw new DataError(`${path}: expected UTF-8 text, got UTF-16; save it as UTF-8 first`);
  }
  return withoutByteOrderMark(chunk).find((c) => !isSpace(c));
}

function withoutByteOrderMark(chunk: Buffer): Buffer {
  return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk;
}

function trimmedEnd(buffer: Buffer, start: number, end: number): number {
  while (end > start && isSpace(buffer[end - 1]!)) end--;
  return end;
}

function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

function byte(character: string): number {
  return character.charCodeAt(0);
}

function quoted(c: number): string {
  return JSON.stringify(String.fromCharCode(c));
}
