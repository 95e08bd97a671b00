import { firstSet } from "./environment.ts";
import { UsageError } from "../errors.ts";
import { type ChatModel, type OpenModelOptions, defaultConnections } from "./chat-model.ts";
import { compatibleOptions } from "./chat-request.ts";
import { createCompatibleClient } from "./compatible-client.ts";
import type { HostedName } from "./model-name.ts";
import { checkAddress } from "./open-compatible.ts";
import { openCompatibleEmbedding } from "./open-embedding.ts";
import { findPrice } from "./price.ts";
import { proxyPasswords } from "./proxies.ts";
import { describeKey, redactorOf } from "./secrets.ts";
import { createSender } from "./send-request.ts";

/*
 * Providers that speak OpenAI's protocol, asked by the client for compatible servers.
 */

interface HostedProvider {
  /** Its API's address; undefined where each customer has an own one. */
  readonly address?: string;
  readonly addressVariable: string;
  /** Added to an address without a path. */
  readonly apiPath: string;
  readonly keys: readonly string[];
  /** The header for the key, where it is not `authorization`. */
  readonly keyHeader?: string;
  readonly hasLogprobs: boolean;
  thinksFirst(model: string): boolean;
}

const providers: Readonly<Record<HostedName, HostedProvider>> = {
  // https://openrouter.ai/docs/api-reference/overview
  openrouter: {
    address: "https://openrouter.ai/api/v1",
    addressVariable: "OPENROUTER_BASE_URL",
    apiPath: "/api/v1",
    keys: ["OPENROUTER_API_KEY"],
    hasLogprobs: true,
    thinksFirst: (model) => /\/(o\d|gpt-[5-9]|deepseek-r|.*(thinking|reason))/.test(model),
  },
  // https://docs.mistral.ai/api
  mistral: {
    address: "https://api.mistral.ai/v1",
    addressVariable: "MISTRAL_BASE_URL",
    apiPath: "/v1",
    keys: ["MISTRAL_API_KEY"],
    hasLogprobs: false,
    thinksFirst: (model) => model.startsWith("magistral"),
  },
  // https://console.groq.com/docs/openai
  groq: {
    address: "https://api.groq.com/openai/v1",
    addressVariable: "GROQ_BASE_URL",
    apiPath: "/openai/v1",
    keys: ["GROQ_API_KEY"],
    hasLogprobs: false,
    thinksFirst: (model) => /gpt-oss|qwen3|deepseek-r1/.test(model),
  },
  // https://api-docs.deepseek.com
  deepseek: {
    address: "https://api.deepseek.com/v1",
    addressVariable: "DEEPSEEK_BASE_URL",
    apiPath: "/v1",
    keys: ["DEEPSEEK_API_KEY"],
    hasLogprobs: true,
    thinksFirst: (model) => model.includes("reasoner"),
  },
  // https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: the v1 API, which needs no version
  azure: {
    addressVariable: "AZURE_OPENAI_ENDPOINT",
    apiPath: "/openai/v1",
    keys: ["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    keyHeader: "api-key",
    hasLogprobs: true,
    thinksFirst: (model) => /^(o\d|gpt-[5-9])/.test(model) && !model.includes("chat"),
  },
};

/** @throws UsageError when an address in the environment is none, or a provider needs one and has none */
export async function openHostedModel(
  name: string,
  providerName: HostedName,
  model: string,
  options: OpenModelOptions,
): Promise<ChatModel> {
  const provider = providers[providerName];
  const environment = options.environment ?? process.env;
  const apiKey = firstSet(environment, provider.keys);
  const given = environment[provider.addressVariable]?.trim();
  const address = given ? withPath(checkAddress(given, `${provider.addressVariable}: `), provider.apiPath) : undefined;
  const baseURL = address ?? provider.address;
  if (baseURL === undefined)
    throw new UsageError(
      `${name}: expected the address of your resource in ${provider.addressVariable}, such as https://NAME.openai.azure.com, got none; set it in the environment`,
    );
  const headers =
    apiKey === undefined
      ? {}
      : { [provider.keyHeader ?? "authorization"]: provider.keyHeader ? apiKey : `Bearer ${apiKey}` };
  const client = createCompatibleClient({
    baseURL,
    model,
    headers,
    send: createSender(options.connections ?? defaultConnections, { environment }),
  });
  const thinksFirst = provider.thinksFirst(model);
  return {
    name,
    identity: address === undefined ? name : `${name}@${address}`,
    language: client,
    price: options.price ?? (await findPrice(providerName, model)),
    embedding: {
      open: () => openCompatibleEmbedding({ baseURL, model, headers, environment, connections: options.connections }),
      findPrice: async () => options.price ?? findPrice(providerName, model, { isEmbedding: true }),
    },
    thinksFirst,
    notes: () => [
      ...(address === undefined || provider.address === undefined
        ? []
        : [noteOtherAddress(address, provider.addressVariable)]),
      ...client.notes(),
    ],
    ...(provider.hasLogprobs &&
      !thinksFirst && {
        tellLogprobs: (top: number) => ({ [compatibleOptions]: { logprobs: true, top_logprobs: top } }),
      }),
    ...describeKey(name, apiKey, provider.keys),
    redact: redactorOf([apiKey, ...proxyPasswords(environment)]),
  };
}

/** The note that calls, and the key with them, go elsewhere. */
export function noteOtherAddress(address: string, variable: string): string {
  return `asked, with its key, at ${address} (${variable}), which is not the provider's own address`;
}

/** An address with the API's path, where it has none. */
export function withPath(address: string, apiPath: string): string {
  return new URL(address).pathname === "/" ? `${address}${apiPath}` : address;
}
