import { APICallError, type EmbeddingModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { version } from "../version.ts";
import { defaultConnections, type ChatModel, type LanguageClient } from "./chat-model.ts";
import { readBody, readError } from "./chat-reply.ts";
import { createSender } from "./send-request.ts";

/*
 * Models that make vectors of texts, as the engine calls any model: one text a request, and the reply is the vector. So a vector is paid
 * once, kept in the call store, and counted in the budget.
 */

/**
 * A model as one that makes vectors.
 *
 * @throws UsageError when its provider has no such models
 */
export async function toEmbeddingModel(model: ChatModel): Promise<ChatModel> {
  const { embedding, name, identity, batches: _, tellLogprobs: __, reason: ___, ...rest } = model;
  if (!embedding)
    throw new UsageError(
      `${name}: expected a model that makes vectors, by openai:, google:, mistral: or another server with /v1/embeddings (http://HOST/v1#MODEL); this provider has none`,
    );
  return {
    ...rest,
    name,
    identity: `vectors of ${identity}`,
    language: asLanguageClient(await embedding.open()),
    price: await embedding.findPrice(),
    thinksFirst: false,
  };
}

/** The last message's text in, its vector out: base64 of 32-bit floats, the lowest byte first. */
function asLanguageClient(model: EmbeddingModelV4): LanguageClient {
  return {
    async doGenerate({ prompt, abortSignal }) {
      const last = prompt.at(-1)?.content;
      const text =
        typeof last === "string" ? last : (last ?? []).map((part) => ("text" in part ? part.text : "")).join("");
      const signal = abortSignal ? { abortSignal } : {};
      const { embeddings, usage, response, warnings } = await model.doEmbed({ values: [text], ...signal });
      return {
        content: [{ type: "text", text: toBase64(Float32Array.from(embeddings[0] ?? [])) }],
        finishReason: { unified: "stop", raw: undefined },
        usage: {
          inputTokens: { total: usage?.tokens, noCache: usage?.tokens, cacheRead: undefined, cacheWrite: undefined },
          outputTokens: { total: usage && 0, text: undefined, reasoning: undefined },
        },
        warnings,
        response: { headers: response?.headers ?? {} },
      };
    },
  };
}

/** A vector as text, 32-bit floats in little-endian order. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

/** The vector in a text of {@link toBase64}; undefined where it holds none, or a value that is not finite. */
export function fromBase64(text: string): Float32Array | undefined {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined;
  const vector = new Float32Array(Uint8Array.from(bytes).buffer); // a copy, so that it begins at a whole number
  return vector.every(Number.isFinite) ? vector : undefined;
}

/** OpenAI's own models. */
export async function openAiEmbedding(
  model: string,
  settings: { readonly apiKey: string; readonly baseURL?: string },
): Promise<EmbeddingModelV4> {
  const { createOpenAI } = await import("@ai-sdk/openai");
  return createOpenAI(settings).embedding(model);
}

/** A server with OpenAI's `/v1/embeddings`: vLLM, llama.cpp, Ollama, text-embeddings-inference, LiteLLM and others. */
export function openCompatibleEmbedding({
  baseURL,
  model,
  headers: given,
  connections = defaultConnections,
  environment,
}: {
  readonly baseURL: string;
  readonly model: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections?: number | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
}): Promise<EmbeddingModelV4> {
  const url = `${baseURL}/embeddings`;
  const send = createSender(connections, { environment });
  const headers = { "content-type": "application/json", "user-agent": `alpagasus/${version}`, ...given };
  return Promise.resolve({
    specificationVersion: "v4",
    provider: "openai-compatible",
    modelId: model,
    maxEmbeddingsPerCall: 1,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal }) {
      const body = { model, input: values, encoding_format: "float" };
      const reply = await send(url, { method: "POST", headers, body: JSON.stringify(body), signal: abortSignal });
      const read = readBody(reply);
      const fail = (statusCode: number, message: string) =>
        new APICallError({
          message,
          url,
          requestBodyValues: { model, encoding_format: "float" },
          statusCode,
          responseHeaders: reply.headers,
          responseBody: read.text.slice(0, 4000),
          isRetryable: false, // the engine decides that
        });
      const error = readError(read, reply.status);
      if (error) throw fail(error.status, error.message);
      const found = readVectors(read.value, values.length);
      if (typeof found === "string") throw fail(reply.status, found);
      return { ...found, response: { headers: reply.headers }, warnings: [] };
    },
  });
}

/** The vectors of a reply; a sentence where they are none. */
function readVectors(value: unknown, count: number): { embeddings: number[][]; usage?: { tokens: number } } | string {
  if (typeof value !== "object" || value === null) return "not JSON";
  const { data, usage } = value as {
    data?: unknown;
    usage?: { prompt_tokens?: unknown; total_tokens?: unknown } | null;
  };
  if (!Array.isArray(data) || data.length !== count) return "no vectors in it (data)";
  const embeddings: number[][] = [];
  for (const one of data as unknown[]) {
    const vector = (one as { embedding?: unknown } | null)?.embedding;
    if (!Array.isArray(vector) || vector.length === 0 || !vector.every((part) => typeof part === "number"))
      return "a vector in it that is none (embedding)";
    embeddings.push(vector);
  }
  const tokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return { embeddings, ...(typeof tokens === "number" && Number.isFinite(tokens) && { usage: { tokens } }) };
}
