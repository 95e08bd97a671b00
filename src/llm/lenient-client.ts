import { APICallError, type LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { tryParse } from "../files/try-parse.ts";
import { readCompletion, readError } from "./chat-reply.ts";
import type { LanguageClient } from "./chat-model.ts";
import { isEntry } from "./entry.ts";
import type { ProviderName } from "./model-name.ts";
import { resultOf, textsOf, toCount } from "./reply-parts.ts";
import { readResponse } from "./responses-reply.ts";

/*
 * Replies that an AI SDK client refuses for a part of them that is not as it expects, and that nobody needs: a choice without its number, a kind
 * of block or citation that is new. They are paid, and their text and tokens can be read.
 */

type Read = (body: unknown) => LanguageModelV4GenerateResult | undefined;

/** The client, whose refused replies are read once more by what the provider's protocol says of texts and tokens. */
export function readLeniently(client: LanguageClient, provider: ProviderName): LanguageClient {
  return {
    async doGenerate(options) {
      try {
        const result = await client.doGenerate(options);
        const body = result.response?.body;
        const found = hasSeveral(body) ? readProviderReply(provider, body) : undefined;
        return found ? { ...result, content: found.content, finishReason: found.finishReason } : result;
      } catch (error) {
        if (!APICallError.isInstance(error)) throw error;
        const said: unknown = error.responseBody; // an object where the client gave it a status of its own
        if (error.statusCode !== 200 && !isEntry(said)) throw error;
        const body = typeof said === "string" ? tryParse(said) : said;
        const found = readProviderReply(provider, body);
        if (!found) throw error;
        return { ...found, response: { ...found.response, headers: error.responseHeaders ?? {}, body } };
      }
    },
  };
}

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
    if (!candidate || !isEntry(content) || !Array.isArray(content["parts"])) return undefined;
    const usage = body["usageMetadata"];
    const [answer, thoughts] = [toCount(usage, "candidatesTokenCount"), toCount(usage, "thoughtsTokenCount")];
    return resultOf({
      text: textsOf(content["parts"], ({ thought }) => thought !== true),
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
