import type { DuckDBConnection } from "@duckdb/node-api";
import type { Dataset } from "../dataset/dataset.ts";
import type { Example } from "../dataset/example.ts";
import { rowIndex, sqlName, sqlText } from "../dataset/duckdb.ts";
import { messageOf, UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { type GuardOptions, runGuarded } from "./guarded-query.ts";
import type { RowsTableOptions } from "./rows-table.ts";
import { uses } from "./sql-names.ts";
import { expectColumns, expectOneExpression, expectStable, firstLine } from "./sql-expression.ts";

/** What `--by` makes of each row: a value, or NaN and the name of what it lacks. */
export interface RowOrder {
  /** By row position. */
  readonly values: Float64Array;
  /** Why a row without a value has none: `no quality`. */
  lackOf(row: number): string;
}

/** `--by`: an SQL expression over the table of rows, whose value takes the place of the score. */
export interface RowOrdering extends AsyncDisposable {
  /** Adds the facts about the next row. Call it once per row, in order. */
  learn(example: Example, rating: Rating): Promise<void> | void;
  /** In place of `learn`, where the expression reads ratings and named scores alone. */
  readonly learnRating?: ((index: number, rating: Rating) => void) | undefined;
  /** @throws UsageError for an invalid expression, DataError for unreadable data */
  evaluate(rowCount: number): Promise<RowOrder>;
}

/**
 * Functions over the whole dataset, for expressions. Rows without a number are left out: they have none, and do not count.
 *
 * - `zscore(x)`: standard deviations over the mean (of the whole dataset, so divided by n)
 * - `percentile(x)`: 100 times the share of rows whose value is at most this one's
 * - `rank(x)`: from 1 for the lowest; rows that tie have the mean of their ranks
 */
const macros = [
  // a number in text is that number, as without a function, and a time its seconds; by way of text, which every type has
  `alpagasus_value(x) AS CASE WHEN typeof(x) = 'BOOLEAN' THEN (x::VARCHAR = 'true')::INTEGER::DOUBLE WHEN typeof(x) = 'DATE' OR typeof(x) LIKE 'TIMESTAMP%' THEN epoch(x::VARCHAR::TIMESTAMP)::DOUBLE WHEN try_cast(trim(x::VARCHAR, '"') AS DOUBLE) IS NULL AND try_cast(x::VARCHAR AS TIMESTAMP) IS NOT NULL THEN epoch(x::VARCHAR::TIMESTAMP)::DOUBLE ELSE trim(x::VARCHAR, '"')::DOUBLE END`,
  "alpagasus_number(x) AS CASE WHEN isfinite(alpagasus_value(x)) THEN alpagasus_value(x) END",
  "zscore(x) AS (alpagasus_number(x) - avg(alpagasus_number(x)) OVER ()) / nullif(stddev_pop(alpagasus_number(x)) OVER (), 0)",
  "percentile(x) AS CASE WHEN alpagasus_number(x) IS NOT NULL THEN 100 * cume_dist() OVER (PARTITION BY alpagasus_number(x) IS NULL ORDER BY alpagasus_number(x)) END",
  "rank(x) AS CASE WHEN alpagasus_number(x) IS NOT NULL THEN rank() OVER (PARTITION BY alpagasus_number(x) IS NULL ORDER BY alpagasus_number(x)) + (count(*) OVER (PARTITION BY alpagasus_number(x)) - 1) / 2.0 END",
];

/** @param expression SQL with a number as its value: `zscore(quality) + zscore(ifd)` */
export async function openRowOrdering(
  dataset: Dataset,
  expression: string,
  options: Omit<RowsTableOptions, "option"> & Pick<GuardOptions, "signal"> = {},
): Promise<RowOrdering> {
  const { openRowsTable } = await import("./rows-table.ts"); // with DuckDB
  const table = await openRowsTable(dataset, { ...options, option: "--by" });
  return {
    learn: (example, rating) => table.learn(example, rating),
    ...((await table.isOfRatings(expression)) && { learnRating: table.learnRating }),
    async evaluate(rowCount) {
      const connection = await table.make(rowCount, expression);
      return evaluateOrder(connection, expression, rowCount, { ...options, option: "--by" });
    },
    [Symbol.asyncDispose]: () => table[Symbol.asyncDispose](),
  };
}

/** The values of an expression over the table of rows. @throws UsageError when it is not valid */
export async function evaluateOrder(
  connection: DuckDBConnection,
  expression: string,
  rowCount: number,
  { option, scores = [], scoreNames, signal }: RowsTableOptions & Pick<GuardOptions, "signal">,
): Promise<RowOrder> {
  await expectOneExpression(connection, expression, option);
  await expectStable(connection, expression, option);
  await expectColumns(connection, expression, option, scoreNames);
  for (const macro of macros) await connection.run(`CREATE OR REPLACE TEMP MACRO ${macro}`);
  const needed = ["score", ...scores.map(({ name }) => name)].filter((name) => uses(expression, name));
  return evaluateExpression(connection, expression, rowCount, needed, { option, signal });
}

async function evaluateExpression(
  connection: DuckDBConnection,
  expression: string,
  rowCount: number,
  needed: readonly string[],
  { option, signal }: Pick<GuardOptions, "option" | "signal">,
): Promise<RowOrder> {
  const values = new Float64Array(rowCount).fill(NaN);
  let count = 0;
  const lacks = new Uint32Array(rowCount); // positions in `kinds`
  const kinds = [`${option} has no number for it`];
  try {
    const shown = needed.map((name) => (uses(expression, `rating_${name}`) ? `rating_${name}` : name));
    const missing = shown.map(
      (name, i) => `CASE WHEN ${sqlName(name)} IS NULL THEN ${sqlText(`no ${needed[i]!}`)} END`,
    );
    const query = `SELECT ${rowIndex}::DOUBLE, (${expression}\n)::DOUBLE, concat_ws(', ', ${missing.join(", ") || "NULL"}) FROM rows`;
    const result = await runGuarded(connection, query, { option, sql: expression, signal });
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) break;
      if ((count += chunk.rowCount) > rowCount)
        throw new Error("expected one value a row, got several (unnest and the like)");
      const [rows, found, without] = [chunk.getColumnVector(0), chunk.getColumnVector(1), chunk.getColumnVector(2)];
      for (let i = 0; i < chunk.rowCount; i++) {
        const row = rows.getItem(i) as number; // the query selects numbers
        const value = found.getItem(i) as number | null;
        if (value !== null && Number.isFinite(value)) values[row] = value;
        const lack = without.getItem(i) as string;
        if (lack !== "") {
          let kind = kinds.indexOf(lack);
          if (kind < 0) kind = kinds.push(lack) - 1;
          lacks[row] = kind;
        }
      }
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(
      /alpagasus: row index.*GROUP BY/s.test(messageOf(cause))
        ? `${option}: expected a value for each row, got one for all rows: ${expression.slice(0, 200)}; write sum(x) over () for a total beside each row`
        : `${option}: ${firstLine(cause)}`,
      { cause },
    );
  }
  return { values, lackOf: (row) => kinds[lacks[row]!]! };
}
