import type { JSONObject, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { endingOf, reasonOf } from "./chat-reply.ts";
import { type Entry, isEntry } from "./entry.ts";
import { joinTexts } from "./join-texts.ts";

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
