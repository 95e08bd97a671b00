/** Tokens of one call, as the provider counted them. */
export interface Usage {
  readonly inputTokens: number;
  /** Of the input, how many the provider had at hand from before. */
  readonly cachedInputTokens: number;
  /** Of the input, how many it kept for later at a price of their own. */
  readonly cacheWriteTokens: number;
  /** Everything the model wrote, its reasoning included. */
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** Why a reply ended: as the model wished, at the length limit, by a filter or refusal of the provider, or otherwise. */
export type Finish = "stop" | "length" | "content-filter" | "other";

/** A token of a reply: its text, the logarithm of its probability, and those of the likeliest tokens at its place, where they are kept. */
export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly top?: readonly (readonly [token: string, logprob: number])[];
}

/** What a model said, word for word. */
export interface Reply {
  readonly text: string;
  /** Where they were asked for and told. The likeliest others are kept at tokens with a digit, since scores are numbers. */
  readonly logprobs?: readonly TokenLogprob[];
  readonly finish: Finish;
  readonly usage?: Usage;
  /** The exact model that answered, where the provider tells. */
  readonly build?: string;
  /** What of the request the provider's client left out: `temperature is not supported for reasoning models`. */
  readonly warnings: readonly string[];
}

/**
 * How a call ended.
 *
 * - `replied`: with a reply, which is in the store.
 * - `refused`: the provider's filter would not take the question.
 * - `failed`: there will be no reply without asking again: the question is too long for the model, or every attempt failed.
 * - `pending`: not asked, or not answered when the engine stopped; the same call goes on later.
 */
export type CallOutcome =
  | {
      readonly state: "replied";
      readonly key: string;
      readonly text: string;
      readonly finish: Finish;
      readonly logprobs?: readonly TokenLogprob[];
    }
  | { readonly state: "refused" | "failed"; readonly key: string; readonly detail: string }
  | { readonly state: "pending"; readonly key: string; readonly detail: string };
