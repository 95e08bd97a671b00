import type { calcPrice } from "@pydantic/genai-prices";
import { UsageError } from "../errors.ts";
import type { Usage } from "./reply.ts";

/** What a model's tokens cost. Money is counted in whole billionths of a US dollar, so that sums are exact. */
export interface Price {
  /** Source of the figures, for summaries. */
  readonly basis: string;
  /** US dollars per million tokens, at the lowest tier. */
  readonly inputUsdPerMillion: number;
  readonly outputUsdPerMillion: number;
  costOf(usage: Usage): number;
  /** The most that so many tokens can cost, however many of them are cached. */
  highestCost(inputTokens: number, outputTokens: number): number;
}

export const nanosPerUsd = 1e9;
const nanosPerMillionth = 1000; // one dollar per million tokens is 1000 billionths per token

/** A price without tiers or cache prices, such as a user gives, in US dollars per million tokens. @throws UsageError below 0 */
export function flatPrice(input: number, output: number, basis = "the price given by hand"): Price {
  if (!(input >= 0 && output >= 0 && input + output < Infinity))
    throw new UsageError(`price: expected US dollars from 0 for a million tokens, got ${input} and ${output}`);
  const cost = (inputTokens: number, outputTokens: number) =>
    Math.ceil(nanosPerMillionth * (input * inputTokens + output * outputTokens) - 1e-6);
  return {
    basis,
    inputUsdPerMillion: input,
    outputUsdPerMillion: output,
    costOf: (usage) => cost(usage.inputTokens, usage.outputTokens),
    highestCost: cost,
  };
}

/** The price times `share`, as for calls in batches. */
export function reducedPrice(price: Price, share: number, basis: string): Price {
  return {
    basis: `${price.basis}, ${basis}`,
    inputUsdPerMillion: price.inputUsdPerMillion * share,
    outputUsdPerMillion: price.outputUsdPerMillion * share,
    costOf: (usage) => Math.ceil(price.costOf(usage) * share),
    highestCost: (inputTokens, outputTokens) => Math.ceil(price.highestCost(inputTokens, outputTokens) * share),
  };
}

/**
 * The list price of a provider's model, or undefined when the price list does not have it.
 *
 * @param options.isEmbedding the model makes vectors, which have no price of their own: only what is read costs
 */
export async function findPrice(
  provider: string,
  model: string,
  { isEmbedding = false }: { readonly isEmbedding?: boolean | undefined } = {},
): Promise<Price | undefined> {
  const { calcPrice } = await import("@pydantic/genai-prices"); // large: loaded only when a price is needed
  const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, model, { providerId: provider });
  if (!found) return undefined;
  const prices = found.model_price;
  const input = tiersOf(prices["input_mtok"]);
  const output = tiersOf(prices["output_mtok"]) ?? (isEmbedding ? [0] : undefined);
  if (!input || !output) return undefined;
  const dearest = Math.max(
    ...["input_mtok", "cache_read_mtok", "cache_write_mtok"].flatMap((name) => tiersOf(prices[name]) ?? [0]),
  );
  return {
    basis: `the list price of ${found.model.id} at ${found.provider.name}`,
    inputUsdPerMillion: input[0]!,
    outputUsdPerMillion: output[0]!,
    costOf: (usage) => listCost(calcPrice, provider, model, usage),
    highestCost: (inputTokens, outputTokens) =>
      Math.ceil(nanosPerMillionth * (dearest * inputTokens + Math.max(...output) * outputTokens)),
  };
}

function listCost(calculate: typeof calcPrice, provider: string, model: string, usage: Usage): number {
  const cost = calculate(
    {
      input_tokens: usage.inputTokens,
      cache_read_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      output_tokens: usage.outputTokens,
    },
    model,
    { providerId: provider },
  );
  return Math.ceil((cost?.total_price ?? 0) * nanosPerUsd - 1e-6);
}

/** All prices of a list entry: one, or one per tier. */
function tiersOf(price: unknown): number[] | undefined {
  if (typeof price === "number") return [price];
  if (typeof price !== "object" || price === null || !("base" in price)) return undefined;
  const { base, tiers } = price as { base: number; tiers?: readonly { price: number }[] }; // the list's own tiered form
  return [base, ...(tiers ?? []).map((tier) => tier.price)];
}
