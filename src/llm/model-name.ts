/*
 * The names of models. Separate from the code that opens them, so that checking a name loads no provider's client.
 */

const providerNames = ["openai", "anthropic", "google"] as const;
export type ProviderName = (typeof providerNames)[number];

export const modelForms = "openai:MODEL, anthropic:MODEL, google:MODEL or http://HOST/v1#MODEL";

export function isProviderName(name: string): name is ProviderName {
  return (providerNames as readonly string[]).includes(name);
}

/** Whether a name has the form of a model's. */
export function isModelName(name: string): boolean {
  const [, kind = ""] = /^([a-z]+):/.exec(name) ?? [];
  return isProviderName(kind) || /^https?:\/\//.test(name);
}
