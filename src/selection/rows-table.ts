import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import { openDuckDb, rowIndex, sqlName } from "../dataset/duckdb.ts";
import type { Dataset } from "../dataset/dataset.ts";
import type { Example } from "../dataset/example.ts";
import { textColumns } from "../dataset/shapes/index.ts";
import { plainFile } from "../dataset/plain-file.ts";
import { DataError, UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { factColumns, factNames } from "./fact-columns.ts";
import { isJson, readColumnTypes, readerOf, withTexts } from "./data-reader.ts";
import { finiteSql } from "./finite-sql.ts";
import { ColumnNames, expectOther } from "./column-names.ts";
import { openCopy } from "./rows-copy.ts";
import { expectUnambiguous, firstLine, listReadColumns } from "./sql-expression.ts";

/*
 * A rated dataset as one table for SQL: the data's columns, facts about each row such as its score, and the run's named scores. DuckDB
 * reads the data's columns; the others are in tables of their own, joined by row position.
 */

/** Those that ratings alone tell, without their rows. */
const ratingFacts = ["index", "score", "state"].flatMap((name) => [name, `rating_${name}`]);

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
  /** Whether SQL reads ratings and named scores alone, so that rows need not be read for it: {@link learnRating} is then enough. */
  isOfRatings(sql: string): Promise<boolean>;
  /** In place of `learn`, where SQL reads nothing else. */
  readonly learnRating: (index: number, rating: Rating) => void;
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
      appendFacts(appender, example.index, rating, example, hasSource);
      return copy?.add(example);
    },
    async isOfRatings(sql) {
      if (copy || hasSource) return false;
      const columns = await listReadColumns(connection, [sql]);
      const known = new Set([...ratingFacts, ...scores.map(({ name }) => name.toLowerCase())]);
      return columns !== undefined && [...columns].every((column) => known.has(column));
    },
    learnRating: (index, rating) => appendFacts(appender, index, rating),
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
          createRowsTable(connection, source, paths, rowCount, sql, {
            ...options,
            hasSource,
            texts,
            isPlain: named.twice().length === 0,
          });
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

/** @param example undefined where nothing is asked of the rows themselves */
function appendFacts(
  appender: DuckDBAppender,
  index: number,
  rating: Rating,
  example?: Example,
  hasSource = false,
): void {
  appender.appendInteger(index);
  if (rating.state === "scored") appender.appendDouble(rating.score);
  else appender.appendNull();
  appender.appendVarchar(rating.state);
  const lengths = example && [example.instruction.length, example.input.length, example.output.length];
  for (const length of [...(lengths ?? [0, 0, 0]), lengths?.reduce((sum, one) => sum + one, 0) ?? 0])
    if (!lengths || rating.state === "unreadable") appender.appendNull();
    else appender.appendInteger(length);
  if (hasSource) appender.appendVarchar(example?.source ?? "");
  appender.endRow();
}

const scoreTable = (name: string) => sqlName(`score of ${name}`);

async function appendScores(connection: DuckDBConnection, scores: NamedScores): Promise<void> {
  const { name } = scores;
  await connection.run(`CREATE TABLE ${scoreTable(name)} (index INTEGER, value DOUBLE)`);
  const appender = await connection.createAppender(`score of ${name}`);
  let index = 0;
  for await (const values of scores.batches())
    for (const value of values) {
      appender.appendInteger(index++);
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
  sql: readonly string[],
  {
    option,
    judgedBy = [],
    hasSource,
    texts,
    isPlain,
    scores = [],
  }: RowsTableOptions & {
    readonly hasSource: boolean;
    readonly texts: readonly string[] | undefined;
    /** Whether the data's columns differ by more than capital letters, so that DuckDB calls them as they are called. */
    readonly isPlain: boolean;
  },
): Promise<readonly string[]> {
  const names = [...factNames, ...scores.map(({ name }) => name.toLowerCase())];
  let clashing: readonly string[] = [];
  try {
    const numbered = (reader: string) => `(SELECT *, row_number() OVER () - 1 AS ${rowIndex} FROM ${reader})`;
    const found = numbered(readerOf(dataset, paths));
    let described = await connection.run(`SELECT * FROM ${found} LIMIT 0`); // a view would look at all rows once more
    const given = described.columnNames().slice(0, -1);
    const columnsOfTexts =
      /^jsonl?$/.test(dataset.format) && isPlain ? withTexts(given, described.columnTypes()) : undefined;
    const source = columnsOfTexts === undefined ? found : numbered(readerOf(dataset, paths, columnsOfTexts));
    if (columnsOfTexts !== undefined) described = await connection.run(`SELECT * FROM ${source} LIMIT 0`);
    const dataColumns = described.columnNames();
    const types = described.columnTypes();
    const ofCells = texts && (await readColumnTypes(connection, source, dataColumns, types, texts));
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
    const columns = dataColumns.map((name, i) => {
      const shown = names.includes(name.toLowerCase()) ? `data_${name.toLowerCase()}` : name;
      const own = `own.${sqlName(name)}`;
      const read = isJson(types[i]!) ? `(${own} ->> '$')` : own; // values of several kinds: as texts, without quotes
      const cell = ofCells?.get(name);
      const value = cell !== undefined ? `${read}::${cell}` : (finiteSql(read, types[i]!) ?? read); // JSON has them too: 1e999
      const shownValue = name === ownSource ? `coalesce(${value}::VARCHAR, facts.source)` : value;
      return { shown, sql: `${shownValue} AS ${sqlName(shown)}` };
    });
    const shownAs = (name: string) => sqlName(clashing.includes(name.toLowerCase()) ? `rating_${name}` : name);
    // a score that is the column itself has both names
    const isColumn = (name: string) => dataColumns.some((own) => own.toLowerCase() === name);
    const alsoKnown = names.filter((name) => isTaken(name) && isColumn(name) && !isColumn(`rating_${name}`));
    const also = (name: string, value: string) =>
      alsoKnown.includes(name.toLowerCase()) ? [`${value} AS ${sqlName(`rating_${name.toLowerCase()}`)}`] : [];
    const facts = [
      ...factColumns.split(", ").flatMap((column) => {
        const [name = "", type = ""] = column.split(" ");
        const fact = `facts.${name}${type === "INTEGER" ? "::BIGINT" : ""}`; // sums and products may be larger
        return [`${fact} AS ${shownAs(name)}`, ...also(name, fact)];
      }),
      ...scores.flatMap(({ name }, i) => [`s${i}.value AS ${shownAs(name)}`, ...also(name, `s${i}.value`)]),
    ];
    if (hasSource && ownSource === undefined) facts.push("facts.source AS source");
    const shownColumns = columns.filter((_, i) => sqlName(dataColumns[i]!) !== rowIndex);
    const read = await listReadColumns(connection, sql);
    const shownNames = new Set([
      ...names.flatMap((name) => (clashing.includes(name) ? `rating_${name}` : name)),
      ...alsoKnown.map((name) => `rating_${name}`),
      ...shownColumns.map(({ shown }) => shown.toLowerCase()),
      ...(hasSource ? ["source"] : []),
    ]);
    // texts are most of the data: those that nobody asks for are not read, unless a message has to list all names
    const isKnown = read !== undefined && [...read].every((name) => shownNames.has(name));
    const asked = isKnown ? shownColumns.filter(({ shown }) => read.has(shown.toLowerCase())) : shownColumns;
    const joins = scores.map(({ name }, i) => ` LEFT JOIN ${scoreTable(name)} AS s${i} ON s${i}.index = facts.index`);
    const from = asked.length === 0 ? "facts" : `${source} AS own JOIN facts ON own.${rowIndex} = facts.index`;
    await connection.run(
      `CREATE OR REPLACE TABLE rows AS SELECT ${[...facts, ...asked.map((column) => column.sql)].join(", ")}, facts.index AS ${rowIndex} FROM ${from}${joins.join("")}`,
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
