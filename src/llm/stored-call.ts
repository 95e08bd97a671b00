import type { Finish, TokenLogprob, Usage } from "./reply.ts";

/** A call that has an outcome. Money in billionths of a US dollar. */
export interface StoredCall {
  readonly key: string;
  readonly model: string;
  readonly state: "replied" | "refused" | "failed";
  /** The reply word for word; empty unless replied. */
  readonly text: string;
  /** Present when they were requested and the provider returned them. */
  readonly logprobs?: readonly TokenLogprob[] | undefined;
  readonly finish: Finish | null;
  /** Why there is no reply. */
  readonly detail: string | null;
  /** The exact model that answered, if the provider reports it. */
  readonly build: string | null;
  readonly usage: Usage | null;
  /** Null when no price is known. */
  readonly cost: number | null;
  readonly promptBytes: number;
  readonly attempts: number;
  /** Duration of the attempt that was answered. */
  readonly latencyMs: number;
  /** Its place in the order in which calls were stored; absent of one that is being stored. */
  readonly place?: number | undefined;
}

/** What was paid for one purpose, in billionths of a US dollar. */
export interface Purse {
  readonly paid: number;
  /** At most this much more may be on the provider's bill, for attempts whose reply never arrived. */
  readonly perhapsPaid: number;
  /** For calls in flight or in batches. */
  readonly reserved: number;
  /** Of that, for calls in batches, which may be there for a day. */
  readonly batched: number;
}

/** Token use of a model's past calls, for estimates. */
export interface PastUse {
  readonly calls: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly inputTokensPerByte: number;
  readonly outputTokens: number;
}
