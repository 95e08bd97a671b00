import { firstSet } from "./environment.ts";
import type {
  Experimental_BatchV4 as BatchV4,
  EmbeddingModelV4,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import { hash } from "node:crypto";
import { UsageError } from "../errors.ts";
import { createBatchTransport } from "./batches/transport.ts";
import { type ChatModel, type OpenModelOptions, defaultConnections, openAiLogprobs } from "./chat-model.ts";
import { proxyPasswords } from "./proxies.ts";
import { describeKey, redactorOf } from "./secrets.ts";
import { withoutPassword } from "../without-password.ts";
import {
  type ProviderName,
  isHostedName,
  isPeerName,
  isProviderName,
  modelForms,
  otherProviders,
  readServers,
} from "./model-name.ts";
import { readLeniently } from "./lenient-client.ts";
import { checkAddress, openCompatibleModel } from "./open-compatible.ts";
import { noteOtherAddress, openHostedModel, withPath } from "./open-hosted.ts";
import { openPeerModel } from "./open-peer.ts";
import { type Fetch, createPooledFetch } from "./pooled-fetch.ts";
import { chatOrResponses } from "./openai-responses.ts";
import { openAiEmbedding } from "./open-embedding.ts";
import { findPrice, reducedPrice } from "./price.ts";
import type { ReasoningEffort } from "./request.ts";

interface ProviderSettings {
  readonly apiKey: string;
  readonly baseURL?: string;
  readonly fetch: Fetch;
  /** Of OpenAI: whom calls are booked to. */
  readonly organization?: string;
  readonly project?: string;
}

interface Provider {
  /** Environment variables that may hold the key, the usual one first. */
  readonly keys: readonly string[];
  readonly addressVariable: string;
  /** Path of its API, added to an address without a path: some clients want it in the variable, others do not. */
  readonly apiPath: string;
  /** Settings from the environment. */
  readonly settings?: (environment: NodeJS.ProcessEnv) => Partial<ProviderSettings>;
  create(
    model: string,
    settings: ProviderSettings,
    batchFetch: Fetch,
  ): Promise<{ readonly language: LanguageModelV4; readonly batches: BatchV4 }>;
  /** Opens it as a model that makes vectors; absent where the provider has none. */
  embed?(model: string, settings: ProviderSettings): Promise<EmbeddingModelV4>;
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
    apiPath: "/v1",
    settings: (environment) => {
      const organization = firstSet(environment, ["OPENAI_ORG_ID", "OPENAI_ORGANIZATION"]);
      const project = firstSet(environment, ["OPENAI_PROJECT_ID", "OPENAI_PROJECT"]);
      return { ...(organization && { organization }), ...(project && { project }) };
    },
    // chat completions: the provider stores nothing, and every server with its protocol has them
    async create(model, settings, batchFetch) {
      const { createOpenAI } = await import("@ai-sdk/openai"); // each provider's client is large
      const batches = createOpenAI({ ...settings, fetch: batchFetch }).experimental_batch();
      const client = createOpenAI(settings);
      return { language: chatOrResponses(client.chat(model), client.responses(model)), batches };
    },
    embed: openAiEmbedding,
    batchLimits: { mostCalls: 50_000, mostBytes: 200e6 },
    batchOptions: { openai: { store: false } }, // batches use the Responses API, which stores replies by default
    tellLogprobs: openAiLogprobs,
    thinksFirst: (model) => /^(o\d|gpt-[5-9])/.test(model) && !model.includes("chat"),
  },
  anthropic: {
    keys: ["ANTHROPIC_API_KEY"],
    addressVariable: "ANTHROPIC_BASE_URL",
    apiPath: "/v1",
    async create(model, settings, batchFetch) {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      const batches = createAnthropic({ ...settings, fetch: batchFetch }).experimental_batch();
      return { language: createAnthropic(settings)(model), batches };
    },
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
    apiPath: "/v1beta",
    async create(model, settings, batchFetch) {
      const { createGoogle } = await import("@ai-sdk/google");
      const batches = createGoogle({ ...settings, fetch: batchFetch }).experimental_batch();
      return { language: createGoogle(settings)(model), batches };
    },
    async embed(model, settings) {
      const { createGoogle } = await import("@ai-sdk/google");
      return createGoogle(settings).embedding(model);
    },
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

/** Opens a model by name; nothing is sent yet. @throws UsageError when the name has no known form */
export async function openModel(name: string, options: OpenModelOptions = {}): Promise<ChatModel> {
  if (/^https?:.*#.*,https?:\/\//s.test(name))
    throw new UsageError(
      `${withoutPassword(name)}: expected the model once, after all addresses, as in http://a:8000/v1,http://b:8000/v1#qwen3`,
    );
  const several = readServers(name);
  if (several) {
    const { openServers } = await import("./open-servers.ts");
    return openServers(several, options);
  }
  if (name.startsWith("servers:"))
    throw new UsageError(
      `${name}: expected a file with the address of a server a line and the model's name after #, as in servers:hosts.txt#qwen3`,
    );
  if (/^https?:/.test(name)) return openCompatibleModel(name, options);
  const [, provider = "", model = ""] = /^([a-z]+):(.*)$/s.exec(name) ?? [];
  if (!/^\S+$/.test(model)) throw unknownForm(name);
  if (isHostedName(provider)) return openHostedModel(name, provider, model, options);
  if (isPeerName(provider)) return openPeerModel(name, provider, model, options);
  if (!isProviderName(provider)) throw unknownForm(name);
  return openProviderModel(name, provider, model, options);
}

async function openProviderModel(
  name: string,
  providerName: ProviderName,
  model: string,
  options: OpenModelOptions,
): Promise<ChatModel> {
  const provider = providers[providerName];
  const environment = options.environment ?? process.env;
  const apiKey = firstSet(environment, provider.keys);
  const baseURL = readAddress(provider, environment);
  const fetch = createPooledFetch(options.connections ?? defaultConnections, { environment });
  const transport = createBatchTransport(createPooledFetch(2, { largestBytes: -1, environment }), providerName);
  const settings = {
    ...provider.settings?.(environment),
    apiKey: apiKey ?? "none",
    fetch,
    ...(baseURL !== undefined && { baseURL }),
  };
  const { language, batches } = await provider.create(model, settings, transport.fetch);
  const listPrice = options.price === undefined ? await findPrice(providerName, model) : undefined;
  return {
    name,
    identity: baseURL === undefined ? name : `${name}@${baseURL}`,
    language: readLeniently(language, providerName),
    ...(baseURL !== undefined && { notes: () => [noteOtherAddress(baseURL, provider.addressVariable)] }),
    price: options.price ?? listPrice,
    ...(provider.embed && {
      embedding: {
        open: () => provider.embed!(model, settings),
        findPrice: async () => options.price ?? findPrice(providerName, model, { isEmbedding: true }),
      },
    }),
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
    redact: redactorOf([apiKey, ...proxyPasswords(environment)]),
  };
}

/** The provider's address from the environment, where it is not the provider's own. */
function readAddress({ addressVariable, apiPath }: Provider, environment: NodeJS.ProcessEnv): string | undefined {
  const given = environment[addressVariable]?.trim();
  return given ? withPath(checkAddress(given, `${addressVariable}: `), apiPath) : undefined;
}

function unknownForm(name: string): UsageError {
  return new UsageError(
    `expected a model as ${modelForms} (or by ${otherProviders.join(", ")}), got ${JSON.stringify(withoutPassword(name))}`,
  );
}
