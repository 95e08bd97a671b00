import { open, type FileHandle } from "node:fs/promises";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { DataType, RecordBatch, RecordBatchReader } from "apache-arrow";
import { AlpagasusError, DataError, messageOf } from "../errors.ts";
import { parseExactly } from "../files/try-parse.ts";
import { plainFile } from "./plain-file.ts";
import type { FileRecord, RecordSource } from "./record-source.ts";
import type { DatasetFile } from "./source.ts";

type Arrow = typeof import("apache-arrow");

/**
 * Reads an Arrow file or stream, as `Dataset.save_to_disk` of Hugging Face's datasets writes it, one record batch at a time. A row's text
 * is JSON: whole numbers keep their digits, dates and times are ISO 8601, to the microsecond, bytes are base64, NaN is null.
 *
 * @throws DataError when it is not Arrow, is damaged, or has a column of a type that JSON cannot hold
 */
export async function openArrowRecords(file: DatasetFile): Promise<RecordSource> {
  await using opened = await openReader(file);
  const { fields } = opened.reader.schema;
  if (fields.length === 0) throw new DataError(`${file.path}: expected columns, got none`);
  const twice = fields.find(({ name }, i) => fields.findIndex((other) => other.name === name) < i);
  if (twice)
    throw new DataError(`${file.path}: expected column names that differ, got ${JSON.stringify(twice.name)} twice`);
  return {
    format: "arrow",
    header: fields.map(({ name, type }) => `${name} ${String(type)}`).join(", "),
    rewritten: "arms are written as JSON Lines in place of Arrow",
    batches: () => readRecords(file),
  };
}

let loaded: Promise<Arrow> | undefined;

/**
 * Loads Arrow with a decoder that keeps a byte order mark at the start of a text: its own, which it makes when it is loaded, drops it. And
 * with the compression that Node has.
 */
async function loadArrow(): Promise<Arrow> {
  const { TextDecoder: own } = globalThis;
  globalThis.TextDecoder = class extends own {
    constructor(...[label, options]: ConstructorParameters<typeof own>) {
      super(label, { ...options, ignoreBOM: true });
    }
  };
  try {
    const arrow = await import("apache-arrow");
    const { ZSTD } = arrow.CompressionType;
    arrow.compressionRegistry.set(ZSTD, {
      encode: (bytes) => zstdCompressSync(bytes),
      decode: (bytes) => zstdDecompressSync(bytes),
    });
    return arrow;
  } finally {
    globalThis.TextDecoder = own;
  }
}

async function openReader(
  file: DatasetFile,
): Promise<{ readonly arrow: Arrow; readonly reader: RecordBatchReader } & AsyncDisposable> {
  const plain = await plainFile(file);
  let handle: FileHandle | undefined;
  const close = async () => {
    await handle?.close();
    await plain[Symbol.asyncDispose]();
  };
  try {
    const arrow = await (loaded ??= loadArrow());
    handle = await open(plain.path);
    const reader = await (await arrow.RecordBatchReader.from(handle)).open();
    if ((reader.schema as unknown) === undefined) throw new Error("it has no schema");
    return { arrow, reader: reader as RecordBatchReader, [Symbol.asyncDispose]: close };
  } catch (cause) {
    await close();
    throw unreadable(file, cause);
  }
}

async function* readRecords(file: DatasetFile): AsyncGenerator<readonly FileRecord[]> {
  await using opened = await openReader(file);
  let ordinal = 0;
  try {
    for await (const batch of opened.reader as unknown as AsyncIterable<RecordBatch>) {
      const texts = readBatch(batch, opened.arrow);
      for (let from = 0; from < batch.numRows; from += rowsAtOnce) {
        const records: FileRecord[] = [];
        for (let i = from; i < Math.min(batch.numRows, from + rowsAtOnce); i++) {
          const text = texts(i);
          const place = { path: file.path, format: "arrow", line: 0, ordinal: ++ordinal } as const;
          records.push({ text, value: parseExactly(text), place });
        }
        yield records;
      }
    }
  } catch (cause) {
    if (cause instanceof AlpagasusError)
      throw new DataError(`${file.path} (row ${ordinal + 1}): ${cause.message}`, { cause });
    throw unreadable(file, cause, ordinal);
  }
}

const rowsAtOnce = 500;

function unreadable(file: DatasetFile, cause: unknown, rows?: number): DataError {
  const where = rows === undefined ? "" : ` after ${rows} rows`;
  const why = messageOf(cause).split("\n", 1)[0]!;
  const isCompressed = /codec not found/i.test(why);
  const isOther = /unrecognized type/i.test(why);
  const advice = isCompressed
    ? "write it without compression, with zstd, or as Parquet"
    : isOther
      ? "leave that column out, or write it in another type"
      : "is the file whole?";
  return new DataError(
    `${file.path}: cannot be read as Arrow${where}: ${isCompressed ? "it is compressed by LZ4" : why}; ${advice}`,
    { cause },
  );
}

/** A batch's rows as JSON. */
function readBatch(batch: RecordBatch, arrow: Arrow): (row: number) => string {
  const columns = batch.schema.fields.map(({ name, type }, i) => {
    const values = batch.getChildAt(i);
    const exact = arrow.DataType.isTimestamp(type) ? (values?.data[0]?.values as BigInt64Array | undefined) : undefined;
    const read = (row: number) => {
      const value: unknown = values?.get(row);
      const micros = exact && value !== null ? microsOf(exact[row]!, type.unit) : undefined; // what Arrow gives is rounded
      return (micros !== undefined && momentOf(micros)) || toJson(value, type as DataType, arrow);
    };
    return { name, read };
  });
  return (row) =>
    JSON.stringify(
      Object.fromEntries(
        columns.map(({ name, read }) => {
          try {
            return [name, read(row)];
          } catch (cause) {
            if (cause instanceof DataError) throw new DataError(`column ${name}: ${cause.message}`, { cause });
            throw cause;
          }
        }),
      ),
    );
}

/** @param unit seconds, milliseconds, microseconds, nanoseconds, in Arrow's numbers */
function microsOf(value: bigint, unit: number): bigint {
  const up = value + 500n; // rounded, halves up
  if (unit === 3) return (up - (((up % 1000n) + 1000n) % 1000n)) / 1000n;
  return value * ([1_000_000n, 1000n, 1n][unit] ?? 1n);
}

/** A point in time, in milliseconds since 1970, as ISO 8601, to the microsecond; undefined outside what JavaScript's dates hold. */
function moment(milliseconds: number): string | undefined {
  return momentOf(BigInt(Math.round(milliseconds * 1000)));
}

/** @param micros since 1970 */
function momentOf(micros: bigint): string | undefined {
  const rest = ((micros % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(date.getTime())) return undefined;
  return rest === 0n ? date.toISOString() : date.toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}

/** By Arrow's units of time: seconds, milliseconds, microseconds, nanoseconds. */
const perMillisecond = [1e-3, 1, 1e3, 1e6] as const;

/** A value as JSON can hold it. @throws DataError for a type that it cannot */
function toJson(value: unknown, type: DataType, arrow: Arrow): unknown {
  const is = arrow.DataType;
  if (value === null || value === undefined) return null;
  if (is.isDictionary(type)) return toJson(value, type.dictionary, arrow);
  if (is.isTimestamp(type) || is.isDate(type)) return moment(Number(value)) ?? String(Number(value));
  if (is.isTime(type)) return moment(Number(value) / perMillisecond[type.unit])?.slice(11, -1) ?? String(Number(value));
  if (is.isDecimal(type)) return decimal(value as Uint32Array, type.scale);
  if (is.isStruct(type) || is.isMap(type)) {
    const types = new Map(is.isStruct(type) ? type.children.map((child) => [child.name, child.type]) : []);
    const valueType = is.isMap(type) ? type.valueType : undefined;
    const entries = [...(value as Iterable<[string, unknown]>)]; // a struct's and a map's rows are pairs
    const names = entries.map(([name]) => name);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice !== undefined)
      throw new DataError(
        `expected entries whose names differ, got ${JSON.stringify(twice)} twice; rename or remove one`,
      );
    return Object.fromEntries(
      entries.map(([name, one]) => [name, toJson(one, (types.get(name) ?? valueType) as DataType, arrow)]),
    );
  }
  if (is.isList(type) || is.isLargeList(type) || is.isFixedSizeList(type)) {
    const child = type.children[0]!.type as DataType;
    return [...(value as Iterable<unknown>)].map((one) => toJson(one, child, arrow));
  }
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if (typeof value === "bigint") return rawJson(String(value));
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  throw new DataError(
    `expected a column that JSON can hold, got one of type ${type.constructor.name.replace(/_$/, "")}; leave it out, or write it in another type`,
  );
}

/** @param words of 32 bits, the lowest first, in two's complement */
function decimal(words: Uint32Array, scale: number): unknown {
  const bits = BigInt(32 * words.length);
  const whole = BigInt.asIntN(
    Number(bits),
    words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n),
  );
  const digits = String(whole < 0n ? -whole : whole).padStart(scale + 1, "0");
  const text =
    scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits + "0".repeat(whole === 0n ? 0 : -scale);
  return rawJson(`${whole < 0n ? "-" : ""}${text}`);
}

/** A number with all of its digits, where JSON is written. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text); // in Node, not yet in TypeScript's library
}
