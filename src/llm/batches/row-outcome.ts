import type { Experimental_BatchV4ItemResult as ItemResult, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { messageOf } from "../../errors.ts";
import { readReply } from "../ask-model.ts";
import { readError, readStatedError } from "../chat-reply.ts";
import { isEntry } from "../entry.ts";
import type { StoredCall } from "../stored-call.ts";
import { withoutReply, withReply } from "../endings.ts";
import { readFailure, tellsOfReply } from "../failure.ts";
import { hasSeveral } from "../provider-reply.ts";
import type { Price } from "../price.ts";
import { redactReply, type Redact } from "../secrets.ts";
import { replyCost } from "../request-cost.ts";
import { readResponse } from "../responses-reply.ts";
import { asCallError } from "./batch-failure.ts";
import type { BatchCall } from "./batch-book.ts";
import { rowFates, shownOfLine } from "./policy.ts";
import type { RawReply } from "./transport.ts";

export type Outcome = Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts">;

/** What a row of a batch's results means for its call. */
export type RowOutcome =
  | { readonly kind: "outcome"; readonly of: (call: BatchCall) => Outcome; readonly warnings: readonly string[] }
  /** Billed, but without a readable reply: stored with its reserve as perhaps paid. */
  | { readonly kind: "unreadable"; readonly state?: "refused"; readonly detail: string }
  /** No outcome: the call is submitted again. */
  | { readonly kind: "again"; readonly detail: string; readonly mayBePaid?: boolean }
  | { readonly kind: "cancelled" }
  /** The request or the account is wrong, so that no row gets a reply. */
  | { readonly kind: "stop"; readonly detail: string; readonly isUsage: boolean };

/** What is known of a row's model and its reply. */
export interface RowContext {
  readonly price: Price | undefined;
  /** Whether the model has ever replied; if so, what looks like a wrong request concerns only this row. */
  readonly hasReplied: boolean;
  readonly redact: Redact;
  /** The row's reply as it came, where it has one. */
  readonly raw: RawReply | undefined;
}

/** Reads one row. What the provider's client refuses, or reads otherwise than a direct reply, is read from the reply as it came. */
export function readRow(item: ItemResult & { type: "text" }, context: RowContext): RowOutcome {
  const { hasReplied, redact, raw } = context;
  const stated = raw && (readStatedError(raw.body, "") ?? readChoiceError(raw.body));
  if (item.status === "succeeded" && stated)
    return { kind: "unreadable", detail: redact(`its reply is an error (${stated.message})`) };
  if (item.status === "succeeded") {
    try {
      const { result } = item;
      if (hasSeveral(raw?.body) && raw?.result) return replied({ ...raw.result, usage: result.usage }, context);
      const own = readResponse(raw?.body);
      return replied(own ? { ...result, content: own.content, finishReason: own.finishReason } : result, context);
    } catch (error) {
      return { kind: "unreadable", detail: `its reply cannot be read: ${redact(messageOf(error))}` };
    }
  }
  if (item.status === "expired") return { kind: "again", detail: "its batch expired" };
  if (item.status === "cancelled") return { kind: "cancelled" };
  if (raw?.result) {
    try {
      return replied(raw.result, context);
    } catch {
      // what its client says of it is told below
    }
  }
  const error = item.error ?? { message: "it failed without a reason" };
  const known = rowFates[error.code ?? ""] ?? rowFates[error.type ?? ""];
  const said = redact(error.message);
  if (known === "unreadable" || said.startsWith("its result cannot be read"))
    return { kind: "unreadable", detail: raw ? `${said} ${quote(raw.body, redact)}` : said };
  if (known === "cancelled") return { kind: "cancelled" };
  if (known === "again") return { kind: "again", detail: "its batch expired" };
  const mayBePaid = raw !== undefined && tellsOfReply(raw.body);
  if (known === "refused") return ended("refused", `filtered by the provider (${said})`, mayBePaid);
  const failure = readFailure(asCallError(error), Date.now(), redact);
  const detail = redact(failure.detail);
  if (failure.kind === "state") return ended(failure.state, detail, mayBePaid);
  if (failure.kind === "retry") return { kind: "again", detail, mayBePaid };
  const isRowPossible = failure.kind === "doubtful" || (failure.isRowPossible ?? false);
  if (isRowPossible && (hasReplied || mayBePaid)) return ended("failed", detail, mayBePaid);
  return {
    kind: "stop",
    detail: failure.kind === "doubtful" ? `the request is not accepted (${detail})` : detail,
    isUsage: failure.kind === "stop" && failure.isUsage,
  };
}

/** @throws Error when the provider broke the reply off */
function replied(result: LanguageModelV4GenerateResult, { price, redact, raw }: RowContext): RowOutcome {
  const whole = { ...result, response: { ...result.response, ...(raw && { body: raw.body }) } };
  const reply = redactReply(readReply(whole), redact);
  return {
    kind: "outcome",
    warnings: reply.warnings,
    of: (call) => withReply(reply, replyCost(price, reply.usage, call.reserved), 0),
  };
}

/** The error in the choice that was asked for. */
function readChoiceError(body: unknown): { readonly message: string } | undefined {
  const hasChoices = isEntry(body) && Array.isArray(body["choices"]);
  return hasChoices ? readError({ value: body, text: "" }, 200) : undefined;
}

function ended(state: "failed" | "refused", detail: string, mayBePaid: boolean): RowOutcome {
  if (mayBePaid) return { kind: "unreadable", ...(state === "refused" && { state }), detail };
  return { kind: "outcome", warnings: [], of: () => withoutReply(state, detail) };
}

function quote(body: unknown, redact: Redact): string {
  const text = redact(typeof body === "string" ? body : (JSON.stringify(body) ?? ""));
  return text.length > shownOfLine ? `${text.slice(0, shownOfLine)}…` : text;
}
