import type { LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { readCompletion, readError } from "./chat-reply.ts";
import { isEntry } from "./entry.ts";
import type { ProviderName } from "./model-name.ts";
import { resultOf, textsOf, toCount } from "./reply-parts.ts";
import { readResponse } from "./responses-reply.ts";

/*
 * Replies as their providers' protocols have them, whatever else is in them.
 */

type Read = (body: unknown) => LanguageModelV4GenerateResult | undefined;

/** A provider's reply, by what its protocol says of texts and tokens; undefined where there is none. */
export function readProviderReply(provider: ProviderName, body: unknown): LanguageModelV4GenerateResult | undefined {
  const found = readers[provider](body);
  return found && { ...found, response: { ...found.response, body } };
}

/** Whether a body has several choices or candidates, of which a client takes the first that stands there. */
export function hasSeveral(body: unknown): boolean {
  const all = isEntry(body) ? (body["choices"] ?? body["candidates"]) : undefined;
  return Array.isArray(all) && all.length > 1;
}

const readers: Readonly<Record<ProviderName, Read>> = {
  openai(body) {
    if (isEntry(body) && Array.isArray(body["choices"]) && readError({ value: body, text: "" }, 200)) return undefined;
    const found = readResponse(body) ?? readCompletion(withNumbers(body));
    return typeof found === "string" ? undefined : found;
  },

  anthropic(body) {
    if (!isEntry(body)) return undefined;
    const { content, stop_reason: raw, usage, model } = body;
    if (typeof content !== "string" && !Array.isArray(content)) return undefined;
    const cacheRead = toCount(usage, "cache_read_input_tokens");
    const cacheWrite = toCount(usage, "cache_creation_input_tokens");
    const input = toCount(usage, "input_tokens");
    return resultOf({
      text: typeof content === "string" ? content : textsOf(content, ({ type }) => type === "text"),
      raw,
      input: input === undefined ? undefined : input + (cacheRead ?? 0) + (cacheWrite ?? 0),
      cacheRead,
      cacheWrite,
      output: toCount(usage, "output_tokens"),
      usage,
      model,
    });
  },

  google(given) {
    const body = Array.isArray(given) && given.length === 1 ? (given[0] as unknown) : given;
    if (!isEntry(body) || !Array.isArray(body["candidates"])) return undefined;
    const candidates = body["candidates"].filter(isEntry);
    const candidate = candidates.find(({ index }) => index == null || Number(index) === 0) ?? candidates[0];
    const content = candidate?.["content"];
    const parts: unknown = isEntry(content) ? content["parts"] : undefined;
    if (!candidate || !(Array.isArray(parts) || typeof candidate["finishReason"] === "string")) return undefined;
    const usage = body["usageMetadata"];
    const [answer, thoughts] = [toCount(usage, "candidatesTokenCount"), toCount(usage, "thoughtsTokenCount")];
    return resultOf({
      text: textsOf(parts, ({ thought }) => thought !== true),
      raw: candidate["finishReason"],
      input: toCount(usage, "promptTokenCount"),
      cacheRead: toCount(usage, "cachedContentTokenCount"),
      output: answer === undefined && thoughts === undefined ? undefined : (answer ?? 0) + (thoughts ?? 0),
      reasoning: thoughts,
      usage,
      model: body["modelVersion"],
    });
  },
};

/** A completion with its counts of tokens as numbers. */
function withNumbers(body: unknown): unknown {
  if (!isEntry(body) || !isEntry(body["usage"])) return body;
  const usage = body["usage"];
  const counts = Object.keys(usage).map((name) => [name, toCount(usage, name) ?? usage[name]] as const);
  return { ...body, usage: Object.fromEntries(counts) };
}
