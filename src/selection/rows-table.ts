import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import { openDuckDb, sqlName, sqlPath } from "../dataset/duckdb.ts";
import type { Dataset } from "../dataset/dataset.ts";
import type { Example } from "../dataset/example.ts";
import { parquetReader } from "../dataset/parquet-records.ts";
import { maxRecordBytes } from "../dataset/place.ts";
import { plainFile } from "../dataset/plain-file.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { finiteSql } from "./finite-sql.ts";
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
   * Makes the table `rows`, with `alpagasus_index`, and closes DuckDB's access to everything else.
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
  const hasSource = dataset.pool !== undefined && isWhole;
  await connection.run(`CREATE TABLE facts (${factColumns}${hasSource ? ", source VARCHAR" : ""})`);
  const appender = await connection.createAppender("facts");
  const copy = !isWhole || (hasUnreadable && dataset.format !== "parquet") ? await openCopy() : undefined;
  return {
    learn: (example, rating) => {
      appendFacts(appender, example, rating, dataset.pool !== undefined && !copy);
      return copy?.add(example);
    },
    async make(rowCount, ...sql) {
      appender.closeSync();
      await copy?.close();
      for (const score of scores) await appendScores(connection, score);
      const files = await Promise.all(
        dataset.files.map(async (file) =>
          file.format === "parquet" ? plainFile(file) : { path: file.path, [Symbol.asyncDispose]: async () => {} },
        ),
      );
      try {
        const source = copy ? { source: dataset.source, format: "jsonl" as const } : dataset;
        const paths = copy ? [copy.path] : files.map((file) => file.path);
        const clashing = await createRowsTable(connection, source, paths, rowCount, { ...options, hasSource });
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
function isReadByDuckDb({ format, pool, rewritten, extension, files }: Dataset): boolean {
  return format !== "csv" && rewritten === undefined && (!pool || extension === files[0]!.extension); // its CSV reader guesses anew
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
  { option, judgedBy = [], hasSource, scores = [] }: RowsTableOptions & { readonly hasSource: boolean },
): Promise<readonly string[]> {
  const names = [...factNames, ...scores.map(({ name }) => name.toLowerCase())];
  let clashing: readonly string[] = [];
  try {
    await connection.run(
      `CREATE VIEW source AS SELECT *, row_number() OVER () - 1 AS alpagasus_index FROM ${reader(dataset, paths)}`,
    );
    const described = await connection.run("SELECT * FROM source LIMIT 0");
    const dataColumns = described.columnNames();
    const types = described.columnTypes();
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
      const read = `own.${sqlName(name)}`;
      const value = finiteSql(read, types[i]!) ?? read; // JSON has them too: 1e999
      return `${name === ownSource ? `coalesce(${value}::VARCHAR, facts.source)` : value} AS ${sqlName(shown)}`;
    });
    const shownAs = (name: string) => sqlName(clashing.includes(name.toLowerCase()) ? `rating_${name}` : name);
    const facts = [
      ...factNames.map((name) => `facts.${name} AS ${shownAs(name)}`),
      ...scores.map(({ name }, i) => `s${i}.value AS ${shownAs(name)}`),
    ];
    if (hasSource && ownSource === undefined) facts.push("facts.source AS source");
    const chosen = [...facts, ...renamed.filter((_, i) => dataColumns[i] !== "alpagasus_index")];
    const joins = scores.map(({ name }, i) => ` LEFT JOIN ${scoreTable(name)} AS s${i} ON s${i}.index = facts.index`);
    await connection.run(
      `CREATE TABLE rows AS SELECT ${chosen.join(", ")}, facts.index AS alpagasus_index FROM source AS own JOIN facts ON own.alpagasus_index = facts.index${joins.join("")}`,
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
      return `read_json(${files}, format = '${format}', records = true, sample_size = -1, union_by_name = true, maximum_object_size = ${maxRecordBytes})`;
    }
  }
}
