import type { SharedV4ProviderMetadata } from "@ai-sdk/provider";
import * as z from "zod";
import type { TokenLogprob } from "./reply.ts";

const rounding = 0.01; // of a probability: servers compute in half precision

/** A probability is at most 1, and so is the sum of those of different tokens. */
const tokenSchema = z.object({
  token: z.string(),
  logprob: z
    .number()
    .max(rounding)
    .transform((x) => Math.min(0, x)),
});
const topSchema = z.array(tokenSchema).refine((top) => {
  const different = new Map(top.map(({ token, logprob }) => [token, logprob])); // some list the chosen one again
  return [...different.values()].reduce((sum, logprob) => sum + Math.exp(logprob), 0) <= 1 + 5 * rounding;
});
const entrySchema = tokenSchema
  .extend({ top_logprobs: topSchema.nullish() })
  .refine(({ token, logprob, top_logprobs: top }) => topSchema.safeParse([...(top ?? []), { token, logprob }]).success);

/**
 * A reply's tokens with their log probabilities, from the provider's metadata: in the format of OpenAI's chat completions, or
 * one such list per part for its Responses API. Undefined when there are none, or some that cannot be probabilities.
 *
 * The top alternatives are kept only where a token, or one of them, has a digit or a point: among a reply's hundreds of
 * tokens, these can be part of a score.
 */
export function readLogprobs(metadata: SharedV4ProviderMetadata | undefined): readonly TokenLogprob[] | undefined {
  for (const part of Object.values(metadata ?? {})) {
    const found: unknown = part?.["logprobs"];
    if (!Array.isArray(found) || found.length === 0) continue;
    const entries = z.array(entrySchema).safeParse(found.flat());
    if (entries.success) return entries.data.map(shorten);
  }
  return undefined;
}

function shorten({ token, logprob, top_logprobs: top }: z.infer<typeof entrySchema>, place: number): TokenLogprob {
  const isWanted = place === 0 || /[\d.]/.test(token) || top?.some((other) => /[\d.]/.test(other.token));
  return {
    token,
    logprob,
    ...(isWanted && top && { top: top.map((other) => [other.token, other.logprob] as const) }),
  };
}
