import type { Experimental_BatchV4ItemResult as ItemResult } from "@ai-sdk/provider";
import { messageOf } from "../../errors.ts";
import { readReply } from "../ask-model.ts";
import type { StoredCall } from "../stored-call.ts";
import { withoutReply, withReply } from "../endings.ts";
import { readFailure } from "../failure.ts";
import type { Price } from "../price.ts";
import { redactReply, type Redact } from "../secrets.ts";
import { replyCost } from "../request-cost.ts";
import { asCallError } from "./batch-failure.ts";
import type { BatchCall } from "./batch-book.ts";
import { rowFates } from "./policy.ts";

export type Outcome = Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts">;

/** What a row of a batch's results means for its call. */
export type RowOutcome =
  | { readonly kind: "outcome"; readonly of: (call: BatchCall) => Outcome; readonly warnings: readonly string[] }
  /** Billed, but without a readable reply: stored as failed, with its reserve as perhaps paid. */
  | { readonly kind: "unreadable"; readonly detail: string }
  /** No outcome: the call is submitted again. */
  | { readonly kind: "again"; readonly detail: string }
  | { readonly kind: "cancelled" }
  /** The request or the account is wrong, so that no row gets a reply. */
  | { readonly kind: "stop"; readonly detail: string; readonly isUsage: boolean };

/**
 * Reads one row.
 *
 * @param hasReplied whether the model has ever replied; if so, what looks like a wrong request concerns only this row
 */
export function readRow(
  item: ItemResult & { type: "text" },
  {
    price,
    hasReplied,
    redact,
  }: { readonly price: Price | undefined; readonly hasReplied: boolean; readonly redact: Redact },
): RowOutcome {
  if (item.status === "succeeded") {
    try {
      const reply = redactReply(readReply(item.result), redact);
      return {
        kind: "outcome",
        warnings: reply.warnings,
        of: (call) => withReply(reply, replyCost(price, reply.usage, call.reserved), 0),
      };
    } catch (error) {
      return { kind: "unreadable", detail: `its reply cannot be read: ${redact(messageOf(error))}` };
    }
  }
  if (item.status === "expired") return { kind: "again", detail: "its batch expired" };
  if (item.status === "cancelled") return { kind: "cancelled" };
  const error = item.error ?? { message: "it failed without a reason" };
  const known = rowFates[error.code ?? ""] ?? rowFates[error.type ?? ""];
  const said = redact(error.message);
  if (known === "unreadable" || said.startsWith("its result cannot be read"))
    return { kind: "unreadable", detail: said };
  if (known === "cancelled") return { kind: "cancelled" };
  if (known === "again") return { kind: "again", detail: "its batch expired" };
  if (known === "refused")
    return { kind: "outcome", warnings: [], of: () => withoutReply("refused", `filtered by the provider (${said})`) };
  const failure = readFailure(asCallError(error), Date.now(), redact);
  const detail = redact(failure.detail);
  if (failure.kind === "state") return { kind: "outcome", warnings: [], of: () => withoutReply(failure.state, detail) };
  if (failure.kind === "retry") return { kind: "again", detail };
  const isRowPossible = failure.kind === "doubtful" || (failure.isRowPossible ?? false);
  if (isRowPossible && hasReplied) return { kind: "outcome", warnings: [], of: () => withoutReply("failed", detail) };
  return {
    kind: "stop",
    detail: failure.kind === "doubtful" ? `the request is not accepted (${detail})` : detail,
    isUsage: failure.kind === "stop" && failure.isUsage,
  };
}
