import { type MetadataExtractor, createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { JSONValue, LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { type ChatModel, type OpenModelOptions, defaultConnections } from "./chat-model.ts";
import { describeKey, redactor, withoutPassword } from "./secrets.ts";
import { createPooledFetch } from "./pooled-fetch.ts";
import { adaptToServer } from "./compatible-server.ts";

/** Servers of one's own queue calls instead of refusing them: a reply may be long in coming. */
const queueTimeoutMs = 900_000;

const compatibleKey = "ALPAGASUS_API_KEY";

export async function openCompatibleModel(name: string, options: OpenModelOptions): Promise<ChatModel> {
  const [, address = "", model = ""] = /^([^#]+)(?:#(.*))?$/s.exec(name) ?? [];
  if (!model)
    throw new UsageError(`${withoutPassword(name)}: expected a model after #, as in http://127.0.0.1:8000/v1#qwen3`);
  const url = parseAddress(address, "");
  const apiKey = (options.environment ?? process.env)[compatibleKey]?.trim() || undefined;
  const baseURL = url.href.replace(/\/+$/, "");
  const server = adaptToServer(createPooledFetch(options.connections ?? defaultConnections));
  const language = createOpenAICompatible({
    name: "compatible",
    baseURL,
    supportsStructuredOutputs: true, // vLLM, Ollama, llama.cpp and LM Studio all take a JSON schema
    metadataExtractor: logprobsExtractor,
    fetch: server.fetch,
    ...(apiKey !== undefined && { apiKey }),
  }).chatModel(model);
  const identity = `${baseURL}#${model}`;
  return {
    name: identity,
    identity,
    language,
    price: options.price,
    thinksFirst: false,
    timeoutMs: queueTimeoutMs,
    notes: server.notes,
    tellLogprobs: (top) => ({ compatible: { logprobs: true, top_logprobs: top } }),
    ...(apiKey !== undefined && describeKey(identity, apiKey, [compatibleKey])),
    redact: redactor(apiKey),
  };
}

/** Keeps the log probabilities, which the SDK's client for OpenAI-compatible servers drops. */
const logprobsExtractor: MetadataExtractor = {
  extractMetadata: async ({ parsedBody }) => {
    const content = (parsedBody as { choices?: readonly { logprobs?: { content?: JSONValue } | null }[] } | null)
      ?.choices?.[0]?.logprobs?.content;
    return content == null ? undefined : { compatible: { logprobs: content } };
  },
  createStreamExtractor: () => ({ processChunk: () => {}, buildMetadata: () => undefined }), // nothing is streamed
};

/** A model on a server of this machine with OpenAI's protocol: without a key or proxy. */
export function openServedModel(url: string, model: string, connections: number): LanguageModelV4 {
  const fetch = createPooledFetch(connections, { isHere: true });
  return createOpenAICompatible({ name: "served", baseURL: url, fetch }).chatModel(model);
}

/**
 * Checks a server's address and removes trailing slashes. @param before starts error messages, such as `--endpoint: `
 *
 * @throws UsageError when it is not an address, or contains a #, a name, a password or a query
 */
export function checkAddress(text: string, before: string): string {
  return parseAddress(text, before).href.replace(/\/+$/, "");
}

export function parseAddress(text: string, before: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError(
      `${before}expected an address such as http://127.0.0.1:8000/v1, got ${JSON.stringify(withoutPassword(text))}`,
    );
  if (url.hash)
    throw new UsageError(
      `${before}${url.origin}${url.pathname}: expected an address without #, got ${url.hash}; name the model with --model`,
    );
  if (url.username || url.password || url.search)
    throw new UsageError(
      `${before}${url.origin}${url.pathname}: expected an address without a name, password or question mark; put a key into ${compatibleKey}`,
    );
  return url;
}
