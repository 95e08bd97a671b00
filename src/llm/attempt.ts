import { askModel } from "./ask-model.ts";
import { readFailure, type Failure } from "./failure.ts";
import { readLimits, type Headers } from "./headers.ts";
import type { ChatModel } from "./chat-model.ts";
import type { Passage } from "./rate-limiter.ts";
import type { Reply } from "./reply.ts";
import { redactReply } from "./secrets.ts";
import type { ModelRequest } from "./request.ts";

/** One attempt at a call: the reply, or what its failure means. */
export type Attempt = { readonly reply: Reply; readonly headers: Headers } | Failure;

/** Sends a request once. Never throws; secrets are removed from a failure's detail. */
export async function attemptCall(
  model: ChatModel,
  request: ModelRequest,
  timeoutMs: number,
  abandon?: AbortSignal,
): Promise<Attempt> {
  try {
    const { reply, headers } = await askModel(model, request, timeoutMs, abandon);
    return { reply: redactReply(reply, (text, of) => model.redact(text, of)), headers };
  } catch (error) {
    const failure = readFailure(error, Date.now(), (text) => model.redact(text));
    const advice = failure.kind === "stop" && failure.isKeyRefused === true ? model.keyAdvice : undefined;
    const detail = model.redact(failure.detail);
    return { ...failure, detail: advice === undefined ? detail : `${detail}; ${advice}` };
  }
}

/**
 * What an attempt means for the rate limiter: a refused request counts as answered, one that reached no server does not.
 *
 * @param hasAnswered whether the model has ever answered anything before
 */
export function passageOf(attempt: Attempt, hasAnswered: boolean): Omit<Passage, "enteredAt" | "estimate"> {
  if ("reply" in attempt)
    return { result: "answered", announced: readLimits(attempt.headers, Date.now()), used: attempt.reply.usage };
  const used = { inputTokens: 0, outputTokens: 0 };
  if (attempt.kind === "retry")
    return {
      result: attempt.isCongestion || attempt.isLate ? "congested" : "failed",
      used,
      retryAfterMs: attempt.retryAfterMs,
    };
  return { result: attempt.kind === "state" || hasAnswered ? "answered" : "failed", used };
}
