import type { EmbeddingModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { defaultConnections, type ChatModel, type LanguageClient } from "./chat-model.ts";
import { createSender } from "./send-request.ts";
import { createPost, createTextClient } from "./text-client.ts";

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

/** A text in, its vector out: base64 of 32-bit floats, the lowest byte first. */
function asLanguageClient(model: EmbeddingModelV4): LanguageClient {
  return createTextClient(async (text, signal) => {
    const { embeddings, usage, response, warnings } = await model.doEmbed({
      values: [text],
      ...(signal && { abortSignal: signal }),
    });
    return {
      text: toBase64(Float32Array.from(embeddings[0] ?? [])),
      inputTokens: usage?.tokens,
      headers: response?.headers ?? {},
      warnings,
    };
  });
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
  const post = createPost(createSender(connections, { environment }), given, { model, encoding_format: "float" });
  return Promise.resolve({
    specificationVersion: "v4",
    provider: "openai-compatible",
    modelId: model,
    maxEmbeddingsPerCall: 1,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal }) {
      const body = { model, input: values, encoding_format: "float" };
      const { value, headers, fail } = await post(`${baseURL}/embeddings`, body, abortSignal);
      const found = readVectors(value, values.length);
      if (typeof found === "string") throw fail(found);
      return { ...found, response: { headers }, warnings: [] };
    },
  });
}

/** A list of numbers; or one alone in a list, as llama.cpp has it; or 32-bit floats in base64, though others were asked for. */
function readVector(given: unknown): number[] | undefined {
  const one: unknown = Array.isArray(given) && given.length === 1 && Array.isArray(given[0]) ? given[0] : given;
  if (typeof one === "string") {
    const vector = /^[a-z\d+/]+={0,2}$/i.test(one) ? fromBase64(one) : undefined;
    return vector && [...vector];
  }
  const isVector = Array.isArray(one) && one.length > 0 && one.every((part) => typeof part === "number");
  return isVector ? one : undefined;
}

function shortly(given: unknown): string {
  return (JSON.stringify(given) ?? "nothing").slice(0, 60);
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
    const given = (one as { embedding?: unknown } | null)?.embedding;
    const vector = readVector(given);
    if (!vector) return `a vector in it that is none (embedding: ${shortly(given)})`;
    embeddings.push(vector);
  }
  const counts = [usage?.prompt_tokens, usage?.total_tokens].filter(
    (tokens) => typeof tokens === "number" && tokens > 0,
  );
  const tokens = Math.max(...(counts as number[])); // by the filter
  return { embeddings, ...(Number.isFinite(tokens) && { usage: { tokens } }) };
}
