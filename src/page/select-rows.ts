import type { RowDetail, RowLine, RowPage, RowQuery } from "./contract.ts";
import { readSearch } from "./search-terms.ts";

/** A row embedded in a report, and the text of it that is searched. */
export interface CarriedRow {
  readonly detail: RowDetail;
  readonly search: string;
}

/** The embedded rows that match a query, in its order. The viewer queries its database instead. */
export function selectRows(rows: readonly CarriedRow[], query: RowQuery): Omit<RowPage, "searched"> {
  const { sort = "index", reference = 0, isDescending = false, offset = 0, limit = 50 } = query;
  const direction = isDescending ? -1 : 1;
  const found = rows
    .filter((row) => isWanted(row, query))
    .toSorted((a, b) => {
      const [x, y] = [keyOf(a, sort, reference), keyOf(b, sort, reference)];
      if (x === null || y === null) return Number(x === null) - Number(y === null) || a.detail.index - b.detail.index;
      return direction * (x - y) || a.detail.index - b.detail.index;
    });
  return { total: found.length, rows: found.slice(offset, offset + limit).map(({ detail }): RowLine => detail) };
}

function keyOf({ detail }: CarriedRow, sort: NonNullable<RowQuery["sort"]>, reference: number): number | null {
  return {
    index: detail.index,
    score: detail.score,
    length: detail.outputLength,
    disagreement: detail.disagreements[reference] ?? null,
  }[sort];
}

function isWanted({ detail, search: text }: CarriedRow, query: RowQuery): boolean {
  const { search = "", state, atLeast, below, category, shortest, longest, arm, isKept, reason } = query;
  const found = readSearch(search);
  if ("row" in found ? detail.index !== found.row : !found.terms.every((term) => text.includes(term))) return false;
  if (state === "unscored" ? detail.state === "scored" : state !== undefined && detail.state !== state) return false;
  if (atLeast !== undefined && !(detail.score !== null && detail.score >= atLeast)) return false;
  if (below !== undefined && !(detail.score !== null && detail.score < below)) return false;
  if (category !== undefined && detail.category !== category) return false;
  if (shortest !== undefined && detail.outputLength < shortest) return false;
  if (longest !== undefined && detail.outputLength > longest) return false;
  if (arm === undefined) return true;
  const fate = Object.hasOwn(detail.fates, arm) ? detail.fates[arm] : undefined;
  if (reason !== undefined) return fate === reason;
  return fate !== undefined && (fate === "kept") === (isKept ?? true);
}
