import { DuckDBTypeId, type DuckDBAppender, type DuckDBConnection, type DuckDBType } from "@duckdb/node-api";
import { openDuckDb, rowIndex, sqlName, sqlPath, sqlText } from "../dataset/duckdb.ts";
import type { Dataset } from "../dataset/dataset.ts";
import type { Example } from "../dataset/example.ts";
import { parquetReader } from "../dataset/parquet-records.ts";
import { maxRecordBytes } from "../dataset/place.ts";
import { textColumns } from "../dataset/shapes/index.ts";
import { plainFile } from "../dataset/plain-file.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { finiteSql } from "./finite-sql.ts";
import { ColumnNames, expectOther } from "./column-names.ts";
import { openCopy } from "./rows-copy.ts";
import { expectUnambiguous, firstLine } from "./sql-expression.ts";

/*
 * A rated dataset as one table for SQL: the data's columns, facts about each row such as its score, and the run's named scores. DuckDB
 * reads the data's columns; the others are in tables of their own, joined by row position.
 */

const factColumns =
  "index BIGINT, score DOUBLE, state VARCHAR, instruction_length BIGINT, input_length BIGINT, output_length BIGINT, length BIGINT";
/** Fact columns for SQL. If the data also has the name, the fact is `rating_NAME` and the data's column `data_NAME`. */
export const factNames = factColumns.split(", ").map((column) => column.split(" ", 1)[0]!);

/** A named score: each row's value, or null where it has none, in the dataset's order. */
export interface NamedScores {
  readonly name: string;
  batches(): AsyncIterable<readonly (number | null)[]>;
}

export interface RowsTableOptions {
  /** The option that the SQL is of, for messages: `--by`, or a place in a recipe. */
  readonly option: string;
  /** Data columns that scores of their names were taken from; those names are not ambiguous. */
  readonly judgedBy?: readonly string[] | undefined;
  /** Whether some rows cannot be read. DuckDB would stop at a line that is not JSON, so it is then given a copy without such lines. */
  readonly hasUnreadable?: boolean | undefined;
  readonly scores?: readonly NamedScores[] | undefined;
  /** Names of all scores that there are, for messages. */
  readonly scoreNames?: readonly string[] | undefined;
}

export interface RowsTable extends AsyncDisposable {
  /** Adds the facts about the next row. Call it once per row, in order. */
  learn(example: Example, rating: Rating): Promise<void> | void;
  /**
   * Makes the table `rows`, with {@link rowIndex}, and closes DuckDB's access to everything else.
   *
   * @param sql what will be asked of it @throws UsageError when it uses a name that is ambiguous, DataError when the data cannot be read
   */
  make(rowCount: number, ...sql: readonly string[]): Promise<DuckDBConnection>;
}

export async function openRowsTable(dataset: Dataset, options: RowsTableOptions): Promise<RowsTable> {
  const { hasUnreadable = false, scores = [] } = options;
  const database = await openDuckDb();
  const { connection } = database;
  const isWhole = isReadByDuckDb(dataset);
  const copy = !isWhole || (hasUnreadable && dataset.format !== "parquet") ? await openCopy() : undefined;
  const hasSource = dataset.pool !== undefined && !copy; // a copy has it among its columns
  await connection.run(`CREATE TABLE facts (${factColumns}${hasSource ? ", source VARCHAR" : ""})`);
  const appender = await connection.createAppender("facts");
  const named = new ColumnNames();
  return {
    learn: (example, rating) => {
      named.add(example);
      appendFacts(appender, example, rating, hasSource);
      return copy?.add(example);
    },
    async make(rowCount, ...sql) {
      appender.closeSync();
      await copy?.close();
      for (const score of scores) await appendScores(connection, score);
      for (const name of named.twice()) for (const one of sql) expectOther(one, name, options.option);
      const files = await Promise.all(
        dataset.files.map(async (file) =>
          file.format === "parquet" ? plainFile(file) : { path: file.path, [Symbol.asyncDispose]: async () => {} },
        ),
      );
      try {
        const lines = { source: dataset.source, format: "jsonl" as const };
        const texts = dataset.files.some(({ format }) => format === "csv") ? textColumns(dataset.shape) : undefined;
        const create = (source: typeof lines | Dataset, paths: readonly string[]) =>
          createRowsTable(connection, source, paths, rowCount, { ...options, hasSource, texts });
        let clashing: readonly string[];
        try {
          clashing = copy
            ? await create(lines, [copy.path])
            : await create(
                dataset,
                files.map((file) => file.path),
              );
        } catch (error) {
          if (!(error instanceof DataError) || !["json", "jsonl"].includes(dataset.format)) throw error;
          // half a character, a field twice and the like, which rating reads
          await using other = await openCopy({ asRead: true });
          for await (const batch of dataset.batches()) for (const example of batch) await other.add(example);
          await other.close();
          clashing = await create(lines, [other.path]);
        }
        for (const one of sql) expectUnambiguous(one, clashing, options.option);
        return connection;
      } finally {
        await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
      }
    },
    async [Symbol.asyncDispose]() {
      await copy?.[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Whether DuckDB reads the data's own files, or a copy of their rows. */
function isReadByDuckDb({ format, rewritten, layout = "as they are" }: Dataset): boolean {
  return format !== "csv" && rewritten === undefined && layout === "as they are"; // its CSV reader guesses anew
}

function appendFacts(appender: DuckDBAppender, example: Example, rating: Rating, hasSource: boolean): void {
  appender.appendBigInt(BigInt(example.index));
  if (rating.state === "scored") appender.appendDouble(rating.score);
  else appender.appendNull();
  appender.appendVarchar(rating.state);
  const lengths = [example.instruction.length, example.input.length, example.output.length];
  for (const length of [...lengths, lengths.reduce((sum, one) => sum + one, 0)])
    if (rating.state === "unreadable") appender.appendNull();
    else appender.appendBigInt(BigInt(length));
  if (hasSource) appender.appendVarchar(example.source ?? "");
  appender.endRow();
}

const scoreTable = (name: string) => sqlName(`score of ${name}`);

async function appendScores(connection: DuckDBConnection, scores: NamedScores): Promise<void> {
  const { name } = scores;
  await connection.run(`CREATE TABLE ${scoreTable(name)} (index BIGINT, value DOUBLE)`);
  const appender = await connection.createAppender(`score of ${name}`);
  let index = 0n;
  for await (const values of scores.batches())
    for (const value of values) {
      appender.appendBigInt(index++);
      if (value === null) appender.appendNull();
      else appender.appendDouble(value);
      appender.endRow();
    }
  appender.closeSync();
}

/**
 * Creates the table `rows`, then turns off DuckDB's access to files and the network, so that SQL of the user's can read only tables.
 *
 * @returns the names that both the data and the facts or scores have
 */
async function createRowsTable(
  connection: DuckDBConnection,
  dataset: Pick<Dataset, "source" | "format">,
  paths: readonly string[],
  rowCount: number,
  {
    option,
    judgedBy = [],
    hasSource,
    texts,
    scores = [],
  }: RowsTableOptions & { readonly hasSource: boolean; readonly texts: readonly string[] | undefined },
): Promise<readonly string[]> {
  const names = [...factNames, ...scores.map(({ name }) => name.toLowerCase())];
  let clashing: readonly string[] = [];
  try {
    await connection.run(
      `CREATE OR REPLACE VIEW source AS SELECT *, row_number() OVER () - 1 AS ${rowIndex} FROM ${reader(dataset, paths)}`,
    );
    const described = await connection.run("SELECT * FROM source LIMIT 0");
    const dataColumns = described.columnNames();
    const types = described.columnTypes();
    const ofCells = texts && (await readColumnTypes(connection, dataColumns, types, texts));
    const shared = scores.find(({ name }) => {
      const [base, mark] = name.split(".", 2);
      return (
        mark !== undefined && base !== "score" && dataColumns.some((own) => own.toLowerCase() === base!.toLowerCase())
      );
    });
    if (shared)
      throw new UsageError(
        `${option}: ${shared.name} is a score, and the data has a column ${shared.name.split(".")[0]!} too; give the score another name (rate --as NAME)`,
      );
    const isTaken = (name: string) => judgedBy.some((column) => column.toLowerCase() === name);
    clashing = names.filter((name) => !isTaken(name) && dataColumns.some((own) => own.toLowerCase() === name));
    const shadowed = clashing
      .flatMap((name) => [`data_${name}`, `rating_${name}`])
      .find((name) => dataColumns.some((own) => own.toLowerCase() === name));
    if (shadowed !== undefined)
      throw new UsageError(
        `${option}: the data has a column ${shadowed}, which is also the name that tells a score from a column of its name; rename one of them`,
      );
    const ownSource = hasSource ? dataColumns.find((name) => name.toLowerCase() === "source") : undefined;
    const renamed = dataColumns.map((name, i) => {
      const shown = names.includes(name.toLowerCase()) ? `data_${name.toLowerCase()}` : name;
      const own = `own.${sqlName(name)}`;
      const read = isJson(types[i]!) ? `(${own} ->> '$')` : own; // values of several kinds: as texts, without quotes
      const cell = ofCells?.get(name);
      const value = cell !== undefined ? `${read}::${cell}` : (finiteSql(read, types[i]!) ?? read); // JSON has them too: 1e999
      return `${name === ownSource ? `coalesce(${value}::VARCHAR, facts.source)` : value} AS ${sqlName(shown)}`;
    });
    const shownAs = (name: string) => sqlName(clashing.includes(name.toLowerCase()) ? `rating_${name}` : name);
    const facts = [
      ...factNames.map((name) => `facts.${name} AS ${shownAs(name)}`),
      ...scores.map(({ name }, i) => `s${i}.value AS ${shownAs(name)}`),
    ];
    if (hasSource && ownSource === undefined) facts.push("facts.source AS source");
    const chosen = [...facts, ...renamed.filter((_, i) => sqlName(dataColumns[i]!) !== rowIndex)];
    const joins = scores.map(({ name }, i) => ` LEFT JOIN ${scoreTable(name)} AS s${i} ON s${i}.index = facts.index`);
    await connection.run(
      `CREATE OR REPLACE TABLE rows AS SELECT ${chosen.join(", ")}, facts.index AS ${rowIndex} FROM source AS own JOIN facts ON own.${rowIndex} = facts.index${joins.join("")}`,
    );
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new DataError(`${dataset.source}: its columns cannot be read for ${option}: ${firstLine(cause)}`, { cause });
  }
  const [[count]] = (await connection.runAndReadAll("SELECT count(*)::INTEGER FROM rows")).getRows() as [[number]]; // one row, one number
  if (count !== rowCount)
    throw new DataError(
      `${dataset.source}: ${option} expected ${rowCount} rows, DuckDB read ${count}; convert the data to JSON Lines or Parquet first`,
    );
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
  return clashing;
}

/** Whether values of several kinds stand in a column, which DuckDB then gives as JSON. */
function isJson(type: DuckDBType): boolean {
  return type.alias === "JSON";
}

/** SQL types of columns of cells that all are numbers, or all truth values, as readers of CSV have them. */
async function readColumnTypes(
  connection: DuckDBConnection,
  names: readonly string[],
  types: readonly DuckDBType[],
  texts: readonly string[],
): Promise<Map<string, string>> {
  const columns = names.filter((name, i) => types[i]!.typeId === DuckDBTypeId.VARCHAR && !texts.includes(name));
  const found = new Map<string, string>();
  if (columns.length === 0) return found;
  const kinds = [
    ["BIGINT", String.raw`-?(0|[1-9]\d{0,14})`],
    ["DOUBLE", String.raw`-?(0|[1-9]\d{0,14})(\.\d+)?`],
    ["BOOLEAN", "(?i)true|false"],
  ] as const;
  const asked = columns.flatMap((name, i) => {
    const cell = isJson(types[names.indexOf(name)]!) ? `(${sqlName(name)} ->> '$')` : sqlName(name);
    return kinds.map(([kind, form]) => `bool_and(regexp_full_match(${cell}, ${sqlText(form)})) AS ${kind}_${i}`);
  });
  const [all = []] = (await connection.runAndReadAll(`SELECT ${asked.join(", ")} FROM source`)).getRows();
  for (const [i, name] of columns.entries()) {
    const kind = kinds.findIndex((_, k) => all[i * kinds.length + k] === true);
    if (kind >= 0) found.set(name, kinds[kind]![0]);
  }
  return found;
}

function reader(dataset: Pick<Dataset, "format">, paths: readonly string[]): string {
  const files = `[${paths.map(sqlPath).join(", ")}]`;
  switch (dataset.format) {
    case "parquet":
      return parquetReader(paths);
    case "csv": // of these a copy is read
    case "arrow":
    case "json":
    case "jsonl": {
      const format = dataset.format === "json" ? "array" : "newline_delimited";
      // a text that looks like a date is a text
      const dates = "dateformat = '%Y-%m-%d is no text', timestampformat = '%Y-%m-%dT%H:%M:%S is no text'";
      return `read_json(${files}, format = '${format}', records = true, ${dates}, sample_size = -1, union_by_name = true, maximum_object_size = ${maxRecordBytes})`;
    }
  }
}
