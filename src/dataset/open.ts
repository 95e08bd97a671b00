import { DataError, kindOf } from "../errors.ts";
import type { Example, Row } from "./example.ts";
import { dataErrorAt } from "./place.ts";
import { openRecords } from "./records.ts";
import type { FileRecord, RecordSource } from "./record-source.ts";
import { FieldError, type Shape } from "./shape.ts";
import { chooseShape, describeShapes, findShape, type ShapeChoice } from "./shapes/index.ts";
import { findDatasetFiles, type DatasetFile, type Format } from "./source.ts";

/** An opened instruction dataset: its shape is known, its rows are not read yet. */
export interface Dataset {
  /** As the caller gave it: a path, pattern or `hf:` name. */
  readonly source: string;
  readonly files: readonly DatasetFile[];
  readonly format: Format;
  readonly shape: Shape;
  /** The header line as the file has it (CSV). */
  readonly header?: string | undefined;
  /**
   * All examples in order, in batches of a few hundred. Each call is a new pass.
   *
   * @throws DataError at the first row that does not fit the shape; the message names its place
   */
  batches(): AsyncIterable<readonly Example[]>;
}

export interface OpenDatasetOptions extends ShapeChoice {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a file, folder, pattern or Hub dataset of JSON, JSON Lines, CSV or Parquet (each also gzipped) and finds its
 * shape from the first row.
 *
 * @throws DataError when nothing is there, it cannot be read, it is empty, or no shape fits
 * @throws UsageError when `shape` or `map` make no sense
 */
export async function openDataset(source: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const chosen = chooseShape(options);
  const files = await findDatasetFiles(source, options.signal);
  const first = await openRecords(files[0]!);
  const record = await firstRecord(first, files[0]!);
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
    header: first.header,
    batches: () => readExamples(files, first, shape, options.signal),
  };
}

async function* readExamples(
  files: readonly DatasetFile[],
  first: RecordSource,
  shape: Shape,
  signal?: AbortSignal,
): AsyncGenerator<readonly Example[]> {
  let index = 0;
  for (const [i, file] of files.entries()) {
    const source = i === 0 ? first : await openRecords(file);
    expectSameFormat(file, source, files[0]!, first);
    for await (const records of source.batches()) {
      signal?.throwIfAborted();
      yield records.map((record) => readExample(record, index++, shape));
    }
  }
}

/** What to do about columns of no known shape. */
function describeMapping(row: Row): string {
  const list = Object.entries(row).find(
    ([, value]) => Array.isArray(value) && value.some((entry) => typeof entry === "object" && entry !== null),
  );
  if (!list) return "name yours with --map instruction=COLUMN,output=COLUMN";
  return Object.keys(row).length === 1
    ? `if it holds the rows, take them out (jq '.${list[0]}' FILE); if it is a chat, --map messages=${list[0]}`
    : `name yours with --map instruction=COLUMN,output=COLUMN, or --map messages=${list[0]} if that is a chat`;
}

function readExample(record: FileRecord, index: number, shape: Shape): Example {
  const row = requireRow(record);
  try {
    const { instruction, input, output, category, id, conversation } = shape.read(row);
    const more = conversation && { conversation };
    return { index, instruction, input, output, category, id, ...more, row, text: record.text, place: record.place };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    const other = shape.matches(row) ? undefined : findShape(row);
    if (other)
      throw dataErrorAt(
        record.place,
        `expected the ${shape.name} shape of the earlier rows (${shape.columns}), got the ${other.name} shape; split the data by shape`,
      );
    throw dataErrorAt(record.place, error.message, error);
  }
}

function requireRow(record: FileRecord): Row {
  const { value } = record;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw dataErrorAt(record.place, `expected a row to be an object, got ${kindOf(value)}`);
  }
  return value as Row; // an object read from JSON, CSV or Parquet: its keys are its columns
}

async function firstRecord(source: RecordSource, file: DatasetFile): Promise<FileRecord> {
  for await (const [record] of source.batches()) if (record) return record;
  throw new DataError(`${file.path}: expected rows, got none`);
}

function expectSameFormat(file: DatasetFile, source: RecordSource, firstFile: DatasetFile, first: RecordSource): void {
  if (source.format !== first.format)
    throw new DataError(`${file.path}: expected ${first.format} like ${firstFile.path}, got ${source.format}`);
  if (source.header === first.header) return;
  throw new DataError(
    `${file.path}: expected the columns of ${firstFile.path} (${first.header}), got ${source.header}`,
  );
}
