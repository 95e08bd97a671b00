import type { DuckDBConnection } from "@duckdb/node-api";
import type { Dataset } from "../dataset/dataset.ts";
import { rowIndex } from "../dataset/duckdb.ts";
import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import type { Rating } from "../run/rating.ts";
import { runGuarded } from "./guarded-query.ts";
import type { RowsTableOptions } from "./rows-table.ts";
import { expectColumns, expectOneExpression, expectStable, firstLine } from "./sql-expression.ts";

/** `--where`: an SQL condition over the table of rows. */
export interface WhereFilter extends AsyncDisposable {
  /** Adds the facts about the next row. Call it once per row, in order. */
  learn(example: Example, rating: Rating): Promise<void> | void;
  /** 1 for each row where the condition is true. @throws UsageError for an invalid condition, DataError for unreadable data */
  evaluate(rowCount: number): Promise<Uint8Array>;
}

type WhereOptions = Omit<RowsTableOptions, "option"> & { readonly signal?: AbortSignal | undefined };

/** @param condition SQL, as after WHERE: `score >= 3 and output_length > 200` */
export async function openWhereFilter(
  dataset: Dataset,
  condition: string,
  options: WhereOptions = {},
): Promise<WhereFilter> {
  const { openRowsTable } = await import("./rows-table.ts"); // with DuckDB
  const table = await openRowsTable(dataset, { ...options, option: "--where" });
  return {
    learn: (example, rating) => table.learn(example, rating),
    evaluate: async (rowCount) =>
      evaluateCondition(await table.make(rowCount, condition), condition, rowCount, { ...options, option: "--where" }),
    [Symbol.asyncDispose]: () => table[Symbol.asyncDispose](),
  };
}

/** 1 for each row for which a condition over the table of rows is true. @throws UsageError when it is not valid */
export async function evaluateCondition(
  connection: DuckDBConnection,
  condition: string,
  rowCount: number,
  { option, scoreNames, signal }: WhereOptions & Pick<RowsTableOptions, "option">,
): Promise<Uint8Array> {
  const mask = new Uint8Array(rowCount);
  await expectOneExpression(connection, condition, option);
  await expectColumns(connection, condition, option, scoreNames);
  await expectStable(connection, condition, option);
  try {
    const query = `SELECT ${rowIndex}::DOUBLE FROM rows WHERE (${condition}\n)`;
    const result = await runGuarded(connection, query, { option, sql: condition, signal });
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return mask;
      const column = chunk.getColumnVector(0);
      for (let i = 0; i < chunk.rowCount; i++) mask[column.getItem(i) as number] = 1; // the query selects numbers
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof UsageError) throw cause;
    const [, ranked] =
      /Scalar Function with name (zscore|rank|percentile) does not exist/i.exec(firstLine(cause)) ?? [];
    throw new UsageError(
      ranked === undefined
        ? `${option}: ${firstLine(cause)}`
        : `${option}: expected a condition about one row, got ${ranked}, which is about all rows and for --by; choose by --by with --min-score`,
      { cause },
    );
  }
}
