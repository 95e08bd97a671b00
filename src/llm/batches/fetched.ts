import type { Experimental_BatchV4ItemResult as ItemResult } from "@ai-sdk/provider";
import { formatCount } from "../../format.ts";
import { rowFates } from "./policy.ts";

export type Row = ItemResult & { type: "text" };

/** What was read from the results of one batch, besides the stored outcomes. */
export interface Fetched {
  /** By key: why the call is submitted again, and whether its reply may be billed. */
  readonly again: Map<string, { readonly detail: string; readonly mayBePaid?: boolean }>;
  /** Keys of our calls with a billed reply, readable or not, whoever stored it; `rows`: our calls with any result row. */
  readonly replies: Set<string>;
  readonly rows: Set<string>;
  /** Unreadable lines without a call's id. */
  readonly nameless: string[];
  /** Rows that look like a wrong request. Read again last: if any call got a reply, only these rows are at fault. */
  doubtful: Row[];
  isCancelled: boolean;
}

/** Whether a row's reply was billed. @param hasReply whether there is one, readable or not */
export function isBilled({ status, ...row }: Row, hasReply: boolean): boolean {
  return status === "succeeded" || hasReply || ("error" in row && rowFates[row.error?.code ?? ""] === "unreadable");
}

export function describeMissing(nameless: readonly string[]): string {
  if (nameless.length === 0) return "its result did not arrive, though its batch was completed";
  const [first] = nameless;
  return nameless.length === 1
    ? `its result is missing, or is the line without a call's id (${first})`
    : `its result did not arrive, or is one of ${formatCount(nameless.length)} lines that do not tell whose they are (the first: ${first})`;
}
