import { nanosPerUsd, type Price } from "./price.ts";
import type { Usage } from "./reply.ts";
import { promptBytes, type ModelRequest } from "./request.ts";

/*
 * The cost of one request, in billionths of a US dollar: the highest possible cost, which is reserved before sending, and the
 * cost of its reply.
 */

const tokensAround = 64; // providers add some around a prompt
const tokensAroundMessage = 8;

/** The most that one attempt at a request can cost; 0 without a price. No tokenizer makes more tokens than bytes. */
export function highestCost(price: Price | undefined, request: ModelRequest, bytes = promptBytes(request)): number {
  const inputTokens = bytes + tokensAround + tokensAroundMessage * request.messages.length;
  return price?.highestCost(inputTokens, request.sampling.maxOutputTokens) ?? 0;
}

/** The cost of a reply; the reserve when the provider reports no usable token counts. Null without a price. */
export function replyCost(price: Price | undefined, usage: Usage | null | undefined, reserved: number): number | null {
  if (!price) return null;
  if (!usage) return reserved;
  try {
    return price.costOf(usage);
  } catch {
    return reserved;
  }
}

/** Advice when a reply cost more than was reserved for it. */
export const overReserveAdvice = "lower --reasoning, or go on without --budget";

/** The message about a reply that cost more than its reserve; undefined when it did not. */
export function describeOverReserve(cost: number | null, reserved: number): string | undefined {
  if (cost === null || cost <= reserved) return undefined;
  const usd = (nanos: number) => `$${(nanos / nanosPerUsd).toFixed(6)}`;
  return `a call cost more (${usd(cost)}) than its limits allow (${usd(reserved)}), so that a budget cannot be kept`;
}
