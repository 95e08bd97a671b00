import type { DuckDBValue } from "@duckdb/node-api";
import { UsageError } from "../errors.ts";
import type { RowQuery } from "./contract.ts";
import { readSearch } from "./search-terms.ts";

/** Columns of the index that a query can use. */
export interface RowColumns {
  /** For each arm, the column with its reason to keep a row or not. */
  readonly fates: ReadonlyMap<string, string>;
  /** Number of reference judges. */
  readonly references: number;
}

/** The SQL condition of a query; its values are bound parameters. @throws UsageError if the arm is unknown */
export function whereSql(
  query: RowQuery,
  { fates }: RowColumns,
): { readonly sql: string; readonly values: DuckDBValue[] } {
  const values: DuckDBValue[] = [];
  const value = (of: DuckDBValue) => `$${values.push(of)}`;
  const conditions: string[] = [];
  const { search = "", state, atLeast, below, category, shortest, longest, arm, isKept, reason } = query;
  const found = readSearch(search);
  if ("row" in found) conditions.push(`index = ${value(found.row)}`);
  else for (const term of found.terms) conditions.push(`contains(search, ${value(term)})`);
  if (state === "unscored") conditions.push("state <> 'scored'");
  else if (state !== undefined) conditions.push(`state = ${value(state)}`);
  if (atLeast !== undefined) conditions.push(`score >= ${value(atLeast)}`);
  if (below !== undefined) conditions.push(`score < ${value(below)}`);
  if (category !== undefined) conditions.push(`category = ${value(category)}`);
  if (shortest !== undefined) conditions.push(`output_length >= ${value(shortest)}`);
  if (longest !== undefined) conditions.push(`output_length <= ${value(longest)}`);
  if (arm !== undefined) {
    const column = fates.get(arm);
    if (column === undefined)
      throw new UsageError(
        `expected an arm of these ratings (${[...fates.keys()].join(", ") || "there are none"}), got ${JSON.stringify(arm)}`,
      );
    if (reason !== undefined) conditions.push(`${column} = ${value(reason)}`);
    else conditions.push(isKept === false ? `${column} <> 'kept'` : `${column} = 'kept'`);
  }
  return { sql: conditions.join(" AND ") || "true", values };
}

/** The SQL order of a query. Rows without the value to sort by come last; ties keep the dataset's order. */
export function orderSql(
  { sort = "index", reference = 0, isDescending = false }: RowQuery,
  { references }: RowColumns,
): string {
  const direction = isDescending ? "DESC" : "ASC";
  if (sort === "index") return `index ${direction}`;
  if (sort === "disagreement" && reference >= references) return "index"; // no such reference
  const column = { score: "score", length: "output_length", disagreement: `disagreement_${reference}` }[sort];
  return `${column} ${direction} NULLS LAST, index`;
}
