/** Tokens of one call, as the provider counted them. */
export interface Usage {
  readonly inputTokens: number;
  /** Input tokens read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Input tokens written to the provider's cache, which have their own price. */
  readonly cacheWriteTokens: number;
  /** Everything the model wrote, its reasoning included. */
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** Why a reply ended: the model stopped, the length limit, the provider's filter or refusal, or another reason. */
export type Finish = "stop" | "length" | "content-filter" | "other" | "unclear";

/** Whether a text may go on after its last character. */
export function mayBeCut(finish: Finish): boolean {
  return finish === "length" || finish === "unclear";
}

/** A token of a reply with its log probability. `top`: the most likely tokens at its place with theirs, if kept. */
export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly top?: readonly (readonly [token: string, logprob: number])[] | undefined;
}

/** What a model said, word for word. */
export interface Reply {
  readonly text: string;
  /** Present when requested and returned. The top alternatives are kept at the first token and at numeric ones: verdicts and scores are there. */
  readonly logprobs?: readonly TokenLogprob[] | undefined;
  readonly finish: Finish;
  readonly usage?: Usage | undefined;
  /** The exact model that answered, if the provider reports it. */
  readonly build?: string | undefined;
  /** Settings that the provider's client ignored: `temperature is not supported for reasoning models`. */
  readonly warnings: readonly string[];
}

/**
 * How a call ended.
 *
 * - `replied`: the reply is in the store.
 * - `refused`: the provider's filter refused the request.
 * - `failed`: the request is too long for the model, or every attempt failed. It is not made again unless asked to.
 * - `pending`: not sent, or not answered when the engine stopped. A later run makes the same call.
 */
export type CallOutcome =
  | {
      readonly state: "replied";
      readonly key: string;
      readonly text: string;
      readonly finish: Finish;
      readonly logprobs?: readonly TokenLogprob[] | undefined;
    }
  | { readonly state: "refused" | "failed"; readonly key: string; readonly detail: string }
  | { readonly state: "pending"; readonly key: string; readonly detail: string };
