import { isUtf8 } from "node:buffer";
import { messageOf } from "../../errors.ts";
import { parseExactly } from "../../files/try-parse.ts";
import { dataErrorAt, maxRecordBytes, type Place } from "../place.ts";
import { isUtf16, readText } from "../read-text.ts";
import type { FileRecord, LineBlock, RecordOptions, RecordSource, SpareBuffers } from "../record-source.ts";
import type { DatasetFile } from "../source.ts";
import { expectRest, findJsonLayout, type JsonLayout } from "./layout.ts";
import { explainNotJson } from "./not-json.ts";
import { ArraySplitter, LineSplitter, ValueSplitter, type Span, type Splitter } from "./splitters.ts";
import { isTooDeep, maxDepth } from "../depth.ts";

/**
 * Splits a JSON file into records in bounded memory, and keeps each record's text and line number.
 *
 * @throws DataError when it has no rows, or none that can be found
 */
export async function openJsonRecords(file: DatasetFile, options: RecordOptions = {}): Promise<RecordSource> {
  const layout = await findJsonLayout(file, options.isRow);
  const format = layout.kind === "lines" ? "jsonl" : "json";
  const changes = [
    ...((await isUtf16(file)) ? ["UTF-8 in place of UTF-16"] : []),
    ...(layout.kind === "values" ? ["a list of the objects"] : []),
    ...(layout.kind === "wrapped"
      ? [`the list ${JSON.stringify(layout.key)} alone, without the object around it`]
      : []),
  ];
  return {
    format,
    batches: () => readRecords(file, layout, format, options),
    ...(layout.kind === "lines" && changes.length === 0 && { lineBlocks: (spare) => readLineBlocks(file, spare) }),
    ...(changes.length > 0 && { rewritten: `arms are written as ${changes.join(" and ")}` }),
  };
}

function openSplitter(path: string, layout: JsonLayout): Splitter {
  switch (layout.kind) {
    case "lines":
      return new LineSplitter();
    case "values":
      return new ValueSplitter();
    case "array":
      return new ArraySplitter(path);
    case "wrapped":
      return new ArraySplitter(path, {
        line: layout.before.split("\n").length,
        expectRest: (rest) => expectRest(path, layout, rest),
      });
  }
}

async function* readRecords(
  file: DatasetFile,
  layout: JsonLayout,
  format: "json" | "jsonl",
  { keepsBroken = false }: RecordOptions,
): AsyncGenerator<readonly FileRecord[]> {
  const splitter = openSplitter(file.path, layout);
  const window = new Window();
  let ordinal = 0;
  let before = layout.kind === "wrapped" ? layout.start : 0; // bytes that come before the rows
  const take = (atEnd: boolean): readonly FileRecord[] => {
    const buffer = window.content();
    const { spans, used } = splitter.split(buffer, atEnd);
    const records = parseSpans(
      buffer,
      spans,
      (line) => ({ path: file.path, format, line, ordinal: ++ordinal }),
      layout,
    );
    window.drop(used);
    const broken = records.find(({ problem, hidesOthers }) => problem !== undefined && (hidesOthers || !keepsBroken));
    if (broken)
      throw dataErrorAt(
        broken.place,
        `${broken.problem!}${broken.hidesOthers && keepsBroken ? "; mend it: rows after it may be part of it, so it cannot be skipped" : ""}`,
      );
    return records;
  };
  for await (const chunk of readText(file)) {
    const skipped = Math.min(before, chunk.length);
    before -= skipped;
    window.add(chunk.subarray(skipped));
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

const blockBytes = 2 ** 17;

/** @throws DataError when the file cannot be read, or a line is longer than a row may be */
async function* readLineBlocks(file: DatasetFile, spare: SpareBuffers): AsyncGenerator<LineBlock> {
  const splitter = new LineSplitter();
  const window = new Window();
  let ordinal = 1;
  const take = (atEnd: boolean): LineBlock => {
    const place: Place = { path: file.path, format: "jsonl", line: splitter.line, ordinal };
    const content = window.content();
    const { spans, used } = splitter.split(content, atEnd);
    const last = spare.pop();
    const memory = last && last.byteLength >= used ? last : new ArrayBuffer(Math.max(2 * blockBytes, used)); // its own, to be handed over
    const bytes = new Uint8Array(memory, 0, used);
    bytes.set(content.subarray(0, used));
    window.drop(used);
    ordinal += spans.length;
    return { bytes, place, records: spans.length };
  };
  for await (const chunk of readText(file)) {
    window.add(chunk);
    if (window.length < blockBytes) continue;
    const block = take(false);
    if (block.records > 0) yield block;
    if (window.length > maxRecordBytes) throw dataErrorAt(block.place, "the row is too long");
  }
  const block = take(true);
  if (block.records > 0) yield block;
}

/** Gives the records of a block of lines one by one, as `batches` does: those that cannot be read with their problem. */
export function eachLineRecord(
  bytes: Buffer,
  { line, ordinal, ...file }: Place,
  take: (record: FileRecord, span: Span) => void,
): void {
  const splitter = new LineSplitter();
  splitter.line = line;
  const { spans } = splitter.split(bytes, true);
  const allValid = isUtf8(bytes);
  let next = ordinal;
  for (const span of spans)
    take(parseSpan(bytes, span, allValid, { ...file, line: span.line, ordinal: next++ }, "lines"), span);
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

function parseSpans(
  buffer: Buffer,
  spans: readonly Span[],
  placeOf: (line: number) => Place,
  { kind }: JsonLayout,
): FileRecord[] {
  if (spans.length === 0) return [];
  const allValid = isUtf8(buffer.subarray(spans[0]!.start, spans.at(-1)!.end));
  return spans.map((span) => parseSpan(buffer, span, allValid, placeOf(span.line), kind));
}

/** @param isValid whether the bytes are known to be UTF-8 */
function parseSpan(
  buffer: Buffer,
  { start, end }: Span,
  isValid: boolean,
  place: Place,
  kind: JsonLayout["kind"],
): FileRecord {
  const text = buffer.toString("utf8", start, end);
  if (!isValid && !isUtf8(buffer.subarray(start, end)))
    return { text, value: undefined, place, problem: "expected UTF-8 text, got invalid bytes" };
  const parsed = parseJson(text, place);
  const hidesOthers = parsed.problem !== undefined && (kind === "values" || /\}\s*\{\s*"/.test(text));
  return { text, ...parsed, place, ...(hidesOthers && { hidesOthers }) };
}

function parseJson(text: string, place: Place): Pick<FileRecord, "value" | "problem"> {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch (cause) {
    const wanted = place.format === "jsonl" ? "expected one JSON object a line" : "expected a JSON object";
    return { value: undefined, problem: `${wanted}${explainNotJson(text) ?? `: ${messageOf(cause)}`}` };
  }
  return isTooDeep(value)
    ? { value: undefined, problem: `expected at most ${maxDepth} objects and lists inside each other, got more` }
    : { value };
}
