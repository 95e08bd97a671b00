import type { ThresholdTable } from "../../src/page/contract.ts";

/** What a threshold would keep. */
export interface Kept {
  readonly threshold: number;
  readonly rows: number;
  readonly share: number;
  readonly meanPromptLength: number | null;
  readonly meanOutputLength: number | null;
  /** Share of all characters that are in these rows. */
  readonly textShare: number;
  readonly categories: readonly {
    readonly category: string;
    readonly rows: number;
    readonly share: number;
    readonly ofAll: number;
  }[];
}

/** What the threshold `edges[i]` keeps; past the last edge, nothing. */
export function keptAt(table: ThresholdTable, i: number): Kept {
  const sum = (counts: readonly number[]) => {
    let total = 0;
    for (let at = i; at < counts.length; at++) total += counts[at]!;
    return total;
  };
  const { total, edges, categories = [] } = table;
  const rows = sum(table.rows);
  const prompts = sum(table.promptCharacters);
  const outputs = sum(table.outputCharacters);
  return {
    threshold: edges[i] ?? edges.at(-1) ?? 0,
    rows,
    share: total.rows > 0 ? rows / total.rows : 0,
    meanPromptLength: rows > 0 ? prompts / rows : null,
    meanOutputLength: rows > 0 ? outputs / rows : null,
    textShare: (prompts + outputs) / Math.max(1, total.promptCharacters + total.outputCharacters),
    categories: categories.map(({ category, total: ofCategory, rows: counts }) => {
      const kept = sum(counts);
      return { category, rows: kept, share: rows > 0 ? kept / rows : 0, ofAll: ofCategory / Math.max(1, total.rows) };
    }),
  };
}

/** Index of the first edge at or above the threshold; of the last edge if there is none. */
export function edgeOf({ edges }: ThresholdTable, threshold: number): number {
  const found = edges.findIndex((edge) => edge >= threshold - 1e-9);
  return found < 0 ? Math.max(0, edges.length - 1) : found;
}

/** Index of the edge that keeps the number of rows nearest to a share of all. */
export function edgeOfShare(table: ThresholdTable, share: number): number {
  let best = 0;
  let [kept, nearest] = [0, Infinity];
  for (let i = table.edges.length - 1; i >= 0; i--) {
    kept += table.rows[i]!;
    const distance = Math.abs(kept - share * table.total.rows);
    if (kept > 0 && distance < nearest) [best, nearest] = [i, distance];
  }
  return best;
}

/** Index of the last edge that keeps any row. */
export function lastEdge({ rows }: ThresholdTable): number {
  return Math.max(
    0,
    rows.findLastIndex((count) => count > 0),
  );
}
