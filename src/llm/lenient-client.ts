import { APICallError, type JSONObject, type LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { tryParse } from "../files/try-parse.ts";
import { endingOf, readCompletion } from "./chat-reply.ts";
import type { LanguageClient } from "./chat-model.ts";
import { type Entry, isEntry } from "./entry.ts";
import { commentary } from "./openai-responses.ts";
import type { ProviderName } from "./model-name.ts";

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
        return await client.doGenerate(options);
      } catch (error) {
        if (!APICallError.isInstance(error) || error.statusCode !== 200) throw error;
        const body = tryParse(error.responseBody ?? "");
        const found = readers[provider](body);
        if (!found) throw error;
        return { ...found, response: { ...found.response, headers: error.responseHeaders ?? {}, body } };
      }
    },
  };
}

const readers: Readonly<Record<ProviderName, Read>> = {
  openai(body) {
    if (isEntry(body) && Array.isArray(body["output"])) return readResponse(body, body["output"]);
    const found = readCompletion(withNumbers(body));
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
    const candidate = body["candidates"].find(isEntry);
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

/** A reply of OpenAI's Responses API. Its status is read with all others'. */
function readResponse(body: Entry, output: readonly unknown[]): LanguageModelV4GenerateResult {
  const { usage, model, incomplete_details: incomplete } = body;
  const items = output.filter(isEntry);
  const said = items.filter(({ type, content }) => type === "message" && content !== undefined);
  const content = said.flatMap((item): Entry[] => {
    const parts = Array.isArray(item["content"]) ? item["content"] : [{ type: "output_text", text: item["content"] }];
    return parts.filter(isEntry).map((part) => ({ ...part, phase: item["phase"] }));
  });
  const refusals = content.flatMap(({ refusal }) => (typeof refusal === "string" ? [refusal] : []));
  const callsTool = items.some(({ type }) => typeof type === "string" && /^(custom_tool|function)_call$/.test(type));
  const details = (name: string) => (isEntry(usage) ? usage[name] : undefined);
  return resultOf({
    text: textsOf(content, ({ type, phase }) => type === "output_text" && phase !== commentary) + refusals.join(""),
    raw:
      (isEntry(incomplete) ? incomplete["reason"] : undefined) ??
      (refusals.length > 0 ? "refusal" : callsTool ? "tool_calls" : "stop"),
    input: toCount(usage, "input_tokens"),
    cacheRead: toCount(details("input_tokens_details"), "cached_tokens"),
    output: toCount(usage, "output_tokens"),
    reasoning: toCount(details("output_tokens_details"), "reasoning_tokens"),
    usage,
    model,
  });
}

function resultOf({
  text,
  raw,
  input,
  cacheRead,
  cacheWrite,
  output,
  reasoning,
  usage,
  model,
}: {
  readonly text: string;
  readonly raw: unknown;
  readonly input: number | undefined;
  readonly cacheRead?: number | undefined;
  readonly cacheWrite?: number | undefined;
  readonly output: number | undefined;
  readonly reasoning?: number | undefined;
  /** As it came. */
  readonly usage: unknown;
  readonly model: unknown;
}): LanguageModelV4GenerateResult {
  return {
    content: [{ type: "text", text }],
    finishReason: { unified: endingOf(raw, false), raw: typeof raw === "string" ? raw : undefined },
    usage: {
      inputTokens: { total: input, noCache: undefined, cacheRead, cacheWrite },
      outputTokens: { total: output, text: undefined, reasoning },
      ...(isEntry(usage) && { raw: usage as JSONObject }),
    },
    warnings: [],
    ...(typeof model === "string" && { response: { modelId: model } }),
  };
}

function textsOf(parts: unknown, isSaid: (part: Entry) => boolean): string {
  return (Array.isArray(parts) ? parts.filter(isEntry) : [])
    .flatMap((part) => (isSaid(part) && typeof part["text"] === "string" ? [part["text"]] : []))
    .join("");
}

/** A count of tokens, also as a text of digits. */
function toCount(usage: unknown, name: string): number | undefined {
  const value = isEntry(usage) ? usage[name] : undefined;
  if (typeof value === "string" && /^\d{1,9}$/.test(value)) return Number(value);
  return typeof value === "number" ? value : undefined;
}

/** A completion with its counts of tokens as numbers. */
function withNumbers(body: unknown): unknown {
  if (!isEntry(body) || !isEntry(body["usage"])) return body;
  const usage = body["usage"];
  const counts = Object.keys(usage).map((name) => [name, toCount(usage, name) ?? usage[name]] as const);
  return { ...body, usage: Object.fromEntries(counts) };
}
