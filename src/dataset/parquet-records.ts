import type { DuckDBConnection } from "@duckdb/node-api";
import { AlpagasusError, DataError, messageOf } from "../errors.ts";
import { parseExactly } from "../files/try-parse.ts";
import { openDuckDb, sqlName, sqlPath } from "./duckdb.ts";
import { plainFile } from "./plain-file.ts";
import type { FileRecord, RecordSource } from "./record-source.ts";
import type { DatasetFile } from "./source.ts";

/**
 * Reads a Parquet file through DuckDB. Lists and structs become JSON arrays and objects, so that every shape can be read;
 * NaN and infinite numbers become null, as JSON cannot hold them.
 */
export async function openParquetRecords(file: DatasetFile): Promise<RecordSource> {
  if (file.bytes === 0) throw new DataError(`${file.path}: expected rows, got an empty file`);
  await using plain = await plainFile(file);
  const columns = await readColumns(file, plain.path);
  const header = columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  return { format: "parquet", header, batches: () => readRecords(file, columns) };
}

interface Column {
  readonly name: string;
  readonly type: string;
}

/** SQL that reads Parquet files as they are: parent folders named `key=value` add no columns. */
export function parquetReader(paths: readonly string[]): string {
  return `read_parquet([${paths.map(sqlPath).join(", ")}], hive_partitioning = false)`;
}

const mostDigits = 38; // of DuckDB's decimals

const wholeRow = '"alpagasus: row"'; // a name that no column has

async function readColumns(file: DatasetFile, path: string): Promise<Column[]> {
  await using database = await openDuckDb();
  try {
    const reader = await database.connection.runAndReadAll(`DESCRIBE SELECT * FROM ${parquetReader([path])}`);
    const columns = reader.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }));
    const schema = await database.connection.runAndReadAll(
      `SELECT name, precision::INTEGER FROM parquet_schema(${sqlPath(path)})`,
    );
    const own = new Set(schema.getRows().map(([name]) => String(name)));
    const wide = schema.getRows().find(([, precision]) => Number(precision ?? 0) > mostDigits);
    if (wide)
      throw new DataError(
        `${file.path}: expected decimals of at most ${mostDigits} digits, got ${String(wide[1])} in the column ${String(wide[0])}, which DuckDB reads as other numbers; write it as text`,
      );
    const renamed = columns.find(({ name }) => !own.has(name)); // by DuckDB, which does not tell capitals
    if (renamed)
      throw new DataError(
        `${file.path}: expected columns whose names differ by more than capital letters, got ${renamed.name.replace(/_\d+$/, "")} twice; rename one`,
      );
    return columns;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw unreadable(file, cause);
  }
}

/** Whether a decimal has more digits than a JavaScript number keeps. */
function isLong(type: string): boolean {
  return Number(/^DECIMAL\((\d+),\d+\)$/.exec(type)?.[1] ?? 0) > 15;
}

async function* readRecords(file: DatasetFile, columns: readonly Column[]): AsyncGenerator<readonly FileRecord[]> {
  await using plain = await plainFile(file);
  await using database = await openDuckDb();
  const mended = columns.flatMap(({ name, type }) => {
    const column = sqlName(name);
    if (type === "FLOAT" || type === "DOUBLE") return [`CASE WHEN isfinite(${column}) THEN ${column} END AS ${column}`];
    // text whose file does not say that it is text; what is none is Base64, as of Arrow
    // a number has some 16 digits: a decimal that has more is its text
    if (isLong(type))
      return [
        `CASE WHEN TRY_CAST(${column}::DOUBLE AS ${type}) = ${column} THEN to_json(${column}) ELSE to_json(${column}::VARCHAR) END AS ${column}`,
      ];
    if (type === "BLOB") return [`coalesce(TRY(decode(${column})), base64(${column})) AS ${column}`];
    return type === "HUGEINT" || type === "UHUGEINT" ? [`${column}::VARCHAR AS ${column}`] : [];
  });
  const selected = mended.length > 0 ? `* REPLACE (${mended.join(", ")})` : "*";
  try {
    const result = await database.connection.stream(
      `SELECT CAST(to_json(${wholeRow}) AS VARCHAR) FROM (SELECT ${selected} FROM ${parquetReader([plain.path])}) AS ${wholeRow}`,
    );
    let ordinal = 0;
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) break;
      const column = chunk.getColumnVector(0);
      const batch: FileRecord[] = [];
      for (let i = 0; i < chunk.rowCount; i++) {
        const text = withoutNaN(column.getItem(i) as string); // the query selects text
        batch.push({
          text,
          value: parseExactly(text),
          place: { path: file.path, format: "parquet", line: 0, ordinal: ++ordinal },
        });
      }
      yield batch;
    }
    // a stream that fails halfway ends without an error, so the rows are counted
    const rows = await countRows(database.connection, plain.path);
    if (ordinal !== rows) {
      throw new DataError(
        `${file.path} (row ${ordinal + 1}): expected ${rows} rows, got an error after ${ordinal}; the file may be damaged`,
      );
    }
  } catch (cause) {
    if (cause instanceof AlpagasusError) throw cause;
    throw unreadable(file, cause);
  }
}

/** DuckDB's JSON with null in place of the numbers inside lists and structs that JSON does not have. */
function withoutNaN(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text;
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)/g, (token) => (token.startsWith('"') ? token : "null"));
}

function unreadable(file: DatasetFile, cause: unknown): DataError {
  return new DataError(`${file.path}: cannot be read as Parquet: ${messageOf(cause).split("\n", 1)[0]}`, { cause });
}

async function countRows(connection: DuckDBConnection, path: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${parquetReader([path])}`);
  return reader.getRows()[0]![0] as number; // the query gives one number
}
