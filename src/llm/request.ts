import { hash } from "node:crypto";
import type { JSONSchema7 } from "@ai-sdk/provider";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
}

/** How a model is asked to think before it answers; left out, it does as its provider sets it. */
export const reasoningEfforts = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
export type ReasoningEffort = (typeof reasoningEfforts)[number];

/** How a reply is drawn. A retry never changes it. */
export interface Sampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly maxOutputTokens: number;
  readonly seed?: number;
  readonly reasoning?: ReasoningEffort;
}

/** A JSON schema that the reply is to follow, for providers that can hold a model to one. */
export interface ReplySchema {
  readonly name: string;
  readonly schema: JSONSchema7;
}

/** One question to a model. */
export interface ModelRequest {
  readonly messages: readonly Message[];
  readonly sampling: Sampling;
  readonly replySchema?: ReplySchema;
  /** With the reply, how probable this many tokens were at each place. */
  readonly topLogprobs?: number;
  /** Which of several replies to the same question it is, from 1; left out for the first. A name for one that is asked anew. */
  readonly sample?: number | string;
}

const keyVersion = 1; // raised when the same question would be hashed differently

/**
 * The identity of a call: 32 hexadecimal digits of SHA-256 over the model, the messages, the sampling and the reply's
 * format. Whoever asks the same thing again gets the reply that is stored under it.
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

/** UTF-8 bytes of everything a model is given to read; no tokenizer makes more tokens than bytes of them. */
export function promptBytes({ messages, replySchema }: ModelRequest): number {
  let bytes = replySchema ? Buffer.byteLength(JSON.stringify(replySchema)) : 0;
  for (const { text } of messages) bytes += Buffer.byteLength(text);
  return bytes;
}
