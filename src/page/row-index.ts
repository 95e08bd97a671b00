import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBAppender, DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import type { Example } from "../dataset/example.ts";
import { isTokenRunning, processToken, tokenPattern } from "../process-identity.ts";
import type { RatingState } from "../run/rating.ts";
import type { RatingLine } from "../run/ratings-file.ts";
import type { PageText, RowDetail, RowLine, RowPage, RowQuery, ConversationReport } from "./contract.ts";
import { reportConversation } from "./show-turns.ts";
import { beginningLength, beginningOf, beginningSql, searchTextOfRow } from "./search-terms.ts";
import { orderSql, whereSql, type RowColumns } from "./row-query.ts";

/*
 * The rows of a run in a DuckDB database, so that any of them is found at once. The database is in a temporary folder, which
 * is removed when this process exits.
 */

/** A row to add to the index. */
interface RowFacts {
  readonly example: Example;
  readonly rating: RatingLine;
  /** Each reference's score; NaN if it has none. */
  readonly references: readonly number[];
  /** Distance between each reference's rank and the run's own, 0 to 1; NaN if either has no score. */
  readonly disagreements: readonly number[];
  /** Each arm's reason to keep it or not; undefined if unknown. */
  readonly fates: readonly (string | undefined)[];
}

/** A row with the key of the call that rated it. */
export interface IndexedRow extends RowDetail {
  readonly call?: string | undefined;
}

export interface RowIndex extends AsyncDisposable {
  add(row: RowFacts): void;
  /** Makes the rows added so far visible. */
  flush(): void;
  /** @throws UsageError if the query names an unknown arm */
  find(query: RowQuery): Promise<Omit<RowPage, "searched">>;
  get(index: number): Promise<IndexedRow | undefined>;
  /** The same rows as `find`, each in full. */
  findWhole(query: RowQuery): Promise<readonly IndexedRow[]>;
}

const memoryLimit = "1GB"; // beyond this, DuckDB spills to disk
const knownCounts = 1_000; // most queries whose counts are cached
const folderPrefix = "alpagasus-view-";

/** @param references number of reference judges; @param arms names of the arms */
export async function openRowIndex(references: number, arms: readonly string[]): Promise<RowIndex> {
  removeOrphans();
  const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${processToken}.`));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.on("exit", removeFolder);
  const referenceNames = Array.from({ length: references }, (_, i) => `reference_${i}`);
  const disagreementNames = Array.from({ length: references }, (_, i) => `disagreement_${i}`);
  const fateNames = arms.map((_, i) => `fate_${i}`);
  const handles: { closeSync(): void }[] = [];

  /** Closes all handles, the last opened first, and removes the folder. Ignores errors on the way. */
  function close(): void {
    for (const handle of handles.toReversed()) {
      try {
        handle.closeSync();
      } catch {
        // the file may be gone or the disk full; it is no longer needed
      }
    }
    process.off("exit", removeFolder);
    removeFolder();
  }

  async function open(): Promise<{ connection: DuckDBConnection; appender: DuckDBAppender }> {
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const database = await DuckDBInstance.create(join(folder, "rows.duckdb"), { memory_limit: memoryLimit });
    handles.push(database);
    const connection = await database.connect();
    handles.push(connection);
    await connection.run(`CREATE TABLE rows (
      index UBIGINT, id VARCHAR, state VARCHAR, score DOUBLE, detail VARCHAR, call VARCHAR, hash VARCHAR, intrusions VARCHAR,
      instruction VARCHAR, input VARCHAR, output VARCHAR, category VARCHAR, output_length UINTEGER, search VARCHAR, conversation VARCHAR,
      turns_left_out DOUBLE
      ${[...[...referenceNames, ...disagreementNames].map((name) => `, ${name} DOUBLE`), ...fateNames.map((name) => `, ${name} VARCHAR`)].join("")}
    )`);
    const appender = await connection.createAppender("rows");
    handles.push(appender);
    return { connection, appender };
  }

  const { connection, appender } = await open().catch((error: unknown) => {
    close();
    throw error;
  });
  const columns: RowColumns = { fates: new Map(arms.map((arm, i) => [arm, fateNames[i]!])), references };
  let counts = new Map<string, number>(); // replaced at each flush, so that no older count gets in
  const queries = new Set<Promise<unknown>>();
  let isOpen = true;

  /** Queries the database. Closing waits for pending queries. */
  function read(sql: string, values: readonly DuckDBValue[]): Promise<Row[]> {
    if (!isOpen) return Promise.resolve([]);
    const query = readRows(connection, sql, values).finally(() => queries.delete(query));
    queries.add(query);
    return query;
  }

  async function count({ sql, values }: ReturnType<typeof whereSql>): Promise<number> {
    const key = JSON.stringify([sql, values]);
    const known = counts;
    const before = known.get(key);
    if (before !== undefined) return before;
    const [row] = await read(`SELECT count(*) AS n FROM rows WHERE ${sql}`, values);
    const found = Number(row?.["n"] ?? 0);
    if (known.size < knownCounts) known.set(key, found);
    return found;
  }

  return {
    add: (row) => append(appender, row),
    flush() {
      appender.flushSync();
      counts = new Map();
    },
    async find(query) {
      const { limit = 50, offset = 0 } = query;
      const where = whereSql(query, columns);
      const order = orderSql(query, columns);
      const rows = await read(
        `SELECT index, id, state, score, category, output_length, ${beginningSql("instruction")} AS instruction,
          left(output, ${beginningLength}) AS output ${[...referenceNames, ...disagreementNames, ...fateNames].map((name) => `, ${name}`).join("")}
        FROM rows WHERE ${where.sql} ORDER BY ${order} LIMIT ${limit} OFFSET ${offset}`,
        where.values,
      );
      const total = await count(where);
      return { total, rows: rows.map((row) => toLine(row, referenceNames, columns.fates)) };
    },
    async findWhole(query) {
      const { limit = 50, offset = 0 } = query;
      const where = whereSql(query, columns);
      const rows = await read(
        `SELECT * EXCLUDE (search) FROM rows WHERE ${where.sql} ORDER BY ${orderSql(query, columns)} LIMIT ${limit} OFFSET ${offset}`,
        where.values,
      );
      return rows.map((row) => toDetail(row, toLine(row, referenceNames, columns.fates)));
    },
    async get(index) {
      const [row] = await read("SELECT * FROM rows WHERE index = $1", [index]);
      return row && toDetail(row, toLine(row, referenceNames, columns.fates));
    },
    [Symbol.asyncDispose]: async () => {
      if (!isOpen) return;
      isOpen = false;
      await Promise.allSettled(queries);
      close();
    },
  };
}

const tokenStart = new RegExp(`^(${tokenPattern})\\.`);

/** Removes the folders of processes that were killed. */
function removeOrphans(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, token] = (name.startsWith(folderPrefix) && tokenStart.exec(name.slice(folderPrefix.length))) || [];
    if (token === undefined || isTokenRunning(token) !== false) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // it belongs to another user
    }
  }
}

function append(appender: DuckDBAppender, { example, rating, references, disagreements, fates }: RowFacts): void {
  const { index, id, instruction, input, output, category } = example;
  const text = (value: string | undefined) =>
    value === undefined ? appender.appendNull() : appender.appendVarchar(storable(value));
  const number = (value: number) => (Number.isNaN(value) ? appender.appendNull() : appender.appendDouble(value));
  appender.appendUBigInt(BigInt(index));
  text(id);
  text(rating.state);
  number(rating.state === "scored" ? rating.score : NaN);
  text(rating.state === "scored" ? undefined : rating.detail);
  text(rating.call);
  text(rating.hash);
  text(rating.intrusions && JSON.stringify(rating.intrusions));
  text(instruction);
  text(input);
  text(output);
  text(category);
  appender.appendUInteger(output.length);
  text(searchTextOfRow({ instruction, input, output, id }));
  text(example.conversation && JSON.stringify(reportConversation(example.conversation)));
  number(rating.turnsLeftOut ?? NaN);
  references.forEach(number);
  disagreements.forEach(number);
  fates.forEach(text);
  appender.endRow();
}

/** Replaces NUL characters, which end a text in DuckDB, with the symbol U+2400. */
function storable(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\u2400") : text;
}

type Row = Readonly<Record<string, DuckDBValue>>;

async function readRows(connection: DuckDBConnection, sql: string, values: readonly DuckDBValue[]): Promise<Row[]> {
  const result = await connection.runAndReadAll(sql, [...values]);
  return result.getRowObjects();
}

/* The columns have the types that the table was created with: text, number or null. */

function textOf(value: DuckDBValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numberOf(value: DuckDBValue | undefined): number | null {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : null;
}

function toLine(row: Row, references: readonly string[], fates: ReadonlyMap<string, string>): RowLine {
  const [id, category] = [textOf(row["id"]), textOf(row["category"])];
  return {
    index: numberOf(row["index"])!,
    id,
    state: row["state"] as RatingState, // as `append` wrote it
    score: numberOf(row["score"]),
    references: references.map((name) => numberOf(row[name])),
    disagreements: references.map((_, i) => numberOf(row[`disagreement_${i}`])),
    category,
    outputLength: numberOf(row["output_length"])!,
    fates: Object.fromEntries(
      [...fates].flatMap(([arm, column]) => {
        const fate = textOf(row[column]);
        return fate === undefined ? [] : [[arm, fate]];
      }),
    ),
    instruction: beginningOf(textOf(row["instruction"])!),
    output: beginningOf(textOf(row["output"])!),
  };
}

function toDetail(row: Row, line: RowLine): IndexedRow {
  const [detail, call, intrusions] = [textOf(row["detail"]), textOf(row["call"]), textOf(row["intrusions"])];
  const conversation = textOf(row["conversation"]);
  const turnsLeftOut = numberOf(row["turns_left_out"]);
  const whole = (name: string): PageText => ({ text: textOf(row[name])! });
  return {
    ...line,
    hash: textOf(row["hash"])!,
    ...(detail !== undefined && { detail }),
    ...(call !== undefined && { call }),
    ...(intrusions !== undefined && { intrusions: JSON.parse(intrusions) as string[] }), // likewise
    instructionText: whole("instruction"),
    inputText: whole("input"),
    outputText: whole("output"),
    ...(conversation !== undefined && { conversation: JSON.parse(conversation) as ConversationReport }),
    ...(turnsLeftOut !== null && { turnsLeftOut }),
  };
}
