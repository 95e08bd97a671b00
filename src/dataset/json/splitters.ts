import { DataError } from "../../errors.ts";
import { dataErrorAt } from "../place.ts";
import { closingQuote, isSpace, trimmedEnd } from "./scan.ts";

/*
 * Where the records of a JSON file begin and end, in bytes. Each splitter works on a growing buffer, so that memory is bounded.
 */

/** A record found in the buffer: [start, end) and the line on which it begins. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly line: number;
}

/** Finds records in a growing buffer; keeps its position between calls. */
export interface Splitter {
  /** The line on which the current record begins. */
  readonly line: number;
  /** The complete records in `buffer`, and how many of its bytes are no longer needed. */
  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number };
}

/** One value a line. */
export class LineSplitter implements Splitter {
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

/** Most bytes that may stand after the rows in the object that holds them. */
const mostAfterRows = 2 ** 20;

/** The elements of one array; what comes before it in the file was dropped. */
export class ArraySplitter implements Splitter {
  readonly #path: string;
  readonly #expectRest: ((rest: string) => void) | undefined;
  #rest = "";
  #state: "before array" | "before element" | "in element" | "after array" = "before array";
  #line: number;
  #elementLine = 1;
  #scanned = 0; // bytes of an unfinished element that are already scanned
  #depth = 0;
  #elements = 0;

  /**
   * @param options.line the line on which the array begins
   * @param options.expectRest looks at what stands after the array; without it, nothing may stand there
   */
  constructor(
    path: string,
    { line = 1, expectRest }: { readonly line?: number; readonly expectRest?: (rest: string) => void } = {},
  ) {
    this.#path = path;
    this.#line = line;
    this.#expectRest = expectRest;
  }

  get line(): number {
    return this.#elementLine;
  }

  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let start = 0; // of the current element
    let at = this.#scanned;
    while (at < buffer.length) {
      if (this.#state === "after array" && this.#expectRest) {
        this.#rest += buffer.toString("latin1", at);
        if (this.#rest.length > mostAfterRows)
          throw this.#error(
            `expected at most ${mostAfterRows / 2 ** 20} MB after the rows, got more; write the rows as a list`,
          );
        at = buffer.length;
        break;
      }
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
    if (this.#state === "after array")
      throw this.#error(
        `expected nothing after the closing "]", got ${quoted(c)}${c === 0x5b ? "; write one list (jq -s add FILE)" : ""}`,
      );
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
    if (this.#state === "after array") {
      this.#expectRest?.(Buffer.from(this.#rest, "latin1").toString("utf8"));
      return;
    }
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

/** Objects one after the other, with white space or nothing between them. */
export class ValueSplitter implements Splitter {
  line = 1; // of the record at the beginning of the buffer
  #at = 0; // how far the record at the beginning of the buffer is scanned
  #depth = 0;
  #lines = 0; // line ends in that part

  split(buffer: Buffer, atEnd: boolean): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let start = 0;
    const end = (at: number) => {
      spans.push({ start, end: trimmedEnd(buffer, start, at), line: this.line });
      this.line += this.#lines;
      this.#lines = 0;
      start = at;
    };
    let at = this.#at;
    for (; at < buffer.length; at++) {
      const c = buffer[at]!;
      if (at === start && (isSpace(c) || c === 0x1e)) {
        if (c === 0x0a) this.line++;
        start++;
      } else if (c === 0x22 && this.#depth > 0) {
        const close = closingQuote(buffer, at + 1);
        if (close < 0) break;
        at = close;
      } else if (c === 0x0a && this.#depth === 0) {
        end(at); // a line that is no object
        at--;
      } else if (c === 0x0a) this.#lines++;
      else if (c === 0x7b || c === 0x5b) this.#depth++;
      else if ((c === 0x7d || c === 0x5d) && this.#depth > 0 && --this.#depth === 0) end(at + 1);
    }
    if (atEnd && start < buffer.length) end(buffer.length);
    this.#at = Math.max(0, Math.min(at, buffer.length) - start);
    return { spans, used: start };
  }
}

function quoted(c: number): string {
  return JSON.stringify(String.fromCharCode(c));
}
