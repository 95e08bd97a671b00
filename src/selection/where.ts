import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import { openDuckDb, sqlName, sqlPath, sqlText } from "../dataset/duckdb.ts";
import type { Example } from "../dataset/example.ts";
import type { Dataset } from "../dataset/dataset.ts";
import { parquetReader } from "../dataset/parquet-records.ts";
import { plainFile } from "../dataset/plain-file.ts";
import { DataError, messageOf, UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { openCopy } from "./rows-copy.ts";

/*
 * `--where`: an SQL condition over the data's columns and over facts about each row, such as its score. DuckDB reads the
 * data's columns; the facts are in a table of their own, joined by row position.
 */

const factColumns =
  "index UBIGINT, score DOUBLE, state VARCHAR, instruction_length UINTEGER, input_length UINTEGER, output_length UINTEGER, length UINTEGER";
/** Fact columns for conditions. If the data also has the name, the fact is `rating_NAME` and the data's column `data_NAME`. */
export const factNames = factColumns.split(", ").map((column) => column.split(" ", 1)[0]!);

export interface WhereFilter extends AsyncDisposable {
  /** Adds the facts about the next row. Call it once per row, in order. */
  learn(example: Example, rating: Rating): Promise<void> | void;
  /** 1 for each row where the condition is true. @throws UsageError for an invalid condition, DataError for unreadable data */
  evaluate(rowCount: number): Promise<Uint8Array>;
}

/**
 * @param condition SQL, as after WHERE: `score >= 3 and output_length > 200`
 * @param options.judgedBy the data column that the scores were taken from, if any; its name is not ambiguous
 * @param options.hasUnreadable whether some rows cannot be read. DuckDB would stop at a line that is not JSON, so it is then given a copy
 *   without such lines
 */
export async function openWhereFilter(
  dataset: Dataset,
  condition: string,
  {
    judgedBy,
    hasUnreadable = false,
  }: { readonly judgedBy?: string | undefined; readonly hasUnreadable?: boolean } = {},
): Promise<WhereFilter> {
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
    async evaluate(rowCount) {
      appender.closeSync();
      await copy?.close();
      const files = await Promise.all(
        dataset.files.map(async (file) =>
          file.format === "parquet" ? plainFile(file) : { path: file.path, [Symbol.asyncDispose]: async () => {} },
        ),
      );
      try {
        const clashing = await createRowsTable(
          connection,
          copy ? { source: dataset.source, format: "jsonl" } : dataset,
          copy ? [copy.path] : files.map((file) => file.path),
          rowCount,
          judgedBy,
          hasSource,
        );
        expectUnambiguous(condition, clashing);
        return await evaluateCondition(connection, condition, rowCount);
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
function isReadByDuckDb({ pool, rewritten, quotes, extension, files }: Dataset): boolean {
  return rewritten === undefined && quotes !== "none" && (!pool || extension === files[0]!.extension);
}

function appendFacts(appender: DuckDBAppender, example: Example, rating: Rating, hasSource: boolean): void {
  appender.appendUBigInt(BigInt(example.index));
  if (rating.state === "scored") appender.appendDouble(rating.score);
  else appender.appendNull();
  appender.appendVarchar(rating.state);
  appender.appendUInteger(example.instruction.length);
  appender.appendUInteger(example.input.length);
  appender.appendUInteger(example.output.length);
  appender.appendUInteger(example.instruction.length + example.input.length + example.output.length);
  if (hasSource) appender.appendVarchar(example.source ?? "");
  appender.endRow();
}

/**
 * Creates the table `rows` from the data's columns and the facts, then turns off DuckDB's access to files and the network, so
 * that the condition can read only tables.
 *
 * @returns the names that both the data and the facts have
 */
async function createRowsTable(
  connection: DuckDBConnection,
  dataset: Pick<Dataset, "source" | "format">,
  paths: readonly string[],
  rowCount: number,
  judgedBy: string | undefined,
  hasSource: boolean,
): Promise<readonly string[]> {
  let clashing: readonly string[] = [];
  try {
    await connection.run(
      `CREATE VIEW source AS SELECT *, row_number() OVER () - 1 AS alpagasus_index FROM ${reader(dataset, paths)}`,
    );
    const columns = (await connection.runAndReadAll("SELECT column_name FROM (DESCRIBE source)")).getRows();
    const dataColumns = columns.map(([name]) => String(name));
    clashing = factNames.filter((name) => name !== judgedBy && dataColumns.some((own) => own.toLowerCase() === name));
    const ownSource = hasSource ? dataColumns.find((name) => name.toLowerCase() === "source") : undefined;
    const renamed = dataColumns.map((name) => {
      const shown = factNames.includes(name.toLowerCase()) ? `data_${name.toLowerCase()}` : name;
      const value = `own.${sqlName(name)}`;
      return `${name === ownSource ? `coalesce(${value}::VARCHAR, facts.source)` : value} AS ${sqlName(shown)}`;
    });
    const facts = factNames.map((name) => `facts.${name} AS ${clashing.includes(name) ? `rating_${name}` : name}`);
    if (hasSource && ownSource === undefined) facts.push("facts.source AS source");
    const chosen = [...facts, ...renamed.filter((_, i) => dataColumns[i] !== "alpagasus_index")];
    await connection.run(
      `CREATE TABLE rows AS SELECT ${chosen.join(", ")}, facts.index AS alpagasus_index FROM source AS own JOIN facts ON own.alpagasus_index = facts.index`,
    );
  } catch (cause) {
    throw new DataError(`${dataset.source}: its columns cannot be read for --where: ${firstLine(cause)}`, { cause });
  }
  const [[count]] = (await connection.runAndReadAll("SELECT count(*)::INTEGER FROM rows")).getRows() as [[number]]; // one row, one number
  if (count !== rowCount)
    throw new DataError(
      `${dataset.source}: --where expected ${rowCount} rows, DuckDB read ${count}; convert the data to JSON Lines or Parquet first`,
    );
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
  return clashing;
}

/** @throws UsageError when the condition uses, without a prefix, a name that both the data and the facts have */
function expectUnambiguous(condition: string, clashing: readonly string[]): void {
  const plain = condition.replace(/'(?:[^']|'')*'/g, "''"); // string literals name no columns
  const ambiguous = clashing.find((name) => new RegExp(String.raw`(?<![\w.])"?${name}"?(?!\w)`, "i").test(plain));
  if (ambiguous !== undefined)
    throw new UsageError(
      `--where: ${ambiguous} is a column of the data and of the rating; write data_${ambiguous} or rating_${ambiguous}`,
    );
}

function reader(dataset: Pick<Dataset, "format">, paths: readonly string[]): string {
  const files = `[${paths.map(sqlPath).join(", ")}]`;
  switch (dataset.format) {
    case "parquet":
      return parquetReader(paths);
    case "csv":
      return `read_csv(${files}, header = true, sample_size = -1, quote = '"', escape = '"')`;
    case "arrow": // a copy is read
    case "json":
    case "jsonl": {
      const format = dataset.format === "json" ? "array" : "newline_delimited";
      return `read_json(${files}, format = '${format}', records = true, sample_size = -1, union_by_name = true)`;
    }
  }
}

async function evaluateCondition(
  connection: DuckDBConnection,
  condition: string,
  rowCount: number,
): Promise<Uint8Array> {
  const mask = new Uint8Array(rowCount);
  await expectOneCondition(connection, condition);
  try {
    const result = await connection.run(`SELECT alpagasus_index::DOUBLE FROM rows WHERE (${condition}\n)`);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return mask;
      const column = chunk.getColumnVector(0);
      for (let i = 0; i < chunk.rowCount; i++) mask[column.getItem(i) as number] = 1; // the query selects numbers
    }
  } catch (cause) {
    throw new UsageError(`--where: ${firstLine(cause)}`, { cause });
  }
}

const longestCondition = 10_000; // characters
const deepestCondition = 100; // brackets inside each other; the parser's stack is limited

/**
 * The condition is put between brackets, so a text with brackets of its own that do not match could end it and begin something else.
 *
 * @throws UsageError when it is not one condition
 */
async function expectOneCondition(connection: DuckDBConnection, condition: string): Promise<void> {
  const plain = condition.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, "''");
  let depth = 0;
  let deepest = 0;
  for (const character of plain) {
    if ("([{".includes(character)) deepest = Math.max(deepest, ++depth);
    else if (")]}".includes(character)) depth--;
  }
  const isChained = new RegExp(`(?:(?:\\bnot\\b|[-+~])\\s*){${deepestCondition},}`, "i").test(plain);
  if (condition.length > longestCondition || deepest > deepestCondition || isChained)
    throw new UsageError(
      `--where: expected a condition of at most ${longestCondition.toLocaleString("en")} characters, with ${deepestCondition} brackets or signs inside each other, got a longer one`,
    );
  const asText = `SELECT (${condition}\n)`;
  let read: { readonly error?: boolean; readonly error_message?: string; readonly statements?: readonly Statement[] };
  try {
    const rows = (await connection.runAndReadAll(`SELECT json_serialize_sql(${sqlText(asText)})`)).getRows();
    read = JSON.parse(String(rows[0]![0])) as typeof read; // as DuckDB writes it
  } catch (cause) {
    throw new UsageError(`--where: ${firstLine(cause)}`, { cause });
  }
  const more = new UsageError(`--where: expected one condition, got more: ${condition.slice(0, 200)}`);
  if (read.error && /Only SELECT/.test(read.error_message ?? "")) throw more;
  if (read.error) throw new UsageError(`--where: ${firstLine(read.error_message)}`);
  const [statement, ...others] = read.statements ?? [];
  const { type, select_list: list = [], from_table: from, where_clause: where, ...rest } = statement?.node ?? {};
  const hasMore = [rest.modifiers, rest.group_expressions, rest.having, rest.qualify, rest.sample].some((part) =>
    Array.isArray(part) ? part.length > 0 : part != null,
  );
  if (
    others.length > 0 ||
    type !== "SELECT_NODE" ||
    list.length !== 1 ||
    from?.type !== "EMPTY" ||
    where != null ||
    hasMore
  )
    throw more;
}

/** The part of DuckDB's serialised statement that is looked at. */
interface Statement {
  readonly node?: {
    readonly type?: string;
    readonly select_list?: readonly unknown[];
    readonly from_table?: { readonly type?: string };
    readonly where_clause?: unknown;
    readonly modifiers?: unknown;
    readonly group_expressions?: unknown;
    readonly having?: unknown;
    readonly qualify?: unknown;
    readonly sample?: unknown;
  };
}

function firstLine(cause: unknown): string {
  const [first = "", second = ""] = (typeof cause === "string" ? cause : messageOf(cause))
    .replace(/^(Failed to extract statements: )?((Binder|Parser|Catalog|Conversion|Invalid Input) Error: )?/, "")
    .split("\n");
  return `${first} ${second}`.trim();
}
