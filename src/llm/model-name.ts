/*
 * The names of models. Separate from the code that opens them, so that checking a name loads no provider's client.
 */

const providerNames = ["openai", "anthropic", "google"] as const;
export type ProviderName = (typeof providerNames)[number];

/** Providers with OpenAI's protocol. */
const hostedNames = ["openrouter", "mistral", "groq", "deepseek", "azure"] as const;
export type HostedName = (typeof hostedNames)[number];

/** Clouds whose client is a package that is installed by those who use it. */
const peerNames = ["bedrock", "vertex"] as const;
export type PeerName = (typeof peerNames)[number];

export const modelForms = "openai:MODEL, anthropic:MODEL, google:MODEL or http://HOST/v1#MODEL";

/** The providers that {@link modelForms} leaves out, for messages. */
export const otherProviders: readonly string[] = [...hostedNames, ...peerNames];

export function isHostedName(name: string): name is HostedName {
  return (hostedNames as readonly string[]).includes(name);
}

export function isPeerName(name: string): name is PeerName {
  return (peerNames as readonly string[]).includes(name);
}

export function isProviderName(name: string): name is ProviderName {
  return (providerNames as readonly string[]).includes(name);
}

/** A model on several servers. */
export interface SeveralServers {
  readonly model: string;
  /** Empty where a file lists them. */
  readonly addresses: readonly string[];
  readonly file: string | undefined;
}

/**
 * Several servers of one model, as a name tells them: `http://a:8000/v1,http://b:8000/v1#MODEL`, or `servers:FILE#MODEL`. Undefined for any
 * other name.
 */
export function readServers(name: string): SeveralServers | undefined {
  const [, places = "", model = ""] = /^(servers:[^#]+|https?:[^#]*,[^#]*)#(.+)$/s.exec(name) ?? [];
  if (places === "") return undefined;
  return places.startsWith("servers:")
    ? { model, addresses: [], file: places.slice("servers:".length) }
    : { model, addresses: places.split(","), file: undefined };
}

/** Whether a name has the form of a model's. */
export function isModelName(name: string): boolean {
  if (name.startsWith("servers:")) return true;
  const [, kind = ""] = /^([a-z]+):/.exec(name) ?? [];
  return isProviderName(kind) || isHostedName(kind) || isPeerName(kind) || /^https?:\/\//.test(name);
}
