import type { JSONObject, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { endingOf, reasonOf } from "./chat-reply.ts";
import { type Entry, isEntry } from "./entry.ts";

/*
 * The parts of a reply in any protocol: texts, counts of tokens, how it ended.
 */

interface ReplyParts {
  readonly text: string;
  /** How it ended, in its provider's word. */
  readonly raw: unknown;
  readonly input: number | undefined;
  readonly cacheRead?: number | undefined;
  readonly cacheWrite?: number | undefined;
  readonly output: number | undefined;
  readonly reasoning?: number | undefined;
  /** As it came. */
  readonly usage: unknown;
  readonly model: unknown;
}

export function resultOf({
  text,
  raw,
  input,
  cacheRead,
  cacheWrite,
  output,
  reasoning,
  usage,
  model,
}: ReplyParts): LanguageModelV4GenerateResult {
  return {
    content: [{ type: "text", text }],
    finishReason: { unified: endingOf(raw, false), raw: reasonOf(raw) },
    usage: {
      inputTokens: { total: input, noCache: undefined, cacheRead, cacheWrite },
      outputTokens: { total: output, text: undefined, reasoning },
      ...(isEntry(usage) && { raw: usage as JSONObject }),
    },
    warnings: [],
    ...(typeof model === "string" && { response: { modelId: model } }),
  };
}

/**
 * Texts as one. Those that stand beside each other are one text in pieces; those with something between them (a reasoning, a call of a tool) are
 * lines of their own, or a number at the end of one would run into the next.
 *
 * @param pieces undefined where something stands that is no text
 */
export function joinTexts(pieces: Iterable<string | undefined>): string {
  let text = "";
  let isParted = false;
  for (const piece of pieces) {
    if (piece === undefined) isParted = true;
    else if (piece !== "") {
      text += isParted && text !== "" ? `\n${piece}` : piece;
      isParted = false;
    }
  }
  return text;
}

/** The texts of those parts that are said. */
export function textsOf(parts: unknown, isSaid: (part: Entry) => boolean): string {
  const entries = Array.isArray(parts) ? parts.filter(isEntry) : [];
  return joinTexts(
    entries.map((part) => (isSaid(part) && typeof part["text"] === "string" ? part["text"] : undefined)),
  );
}

/** A count of tokens, also as a text of digits. */
export function toCount(usage: unknown, name: string): number | undefined {
  const value = isEntry(usage) ? usage[name] : undefined;
  if (typeof value === "string" && /^\d{1,9}$/.test(value)) return Number(value);
  return typeof value === "number" ? value : undefined;
}
