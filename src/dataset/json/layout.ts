import { DataError } from "../../errors.ts";
import { tryParse } from "../../files/try-parse.ts";
import type { Row } from "../example.ts";
import { readText } from "../read-text.ts";
import type { DatasetFile } from "../source.ts";
import { closingQuote, isSpace, valueEnd } from "./scan.ts";

/*
 * How a JSON file holds its rows, from its beginning.
 */

/**
 * - `lines`: JSON Lines
 * - `array`: one array
 * - `values`: objects one after the other, over several lines or on one
 * - `wrapped`: one object that has the array under a key, as in `{"version": 1, "data": [...]}`
 */
export type JsonLayout =
  | { readonly kind: "lines" | "array" | "values" }
  | { readonly kind: "wrapped"; readonly key: string; readonly before: string; readonly start: number };

/** As much of a file is looked at, where its first object does not end before. */
const headBytes = 2 ** 22;

/**
 * @param isRow tells rows from an object that holds all rows; without it, every object is a row
 * @throws DataError when the file is empty, or its one object has rows in a way that is not read; the message says how to write them
 */
export async function findJsonLayout(file: DatasetFile, isRow?: (object: Row) => boolean): Promise<JsonLayout> {
  const head = await readHead(file);
  const start = head.bytes.findIndex((c) => !isSpace(c));
  if (start < 0) throw new DataError(`${file.path}: expected rows, got an empty file`);
  const first = head.bytes[start];
  if (first === 0x5b) return { kind: "array" };
  if (first === 0x1e) return { kind: "values" }; // records after a separator (RFC 7464)
  if (first !== 0x7b) return { kind: "lines" };
  const bytes = head.bytes.subarray(start);
  const end = valueEnd(bytes, 0);
  const found = isRow && findWrapped(head.bytes, start, isRow);
  if (end === undefined) return found?.isCut && found.hasShape ? found.layout : { kind: "lines" };
  const text = bytes.toString("utf8", 0, end);
  const value = tryParse(text);
  if (typeof value !== "object" || value === null) {
    const [line] = text.split("\n", 1); // of a file that is indented, the first line ends in the middle of something
    if (line === text || !/[{[,]\s*$/.test(line!)) return { kind: "lines" };
    return found?.hasShape ? found.layout : { kind: "values" };
  }
  const next = bytes.subarray(end).findIndex((c) => !isSpace(c) && c !== 0x1e);
  if (next >= 0) {
    if (text.includes("\n")) return { kind: "values" };
    const isOnLineOfItsOwn = bytes.subarray(end, end + next).includes(0x0a);
    return isOnLineOfItsOwn || bytes[end + next] !== 0x7b ? { kind: "lines" } : { kind: "values" };
  }
  const object = value as Row; // by its first byte
  if (found && (found.hasShape || !isRow?.(object))) return found.layout;
  const explained = isRow && explainOneObject(object, isRow);
  if (explained !== undefined) throw new DataError(`${file.path}: expected rows, got ${explained}`);
  return { kind: text.includes("\n") ? "values" : "lines" };
}

/** The beginning of a file: its first line where that is longer than all else, up to a limit. */
async function readHead(file: DatasetFile): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readText(file)) {
    chunks.push(Buffer.from(chunk)); // its memory is reused
    length += chunk.length;
    if (length >= headBytes) return { bytes: Buffer.concat(chunks), isWhole: false };
    if (chunks.length === 1 && hasWholeLine(chunk)) return { bytes: chunks[0]!, isWhole: false };
  }
  return { bytes: Buffer.concat(chunks), isWhole: true };
}

/** Whether a row and the beginning of the next are there, so that no more of the file is needed. */
function hasWholeLine(bytes: Buffer): boolean {
  const newline = bytes.indexOf(0x0a);
  return (
    newline >= 0 &&
    tryParse(bytes.toString("utf8", 0, newline)) !== undefined &&
    bytes.subarray(newline).some((c) => !isSpace(c))
  );
}

/** An array of objects in an object. */
interface Found {
  readonly layout: JsonLayout & { readonly kind: "wrapped" };
  /** Whether its first element is a row of the data's shape, or may be one but for an error in it. */
  readonly hasShape: boolean;
  /** Whether the array does not end in the part of the file that is there. */
  readonly isCut: boolean;
}

/** The first array in an object that may hold rows. */
function findWrapped(bytes: Buffer, start: number, isRow: (object: Row) => boolean): Found | undefined {
  for (let at = start + 1; ;) {
    at = skipSpaces(bytes, at);
    if (bytes[at] !== 0x22) return undefined;
    const close = closingQuote(bytes, at + 1);
    if (close < 0) return undefined;
    const key = tryParse(bytes.toString("utf8", at, close + 1));
    at = skipSpaces(bytes, close + 1);
    if (bytes[at] !== 0x3a) return undefined;
    at = skipSpaces(bytes, at + 1);
    if (bytes[at] === 0x5b) {
      const element = skipSpaces(bytes, at + 1);
      const end = bytes[element] === 0x7b ? valueEnd(bytes, element) : undefined;
      const row = end === undefined ? undefined : tryParse(bytes.toString("utf8", element, end));
      const isBroken = end !== undefined && row === undefined; // the row itself is reported when it is read
      if (isBroken || (isObject(row) && (isRow(row) || !isTurn(row))))
        return {
          layout: { kind: "wrapped", key: String(key), before: bytes.toString("utf8", 0, at), start: at },
          hasShape: isBroken || (isObject(row) && isRow(row)),
          isCut: valueEnd(bytes, at) === undefined,
        };
    }
    const end = valueEnd(bytes, at);
    if (end === undefined) return undefined;
    at = skipSpaces(bytes, end);
    if (bytes[at] !== 0x2c) return undefined;
    at++;
  }
}

function skipSpaces(bytes: Buffer, at: number): number {
  while (at < bytes.length && isSpace(bytes[at]!)) at++;
  return at;
}

/** What stands after the array of rows in its object. @throws DataError when that is not JSON, or has more rows */
export function expectRest(
  path: string,
  { key, before }: JsonLayout & { readonly kind: "wrapped" },
  rest: string,
): void {
  const whole = tryParse(`${before}[]${rest}`);
  if (!isObject(whole))
    throw new DataError(
      `${path}: expected the object around ${JSON.stringify(key)} to be JSON to its end, got other text after the rows`,
    );
  const others = Object.entries(whole).filter(([, value]) => hasRows(value)); // the rows' own key is empty here, unless it comes twice
  if (others.length === 0) return;
  const keys = [key, ...others.map(([name]) => name)];
  throw new DataError(
    `${path}: expected one list of rows, got ${keys.map((name) => JSON.stringify(name)).join(", ")}; take one (jq '.[${JSON.stringify(key)}]' FILE)`,
  );
}

function hasRows(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isObject);
  return isObject(value) && Object.values(value).length > 0 && Object.values(value).every(isObject);
}

function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether an object is rather a message of a chat than a row. */
function isTurn(value: Row): boolean {
  return ["role", "from", "speaker"].some((name) => Object.hasOwn(value, name));
}

/** What an object is that is the whole file, where it holds rows in another way; undefined where it is a row. */
function explainOneObject(object: Row, isRow: (object: Row) => boolean): string | undefined {
  const values = Object.values(object);
  if (values.length > 0 && values.every((value) => isObject(value) && isRow(value)))
    return "one object with the rows under keys; write them as a list (jq '[.[]]' FILE), or with the keys as ids (jq '[to_entries[] | .value + {id: .key}]' FILE)";
  const columns = 'the columns of a table; write its rows (in pandas, to_json(orient="records", lines=True))';
  const sizes = values.map((value) =>
    Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : 0,
  );
  const isTable = values.length > 1 && sizes[0]! > 0 && sizes.every((size) => size === sizes[0]);
  const areLists = values.every((value) => Array.isArray(value) && typeof value[0] === "string");
  const areIndexed = values.every(
    (value) => isObject(value) && Object.keys(value)[0] === Object.keys(values[0] as Row)[0],
  );
  return isTable && (areLists || areIndexed) ? columns : undefined;
}
