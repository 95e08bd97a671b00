import { firstSet } from "./environment.ts";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { UsageError } from "../errors.ts";
import { type ChatModel, type OpenModelOptions, defaultConnections } from "./chat-model.ts";
import type { PeerName } from "./model-name.ts";
import { type Fetch, createPooledFetch } from "./pooled-fetch.ts";
import { checkAddress } from "./open-compatible.ts";
import { noteOtherAddress } from "./open-hosted.ts";
import { findPrice } from "./price.ts";
import { proxyPasswords } from "./proxies.ts";
import { redactorOf } from "./secrets.ts";

/*
 * Clouds whose requests are signed. Their clients of the AI SDK are packages of their own, which are installed only by those who use
 * them.
 */

interface PeerProvider {
  readonly package: string;
  /** The package's function that creates the client. */
  readonly creates: string;
  /** The provider in the price list. */
  readonly prices: string;
  /** Variables without which it cannot be used, each with its other names. */
  readonly needs: readonly (readonly string[])[];
  /** Variables that hold secrets. */
  readonly keys: readonly string[];
  settings(environment: NodeJS.ProcessEnv): Record<string, string | undefined>;
  readonly addressVariable: string;
  thinksFirst(model: string): boolean;
}

const thinkingClaude = /claude-(fable|mythos|(opus|sonnet|haiku)-[5-9])/;

const providers: Readonly<Record<PeerName, PeerProvider>> = {
  bedrock: {
    package: "@ai-sdk/amazon-bedrock",
    creates: "createAmazonBedrock",
    prices: "aws",
    needs: [["AWS_REGION", "AWS_DEFAULT_REGION"]],
    keys: ["AWS_BEARER_TOKEN_BEDROCK", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
    settings: (environment) => ({
      region: firstSet(environment, ["AWS_REGION", "AWS_DEFAULT_REGION"]) ?? "none",
      accessKeyId: environment["AWS_ACCESS_KEY_ID"]?.trim(),
      secretAccessKey: environment["AWS_SECRET_ACCESS_KEY"]?.trim(),
      sessionToken: environment["AWS_SESSION_TOKEN"]?.trim(),
      apiKey: environment["AWS_BEARER_TOKEN_BEDROCK"]?.trim(),
    }),
    addressVariable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    thinksFirst: (model) => thinkingClaude.test(model),
  },
  vertex: {
    package: "@ai-sdk/google-vertex",
    creates: "createVertex",
    prices: "google-vertex",
    needs: [["GOOGLE_VERTEX_PROJECT"], ["GOOGLE_VERTEX_LOCATION"]],
    keys: ["GOOGLE_VERTEX_API_KEY"],
    settings: (environment) => ({
      project: environment["GOOGLE_VERTEX_PROJECT"]?.trim() || "none",
      location: environment["GOOGLE_VERTEX_LOCATION"]?.trim() || "none",
    }),
    addressVariable: "GOOGLE_VERTEX_BASE_URL",
    thinksFirst: (model) => /^gemini-(2\.5|[3-9])/.test(model),
  },
};

type CreateClient = (
  settings: Record<string, unknown> & { readonly fetch: Fetch },
) => (model: string) => LanguageModelV4;

/** @throws UsageError when the provider's package is not installed */
export async function openPeerModel(
  name: string,
  providerName: PeerName,
  model: string,
  options: OpenModelOptions,
): Promise<ChatModel> {
  const provider = providers[providerName];
  const environment = options.environment ?? process.env;
  const missing = provider.needs.find((names) => firstSet(environment, names) === undefined);
  const create = await loadClient(name, provider);
  const settings = Object.fromEntries(
    Object.entries(provider.settings(environment)).filter(([, value]) => value !== undefined && value !== ""),
  );
  const fetch = createPooledFetch(options.connections ?? defaultConnections, { environment });
  const given = environment[provider.addressVariable]?.trim();
  const baseURL = given ? checkAddress(given, `${provider.addressVariable}: `) : undefined;
  const secrets = provider.keys.map((variable) => environment[variable]?.trim());
  return {
    name,
    identity: baseURL === undefined ? name : `${name}@${baseURL}`,
    language: create({ ...settings, ...(baseURL !== undefined && { baseURL }), fetch })(model),
    ...(baseURL !== undefined && { notes: () => [noteOtherAddress(baseURL, provider.addressVariable)] }),
    price: options.price ?? (await findPrice(provider.prices, model)),
    thinksFirst: provider.thinksFirst(model),
    ...(missing && {
      problem: `${name}: expected ${missing.join(" or ")} in the environment, got none; set it, and the cloud's credentials`,
    }),
    redact: redactorOf([...secrets, ...proxyPasswords(environment)]),
  };
}

async function loadClient(name: string, { package: packageName, creates }: PeerProvider): Promise<CreateClient> {
  try {
    const module = (await import(packageName)) as Record<string, CreateClient>; // its types are not here where it is not installed
    return module[creates]!;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new UsageError(
      `${name}: expected the package ${packageName}, which is not installed; install it beside alpagasus: npm install ${packageName}`,
      { cause },
    );
  }
}
