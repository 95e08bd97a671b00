import { hash } from "node:crypto";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible, type MetadataExtractor } from "@ai-sdk/openai-compatible";
import type {
  Experimental_BatchV4 as BatchV4,
  JSONValue,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { isProviderName, modelForms, type ProviderName } from "./model-name.ts";
import { createBatchTransport, type BatchTransport } from "./batches/transport.ts";
import { createPooledFetch, type Fetch } from "./pooled-fetch.ts";
import { findPrice, reducedPrice, type Price } from "./price.ts";
import type { ReasoningEffort } from "./request.ts";

/** A model that can be called, and what is known about it. */
export interface ChatModel {
  /** The user's name for it: `openai:gpt-5-mini`, `http://127.0.0.1:8000/v1#qwen3`. */
  readonly name: string;
  /** Name in call keys: `name`, plus the address if it is not the provider's own. */
  readonly identity: string;
  readonly language: LanguageModelV4;
  /** Undefined when unknown. */
  readonly price: Price | undefined;
  /** Whether it reasons before it answers, which uses output tokens. */
  readonly thinksFirst: boolean;
  /**
   * Client options for a reasoning effort, such that reasoning and answer together stay within the limit. Undefined when the
   * client's own setting does that.
   */
  readonly reason?: (
    effort: ReasoningEffort,
    maxOutputTokens: number,
  ) => Partial<LanguageModelV4CallOptions> | undefined;
  /** Client options that return log probabilities of the `top` most likely tokens; undefined if unsupported. */
  readonly tellLogprobs?: (top: number) => SharedV4ProviderOptions;
  /** The provider's batch API, if it has one. */
  readonly batches?: ModelBatches | undefined;
  /** Why it cannot be called, in a line, such as a missing key. Undefined when it can. */
  readonly problem?: string | undefined;
  /** Removes API keys from a text before it is shown or stored. */
  redact(text: string): string;
}

/** A provider's batch API: many calls are submitted together, answered within a day, and cost less. */
export interface ModelBatches {
  readonly api: BatchV4;
  /** The provider's name of the model. */
  readonly modelId: string;
  /** Most calls and bytes that the provider accepts in one batch. */
  readonly mostCalls: number;
  readonly mostBytes: number;
  /** The price of calls in a batch; undefined when unknown. */
  readonly price: Price | undefined;
  /** Sent with every call. */
  readonly options?: SharedV4ProviderOptions;
  /** The wrapper around its HTTP requests; absent when a caller's own client sends them. */
  readonly transport?: BatchTransport;
  /** Hash of the API key that they are sent with. */
  readonly account?: string;
}

export interface OpenModelOptions {
  /** Most connections at once. */
  readonly connections?: number | undefined;
  /** Used instead of the price list. */
  readonly price?: Price | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
}

const defaultConnections = 64;

interface Provider {
  /** Environment variables that may hold the key, the usual one first. */
  readonly keys: readonly string[];
  readonly addressVariable: string;
  create(
    model: string,
    settings: { apiKey: string; baseURL?: string; fetch: Fetch },
    batchFetch: Fetch,
  ): { readonly language: LanguageModelV4; readonly batches: BatchV4 };
  /** The provider's limits for one batch. */
  readonly batchLimits: { readonly mostCalls: number; readonly mostBytes: number };
  readonly batchOptions?: SharedV4ProviderOptions;
  readonly tellLogprobs?: (top: number) => SharedV4ProviderOptions;
  thinksFirst(model: string): boolean;
  reason?(
    model: string,
    effort: ReasoningEffort,
    maxOutputTokens: number,
  ): Partial<LanguageModelV4CallOptions> | undefined;
}

const providers: Readonly<Record<ProviderName, Provider>> = {
  openai: {
    keys: ["OPENAI_API_KEY"],
    addressVariable: "OPENAI_BASE_URL",
    // chat completions: the provider stores nothing, and every server with its protocol has them
    create: (model, settings, batchFetch) => ({
      language: createOpenAI(settings).chat(model),
      batches: createOpenAI({ ...settings, fetch: batchFetch }).experimental_batch(),
    }),
    batchLimits: { mostCalls: 50_000, mostBytes: 200e6 },
    batchOptions: { openai: { store: false } }, // batches use the Responses API, which stores replies by default
    tellLogprobs: openAiLogprobs,
    thinksFirst: (model) => /^(o\d|gpt-[5-9])/.test(model) && !model.includes("chat"),
  },
  anthropic: {
    keys: ["ANTHROPIC_API_KEY"],
    addressVariable: "ANTHROPIC_BASE_URL",
    create: (model, settings, batchFetch) => ({
      language: createAnthropic(settings)(model),
      batches: createAnthropic({ ...settings, fetch: batchFetch }).experimental_batch(),
    }),
    batchLimits: { mostCalls: 100_000, mostBytes: 256e6 },
    thinksFirst: (model) => /^claude-(fable|mythos|(opus|sonnet|haiku)-[5-9])/.test(model), // earlier ones only when asked
    // Models up to 4.5 have a thinking budget, which the AI SDK adds to the output limit; it is subtracted first.
    reason: (model, effort, maxOutputTokens) => {
      if (effort === "none" || /^claude-(fable|mythos|(opus|sonnet|haiku)-(4-[6-9]|[5-9]))/.test(model))
        return undefined;
      const budgetTokens = Math.max(leastThinking, Math.floor(maxOutputTokens * thinkingShare[effort]));
      return {
        maxOutputTokens: Math.max(1, maxOutputTokens - budgetTokens),
        providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens } } },
      };
    },
  },
  google: {
    keys: ["GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"],
    addressVariable: "GOOGLE_GENERATIVE_AI_BASE_URL",
    create: (model, settings, batchFetch) => ({
      language: createGoogle(settings)(model),
      batches: createGoogle({ ...settings, fetch: batchFetch }).experimental_batch(),
    }),
    batchLimits: { mostCalls: 100_000, mostBytes: 2e9 },
    thinksFirst: (model) => /^gemini-(2\.5|[3-9])/.test(model),
    // Gemini 2.5 has a thinking budget, which the AI SDK would derive from the model's limit instead of ours.
    reason: (model, effort, maxOutputTokens) => {
      if (effort === "none" || !model.startsWith("gemini-2.5")) return undefined;
      const thinkingBudget = Math.floor(maxOutputTokens * thinkingShare[effort]);
      return { providerOptions: { google: { thinkingConfig: { thinkingBudget } } } };
    },
  },
};

/** Batch price as a share of the list price, the same at all three providers. */
const batchShare = 0.5;
const leastThinking = 1024; // tokens; Anthropic's minimum
/** Share of the output limit for thinking. */
const thinkingShare: Readonly<Record<Exclude<ReasoningEffort, "none">, number>> = {
  minimal: 0.25,
  low: 0.4,
  medium: 0.6,
  high: 0.8,
  xhigh: 0.9,
};

const compatibleKey = "ALPAGASUS_API_KEY";

/** Opens a model by name; nothing is sent yet. @throws UsageError when the name has no known form */
export async function openModel(name: string, options: OpenModelOptions = {}): Promise<ChatModel> {
  return /^https?:/.test(name) ? openCompatibleModel(name, options) : openProviderModel(name, options);
}

export interface ModelOfOptions {
  readonly price?: Price | undefined;
  /** Texts, such as API keys, that are removed from errors before they are shown or stored. */
  readonly secrets?: readonly string[];
  /** The provider's batch API: `{ api: openai.experimental_batch(), … }`. */
  readonly batches?: Omit<ModelBatches, "modelId">;
}

/** Wraps any AI SDK model for the engine. Its provider and id name it in the store. */
export function modelOf(language: LanguageModelV4, { price, secrets = [], batches }: ModelOfOptions = {}): ChatModel {
  const name = `${language.provider}:${language.modelId}`;
  const redact = (text: string) => secrets.reduce((clean, secret) => redactor(secret)(clean), text);
  return {
    name,
    identity: name,
    language,
    price,
    thinksFirst: false,
    ...(language.provider.startsWith("openai.") && { tellLogprobs: openAiLogprobs }),
    ...(batches && { batches: { ...batches, modelId: language.modelId } }),
    redact,
  };
}

function openAiLogprobs(top: number): SharedV4ProviderOptions {
  return { openai: { logprobs: top } };
}

async function openProviderModel(name: string, options: OpenModelOptions): Promise<ChatModel> {
  const [, providerName = "", model = ""] = /^([a-z]+):(.*)$/s.exec(name) ?? [];
  if (!isProviderName(providerName) || !/^\S+$/.test(model)) throw unknownForm(name);
  const provider = providers[providerName];
  const environment = options.environment ?? process.env;
  const apiKey = provider.keys.map((variable) => environment[variable]?.trim()).find(Boolean);
  const baseURL = environment[provider.addressVariable]?.trim().replace(/\/+$/, "") || undefined;
  if (baseURL !== undefined) parseAddress(baseURL, `${provider.addressVariable}: `);
  const fetch = createPooledFetch(options.connections ?? defaultConnections);
  const transport = createBatchTransport(fetch, providerName);
  const { language, batches } = provider.create(
    model,
    { apiKey: apiKey ?? "none", fetch, ...(baseURL !== undefined && { baseURL }) },
    transport.fetch,
  );
  const listPrice = options.price === undefined ? await findPrice(providerName, model) : undefined;
  return {
    name,
    identity: baseURL === undefined ? name : `${name}@${baseURL}`,
    language,
    price: options.price ?? listPrice,
    thinksFirst: provider.thinksFirst(model),
    ...(provider.tellLogprobs && !provider.thinksFirst(model) && { tellLogprobs: provider.tellLogprobs }),
    batches: {
      api: batches,
      modelId: model,
      transport,
      account: hash("sha256", `batches of ${apiKey ?? ""}`).slice(0, 16),
      ...provider.batchLimits,
      price: options.price ?? (listPrice && reducedPrice(listPrice, batchShare, "halved in batches")),
      ...(provider.batchOptions && { options: provider.batchOptions }),
    },
    ...(provider.reason && {
      reason: (effort: ReasoningEffort, limit: number) => provider.reason!(model, effort, limit),
    }),
    ...describeKey(name, apiKey, provider.keys),
    redact: redactor(apiKey),
  };
}

async function openCompatibleModel(name: string, options: OpenModelOptions): Promise<ChatModel> {
  const [, address = "", model = ""] = /^([^#]+)(?:#(.*))?$/s.exec(name) ?? [];
  if (!model)
    throw new UsageError(`${withoutPassword(name)}: expected a model after #, as in http://127.0.0.1:8000/v1#qwen3`);
  const url = parseAddress(address, "");
  const apiKey = (options.environment ?? process.env)[compatibleKey]?.trim() || undefined;
  const baseURL = url.href.replace(/\/+$/, "");
  const language = createOpenAICompatible({
    name: "compatible",
    baseURL,
    supportsStructuredOutputs: true, // vLLM, Ollama, llama.cpp and LM Studio all take a JSON schema
    metadataExtractor: logprobsExtractor,
    fetch: createPooledFetch(options.connections ?? defaultConnections),
    ...(apiKey !== undefined && { apiKey }),
  }).chatModel(model);
  const identity = `${baseURL}#${model}`;
  return {
    name: identity,
    identity,
    language,
    price: options.price,
    thinksFirst: false,
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

/** The `problem` of a missing or malformed API key, if any. */
function describeKey(name: string, key: string | undefined, variables: readonly string[]): { problem?: string } {
  const variable = variables.join(" or ");
  if (key === undefined)
    return { problem: `${name}: expected a key in ${variable}, got none; set it in the environment or in a file .env` };
  if (!/^[\x21-\x7e]+$/.test(key))
    return { problem: `${name}: expected the key in ${variable} to be plain characters without spaces, got others` };
  return {};
}

function parseAddress(text: string, before: string): URL {
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

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^@/]*@/, "//");
}

function redactor(key: string | undefined): (text: string) => string {
  return (text) => (key === undefined || key.length < 4 ? text : text.replaceAll(key, "[key]"));
}

function unknownForm(name: string): UsageError {
  return new UsageError(`expected a model as ${modelForms}, got ${JSON.stringify(withoutPassword(name))}`);
}
