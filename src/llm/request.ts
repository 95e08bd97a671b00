import { hash } from "node:crypto";
import type { JSONSchema7 } from "@ai-sdk/provider";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
}

/** How much a model reasons before it answers; the provider's default when left out. */
export const reasoningEfforts = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
export type ReasoningEffort = (typeof reasoningEfforts)[number];

/** How a reply is sampled. A retry never changes it. */
export interface Sampling {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxOutputTokens: number;
  readonly seed?: number | undefined;
  readonly reasoning?: ReasoningEffort | undefined;
}

/** A JSON schema for the reply, for providers that can enforce one. */
export interface ReplySchema {
  readonly name: string;
  readonly schema: JSONSchema7;
}

/** One request to a model. */
export interface ModelRequest {
  readonly messages: readonly Message[];
  readonly sampling: Sampling;
  readonly replySchema?: ReplySchema | undefined;
  /** How many of the most likely tokens to return, with log probabilities, at each place of the reply. */
  readonly topLogprobs?: number | undefined;
  /** Tells several replies to the same request apart: a number from 1, or a name for a fresh call. Left out for the first. */
  readonly sample?: number | string | undefined;
}

const keyVersion = 1; // raised when the same request would be hashed differently

/**
 * The identity of a call: the first 32 hexadecimal digits of SHA-256 over the model and the whole request. The same request
 * to the same model gets the reply stored under this key.
 *
 * @param model the model's full name, with its address where it is not the provider's own
 */
export function requestKey(
  model: string,
  { messages, sampling, replySchema, topLogprobs, sample }: ModelRequest,
): string {
  const asked: unknown[] = [
    keyVersion,
    model,
    messages.map(({ role, text }) => [role, text]),
    [
      sampling.temperature ?? null,
      sampling.topP ?? null,
      sampling.maxOutputTokens,
      sampling.seed ?? null,
      sampling.reasoning ?? null,
    ],
    replySchema ? [replySchema.name, replySchema.schema] : null,
  ];
  if (topLogprobs !== undefined || sample !== undefined) asked.push([topLogprobs ?? null, sample ?? null]);
  return hash("sha256", JSON.stringify(asked)).slice(0, 32);
}

/** UTF-8 bytes of everything the model reads; no tokenizer makes more tokens than that. */
export function promptBytes({ messages, replySchema }: ModelRequest): number {
  let bytes = replySchema ? Buffer.byteLength(JSON.stringify(replySchema)) : 0;
  for (const { text } of messages) bytes += Buffer.byteLength(text);
  return bytes;
}
