import type { PairDetail, PairLine, PairPage, PairQuery } from "./contract.ts";
import { readSearch } from "./search-terms.ts";

/** A pair, and the text of it that is searched. */
export interface SearchablePair {
  readonly line: PairLine;
  readonly search: string;
}

/** The pairs that match a query, in its order. The viewer and reports both use it. */
export function selectPairs(pairs: readonly SearchablePair[], query: PairQuery): PairPage {
  const { sort = "disagreement", offset = 0, limit = 50 } = query;
  const found = pairs.filter((pair) => isWanted(pair, query));
  const ordered = sort === "set" ? found : found.toSorted((a, b) => keys[sort](b.line) - keys[sort](a.line));
  return {
    total: found.length,
    pairs: ordered.slice(offset, offset + limit).map(({ line }) => line),
  };
}

const keys = {
  disagreement: disagreement,
  length: ({ lengths }: PairLine) => (lengths ? Math.abs(lengths[0] - lengths[1]) : -1),
};

/** How doubtful a pair is: 3 if a verdict is unread, 2 if its orders contradict each other, 1 if they differ. */
function disagreement(pair: PairLine): number {
  if (isUnread(pair)) return 3;
  if (isFlipped(pair)) return 2;
  return differs(pair) ? 1 : 0;
}

/** The text of a pair that is searched, in lower case: set, id, prompt and both answers. */
export function searchTextOf({ set, id, instructionText, inputText, answers }: PairDetail): string {
  const texts = [instructionText, inputText, ...(answers ?? [])].map((text) => text?.text ?? "");
  return [set, id, ...texts].join("\n").toLowerCase();
}

function isWanted(
  { line: pair, search: text }: SearchablePair,
  { comparison, search, set, category, outcome, orders }: PairQuery,
): boolean {
  if (comparison !== undefined && pair.comparison !== comparison) return false;
  if (set !== undefined && pair.set !== set) return false;
  if (category !== undefined && pair.category !== category) return false;
  if (outcome !== undefined && pair.outcome !== outcome) return false;
  if (orders === "flipped" && !isFlipped(pair)) return false;
  if (orders === "differ" && !differs(pair)) return false;
  if (orders === "unread" && !isUnread(pair)) return false;
  const found = readSearch(search ?? "");
  return "row" in found ? pair.id === String(found.row) : found.terms.every((term) => text.includes(term));
}

export function isUnread({ orders }: PairLine): boolean {
  return orders.some(({ said }) => said !== "A" && said !== "B" && said !== "draw");
}

/** Whether one order says A and the other B. */
export function isFlipped({ orders }: PairLine): boolean {
  return ["A", "B"].every((side) => orders.some(({ said }) => said === side));
}

export function differs({ orders }: PairLine): boolean {
  return new Set(orders.map(({ said }) => said)).size > 1;
}
