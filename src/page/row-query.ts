import type { DuckDBValue } from "@duckdb/node-api";
import { UsageError } from "../errors.ts";
import type { RowQuery } from "./contract.ts";
import { readSearch } from "./search-terms.ts";

/** How the index names what a query can ask for. */
export interface RowColumns {
  /** The column with each arm's reason to keep a row or not. */
  readonly fates: ReadonlyMap<string, string>;
  /** How many other judges there are. */
  readonly references: number;
}

/** The condition of a query; every value of it stands outside the SQL. */
export function whereSql(
  query: RowQuery,
  { fates }: RowColumns,
): { readonly sql: string; readonly values: DuckDBValue[] } {
  const values: DuckDBValue[] = [];
  const value = (of: DuckDBValue) => `$${values.push(of)}`;
  const conditions: string[] = [];
  const { search = "", state, atLeast, below, category, shortest, longest, arm, isKept } = query;
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
    conditions.push(isKept === false ? `${column} <> 'kept'` : `${column} = 'kept'`);
  }
  return { sql: conditions.join(" AND ") || "true", values };
}

/** Rows without what they are sorted by come last; rows that tie, in the dataset's order. */
export function orderSql(
  { sort = "index", reference = 0, isDescending = false }: RowQuery,
  { references }: RowColumns,
): string {
  const direction = isDescending ? "DESC" : "ASC";
  if (sort === "index") return `index ${direction}`;
  if (sort === "disagreement" && reference >= references) return "index"; // nobody to disagree with
  const column = { score: "score", length: "output_length", disagreement: `disagreement_${reference}` }[sort];
  return `${column} ${direction} NULLS LAST, index`;
}
