import type { PairDetail, PairLine, PairPage, PairQuery } from "./contract.ts";
import { readSearch } from "./search-terms.ts";

/** A pair, and what of it a search looks through. */
export interface SearchablePair {
  readonly line: PairLine;
  readonly search: string;
}

/** The pairs that a query asks for, in its order. The same in the viewer and in a report. */
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

/** How much is doubtful about a pair: what cannot be read first, then what the orders contradict each other in. */
function disagreement(pair: PairLine): number {
  if (isUnread(pair)) return 3;
  if (isFlipped(pair)) return 2;
  return differs(pair) ? 1 : 0;
}

/** What a search looks through: the prompt, both answers, and how the pair is known. */
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
