import type { DuckDBConnection } from "@duckdb/node-api";
import { rowIndex, sqlText } from "../dataset/duckdb.ts";
import { messageOf, UsageError } from "../errors.ts";

/*
 * SQL that a user gives: one expression over the columns of one table, and nothing else.
 */

/** @throws UsageError when the SQL uses, without a prefix, a name that both the data and the facts have */
export function expectUnambiguous(sql: string, clashing: readonly string[], option: string): void {
  const plain = sql.replace(/'(?:[^']|'')*'/g, "''"); // string literals name no columns
  const ambiguous = clashing.find((name) => new RegExp(String.raw`(?<![\w.])"?${name}"?(?!\w)`, "i").test(plain));
  if (ambiguous !== undefined)
    throw new UsageError(
      `${option}: ${ambiguous} is a column of the data and of the rating; write ${shownName(`data_${ambiguous}`)} or ${shownName(`rating_${ambiguous}`)}`,
    );
}

function shownName(name: string): string {
  return /^\w+$/.test(name) ? name : `"${name}"`;
}

/**
 * The names of columns in SQL, each as its parts: `a.b` is `["a", "b"]`. Undefined where they cannot be told, as in SQL that is wrong, or
 * has names of its own.
 */
export async function listColumns(connection: DuckDBConnection, sql: string): Promise<string[][] | undefined> {
  return hasOwnNames(sql) ? undefined : (await listNodes(connection, sql))?.flatMap(columnOf);
}

/**
 * The columns of the table of rows that SQL may read, in small letters. Undefined where that cannot be told: a star, a position, the row as
 * a whole and a query inside may mean any.
 */
export async function listReadColumns(
  connection: DuckDBConnection,
  all: readonly string[],
): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>();
  for (const sql of all) {
    const nodes = hasOwnNames(sql) ? undefined : await listNodes(connection, sql);
    if (!nodes || nodes.some((node) => isAnyColumn(node))) return undefined;
    for (const [first = ""] of nodes.flatMap(columnOf)) names.add(first.toLowerCase());
  }
  return names.has("rows") ? undefined : names;
}

function isAnyColumn({ class: kind }: SqlNode): boolean {
  return kind === "STAR" || kind === "POSITIONAL_REFERENCE";
}

function hasOwnNames(sql: string): boolean {
  return /->|\b(?:lambda|select|for)\b/i.test(sql);
}

/** An object of DuckDB's JSON of a statement. */
type SqlNode = Readonly<Record<string, unknown>>;

function columnOf({ class: kind, column_names: parts }: SqlNode): string[][] {
  return kind === "COLUMN_REF" && Array.isArray(parts) ? [parts.map(String)] : [];
}

/** All parts of an expression; undefined where it is no SQL. */
async function listNodes(connection: DuckDBConnection, sql: string): Promise<SqlNode[] | undefined> {
  const rows = (await connection.runAndReadAll(`SELECT json_serialize_sql(${sqlText(`SELECT (${sql}\n)`)})`)).getRows();
  const read = parseSql(rows[0]![0]) as SqlNode;
  if (read["error"]) return undefined;
  const nodes: SqlNode[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    nodes.push(node as SqlNode);
    for (const inner of Object.values(node)) walk(inner);
  };
  walk(read);
  return nodes;
}

/** DuckDB's own JSON of a statement. It writes numbers that are too large as words, which are no JSON. */
function parseSql(text: unknown): unknown {
  return JSON.parse(String(text).replace(/(?<="value":)-?(?:Infinity|inf|NaN|nan)\b/g, "null"));
}

const mostNames = 40; // in a message

/** @param scores names of all scores, for the message @throws UsageError when SQL names a column that the table of rows does not have */
export async function expectColumns(
  connection: DuckDBConnection,
  sql: string,
  option: string,
  scores: readonly string[] = [],
): Promise<void> {
  const columns = (await connection.runAndReadAll("SELECT column_name FROM (DESCRIBE rows)")).getRows().flat();
  const known = [...new Set([...scores, ...columns.map(String)])];
  const isKnown = (name: string) => name === "rows" || known.some((own) => own.toLowerCase() === name.toLowerCase());
  const unknown = (await listColumns(connection, sql))?.find(([first = ""]) => !isKnown(first));
  if (!unknown) return;
  const names = known.filter((name) => !rowIndex.includes(name));
  const more = names.length > mostNames ? `, and ${names.length - mostNames} more` : "";
  throw new UsageError(
    `${option}: expected columns of the data, scores or lengths (${names.slice(0, mostNames).map(shownName).join(", ")}${more}), got ${unknown.join(".")}; texts stand in single quotes: 'code'`,
  );
}

/** @throws UsageError when the value of SQL is another one each time, so that nobody could select the same rows again */
export async function expectStable(connection: DuckDBConnection, sql: string, option: string): Promise<void> {
  const nodes = (await listNodes(connection, sql)) ?? [];
  const called = new Set(
    nodes.flatMap(({ class: kind, function_name: name }) =>
      kind === "FUNCTION" && typeof name === "string" ? [name.toLowerCase()] : [],
    ),
  );
  const isSampled = nodes.some(({ sample }) => sample !== undefined && sample !== null);
  const what = isCondition(option) ? "a condition" : "an expression";
  const hidden = [...called].find((name) => name === "query" || name === "query_table"); // what is in their text cannot be seen
  if (hidden !== undefined) throw new UsageError(`${option}: expected ${what} over columns, got ${hidden}()`);
  if (isSampled) throw new UsageError(`${option}: expected ${what} with the same value every time, got a sample`);
  // a word such as current_timestamp is a column where there is one of that name, else DuckDB takes it for a call
  const described = await connection.runAndReadAll("SELECT lower(column_name) FROM (DESCRIBE rows)");
  const columns = new Set(described.getRows().flat());
  const words = ((await listColumns(connection, sql)) ?? []).flatMap(([first = "", ...rest]) =>
    rest.length > 0 || columns.has(first.toLowerCase()) ? [] : [first.toLowerCase()],
  );
  const names = [...called, ...words.filter((word) => bareCalls.test(word)).map((word) => `get_${word}`)].map(sqlText);
  if (names.length === 0) return;
  const volatile = await connection.runAndReadAll(
    `SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT' AND function_name IN (${names.join(", ")})`,
  );
  const [first] = volatile.getRows();
  if (first)
    throw new UsageError(`${option}: expected ${what} with the same value every time, got ${String(first[0])}()`);
}

function isCondition(option: string): boolean {
  return /\bwhere$/.test(option);
}

/** Words that DuckDB takes for calls. */
const bareCalls = /^current_(?:timestamp|date|time)$|^local(?:time|timestamp)$/;

const longestText = 10_000; // characters
const mostSelects = 8; // inside each other: each takes the planner twice as long as the one before
const deepestText = 100; // brackets inside each other; the parser's stack is limited

/**
 * The expression is put between brackets, so a text with brackets of its own that do not match could end it and begin something else.
 *
 * @throws UsageError when it is not one expression
 */
export async function expectOneExpression(connection: DuckDBConnection, sql: string, option: string): Promise<void> {
  const what = isCondition(option) ? "condition" : "expression";
  const plain = sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, "''");
  let depth = 0;
  let deepest = 0;
  for (const character of plain) {
    if ("([{".includes(character)) deepest = Math.max(deepest, ++depth);
    else if (")]}".includes(character)) depth--;
  }
  if ((plain.match(/\bselect\b/gi)?.length ?? 0) > mostSelects)
    throw new UsageError(`${option}: expected at most ${mostSelects} queries in it, got more: ${sql.slice(0, 200)}`);
  const isChained = new RegExp(`(?:(?:\\bnot\\b|[-+~])\\s*){${deepestText},}`, "i").test(plain);
  if (sql.length > longestText || deepest > deepestText || isChained)
    throw new UsageError(
      `${option}: expected ${what === "condition" ? "a" : "an"} ${what} of at most ${longestText.toLocaleString("en")} characters, with ${deepestText} brackets or signs inside each other, got a longer one`,
    );
  const asText = `SELECT (${sql}\n)`;
  let read: { readonly error?: boolean; readonly error_message?: string; readonly statements?: readonly Statement[] };
  try {
    const rows = (await connection.runAndReadAll(`SELECT json_serialize_sql(${sqlText(asText)})`)).getRows();
    read = parseSql(rows[0]![0]) as typeof read;
  } catch (cause) {
    throw new UsageError(`${option}: ${firstLine(cause)}`, { cause });
  }
  const more = new UsageError(`${option}: expected one ${what}, got more: ${sql.slice(0, 200)}`);
  if (read.error && /Only SELECT/.test(read.error_message ?? "")) throw more;
  if (read.error) throw new UsageError(`${option}: ${firstLine(read.error_message)}`);
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

/** The first lines of an error of DuckDB, without its kind. */
export function firstLine(cause: unknown): string {
  const [first = "", second = ""] = (typeof cause === "string" ? cause : messageOf(cause))
    .replace(/^(Failed to extract statements: )?((Binder|Parser|Catalog|Conversion|Invalid Input) Error: )?/, "")
    .split("\n");
  return `${first} ${second}`.trim();
}
