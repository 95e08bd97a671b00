import { DataError } from "../errors.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { Example, Row } from "./example.ts";
import { dataErrorAt } from "./place.ts";
import { poolDatasets } from "./pool.ts";
import { describeNoRow, isRow, readExample } from "./read-example.ts";
import { openRecords } from "./records.ts";
import type { FileRecord, Quotes, RecordOptions, RecordSource, SpareBuffers } from "./record-source.ts";
import { FieldError, type Shape } from "./shape.ts";
import { chooseShape, describeShapes, findShape, type ShapeChoice } from "./shapes/index.ts";
import { findDatasetFiles, type DatasetFile } from "./source.ts";
import type { Dataset, RowBlock } from "./dataset.ts";

export interface OpenDatasetOptions extends ShapeChoice {
  /** What is done with a row that cannot be read: stop (the default), or keep it as an example that says why. */
  readonly unreadable?: "stop" | "keep" | undefined;
  /** How CSV and TSV mark text with separators in it: by double quotes (the default), or not at all. */
  readonly quotes?: Quotes | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a file, folder, pattern or Hub dataset of JSON, JSON Lines, CSV, Parquet or Arrow (each also compressed) and finds its
 * shape from the first row. Several are one dataset, whose rows keep the name of their source; each has its own format and shape.
 *
 * @throws DataError when nothing is there, it cannot be read, it is empty, or no shape fits
 * @throws UsageError when `shape` or `map` make no sense
 */
export async function openDataset(
  source: string | readonly string[],
  options: OpenDatasetOptions = {},
): Promise<Dataset> {
  if (typeof source === "string") return openSource(source, options);
  if (source.length === 1) return openSource(source[0]!, options);
  const datasets: Dataset[] = [];
  for (const one of source) datasets.push(await openSource(one, options));
  return poolDatasets(datasets);
}

async function openSource(source: string, options: OpenDatasetOptions): Promise<Dataset> {
  const chosen = chooseShape(options);
  const files = await findDatasetFiles(source, options.signal);
  const hasShape = (object: Row) => (chosen ?? findShape(object))?.matches(object) ?? false;
  const reading = { keepsBroken: true, quotes: options.quotes, isRow: hasShape };
  const first = await openRecords(files[0]!, reading);
  const keeps = options.unreadable === "keep";
  const record = await firstRecord(
    first,
    files[0]!,
    keeps ? (row) => (chosen ?? findShape(row))?.matches(row) : undefined,
  );
  const shape = chosen ?? findShape(requireRow(record));
  const columns = Object.keys(requireRow(record)).join(", ");
  if (!shape?.matches(requireRow(record))) {
    const wanted = shape ? shape.columns : describeShapes();
    throw dataErrorAt(
      record.place,
      `expected columns ${wanted}, got ${columns || "none"}; ${describeMapping(requireRow(record))}`,
    );
  }
  return {
    source,
    files,
    format: first.format,
    shape,
    extension: extensionOf(files[0]!, first),
    ...(first.rewritten !== undefined && { rewritten: first.rewritten }),
    ...(options.quotes !== undefined && { quotes: options.quotes }),
    header: first.hasByteOrderMark ? `\ufeff${first.header}` : first.header,
    unused: unusedColumns(requireRow(record), shape),
    ...(keeps &&
      first.lineBlocks && { lineBlocks: (spare) => readRowBlocks(files, first, reading, spare, options.signal) }),
    batches: () =>
      keeps
        ? readExamples(files, first, shape, reading, options.signal)
        : stopAtUnreadable(() => readExamples(files, first, shape, reading, options.signal)),
  };
}

/** The extension of files with rows of this dataset. */
function extensionOf({ extension, format }: DatasetFile, { format: written, rewritten }: RecordSource): string {
  if (format === "arrow") return ".jsonl";
  if (rewritten !== undefined && written === "json") return extension.replace(/^\.(jsonl|ndjson)/, ".json");
  return extension.replace(/^\.parquet\.(gz|zst)$/, ".parquet"); // DuckDB writes it without
}

const surveyedRows = 10_000;

/** Passes examples on until one cannot be read. @throws DataError at that one, with how many of the first rows are alike */
async function* stopAtUnreadable(open: () => AsyncIterable<readonly Example[]>): AsyncGenerator<readonly Example[]> {
  for await (const batch of open()) {
    const bad = batch.find(({ unreadable }) => unreadable !== undefined);
    if (bad) throw dataErrorAt(bad.place, `${bad.unreadable}${await survey(open())}`);
    yield batch;
  }
}

/** How many of the first rows cannot be read, and what to do, in words. */
async function survey(examples: AsyncIterable<readonly Example[]>): Promise<string> {
  let [rows, bad, isWhole] = [0, 0, true];
  try {
    for await (const batch of examples) {
      for (const { unreadable } of batch) {
        if (rows === surveyedRows) isWhole = false;
        if (!isWhole) break;
        rows++;
        if (unreadable !== undefined) bad++;
      }
      if (!isWhole) break;
    }
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    isWhole = false; // the file goes wrong further on
  }
  const first = isWhole ? formatNumbered(rows, "row", "rows") : `the first ${formatNumbered(rows, "row", "rows")}`;
  if (bad === rows) return "";
  return `; ${formatCount(bad)} of ${first} cannot be read; correct the data, or leave them out with rate --unreadable skip (in a recipe, unreadable: skip)`;
}

async function* readExamples(
  files: readonly DatasetFile[],
  first: RecordSource,
  shape: Shape,
  reading: RecordOptions,
  signal?: AbortSignal,
): AsyncGenerator<readonly Example[]> {
  let index = 0;
  for (const [i, file] of files.entries()) {
    const source = i === 0 ? first : await openRecords(file, reading);
    expectSameFormat(file, source, files[0]!, first);
    for await (const records of source.batches()) {
      signal?.throwIfAborted();
      yield records.map((record) => readExample(record, index++, shape));
    }
  }
}

async function* readRowBlocks(
  files: readonly DatasetFile[],
  first: RecordSource,
  reading: RecordOptions,
  spare: SpareBuffers,
  signal?: AbortSignal,
): AsyncGenerator<RowBlock> {
  let index = 0;
  for (const [i, file] of files.entries()) {
    const source = i === 0 ? first : await openRecords(file, reading);
    expectSameFormat(file, source, files[0]!, first);
    for await (const block of source.lineBlocks!(spare)) {
      // alike in format and layout
      signal?.throwIfAborted();
      yield { ...block, index };
      index += block.records;
    }
  }
}

/** The columns of a row that its shape does not look at. */
function unusedColumns(row: Row, shape: Shape): string[] {
  const read = new Set<PropertyKey>();
  const watched = new Proxy(row, {
    get(target, column) {
      read.add(column);
      return target[column as string]; // rows have no other keys
    },
  });
  try {
    shape.read(watched);
  } catch (error) {
    if (error instanceof FieldError) return []; // the row itself is reported when it is read
    throw error;
  }
  for (const name of shape.passesOver?.(row) ?? []) read.delete(name);
  return Object.keys(row).filter((column) => !read.has(column));
}

/** What to do about columns of no known shape. */
function describeMapping(row: Row): string {
  if ("parent_id" in row && "role" in row && "text" in row)
    return "a row is one message of a tree: join each tree to a conversation first, or take the file of trees";
  const list = Object.entries(row).find(
    ([, value]) => Array.isArray(value) && value.some((entry) => typeof entry === "object" && entry !== null),
  );
  const more = ["context", "input"].find((column) => typeof row[column] === "string" && Object.hasOwn(row, column));
  const columns = `instruction=COLUMN,output=COLUMN${more === undefined ? "" : `,input=${more}`}`;
  if (!list) return `name yours with --map ${columns}`;
  return Object.keys(row).length === 1
    ? `if it holds the rows, take them out (jq '.${list[0]}' FILE); if it is a chat, --map messages=${list[0]}`
    : `name yours with --map ${columns}, or --map messages=${list[0]} if that is a chat`;
}

function requireRow({ place, problem, value }: FileRecord): Row {
  const why = problem ?? describeNoRow(value);
  if (why !== undefined) throw dataErrorAt(place, why);
  return value as Row; // what is none was described
}

/** The first record, or the first that is wanted, where there is one among the first rows. */
async function firstRecord(
  source: RecordSource,
  file: DatasetFile,
  isWanted: (row: Row) => boolean | undefined = () => true,
): Promise<FileRecord> {
  let first: FileRecord | undefined;
  let seen = 0;
  for await (const batch of source.batches()) {
    first ??= batch[0];
    const wanted = batch.find(({ value }) => isRow(value) && isWanted(value));
    if (wanted) return wanted;
    if ((seen += batch.length) >= surveyedRows) break;
  }
  if (first) return first;
  throw new DataError(`${file.path}: expected rows, got none`);
}

function expectSameFormat(file: DatasetFile, source: RecordSource, firstFile: DatasetFile, first: RecordSource): void {
  if (source.format !== first.format)
    throw new DataError(`${file.path}: expected ${first.format} like ${firstFile.path}, got ${source.format}`);
  if (source.header === first.header && source.rewritten === first.rewritten) return;
  if (source.header === first.header)
    throw new DataError(
      `${file.path}: expected the layout of ${firstFile.path}${first.rewritten === undefined ? "" : ` (${first.rewritten})`}, got another${source.rewritten === undefined ? "" : ` (${source.rewritten})`}; name them one by one`,
    );
  throw new DataError(
    `${file.path}: expected the columns of ${firstFile.path} (${first.header}), got ${source.header}`,
  );
}
