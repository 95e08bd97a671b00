import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { timedOut } from "./failure.ts";
import type { Headers } from "./headers.ts";
import type { Finish, Reply } from "./reply.ts";
import type { ModelRequest } from "./request.ts";

/**
 * Asks a model once. Ends after its time at the latest, whatever the model's client does.
 *
 * @throws whatever the client throws; see `readFailure`
 */
export async function askModel(
  language: LanguageModelV4,
  request: ModelRequest,
  timeoutMs: number,
): Promise<{ readonly reply: Reply; readonly headers: Headers }> {
  const timeout = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(`no reply within ${timeoutMs / 1000} s`);
    error.name = timedOut;
    timeout.abort(error);
    reject(error);
  }, timeoutMs);
  try {
    const result = await Promise.race([language.doGenerate(toCallOptions(request, timeout.signal)), late]);
    return { reply: readReply(result), headers: result.response?.headers ?? {} };
  } finally {
    clearTimeout(timer);
  }
}

function toCallOptions(
  { messages, sampling, replySchema }: ModelRequest,
  signal: AbortSignal,
): LanguageModelV4CallOptions {
  return {
    prompt: messages.map(({ role, text }) =>
      role === "system" ? { role, content: text } : { role, content: [{ type: "text", text }] },
    ),
    maxOutputTokens: sampling.maxOutputTokens,
    ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
    ...(sampling.topP !== undefined && { topP: sampling.topP }),
    ...(sampling.seed !== undefined && { seed: sampling.seed }),
    ...(sampling.reasoning && { reasoning: sampling.reasoning }),
    ...(replySchema && { responseFormat: { type: "json", name: replySchema.name, schema: replySchema.schema } }),
    abortSignal: signal,
  };
}

/** @throws Error when the provider broke off in the middle */
function readReply({ content, finishReason, usage, warnings, response }: LanguageModelV4GenerateResult): Reply {
  const finish = finishReason.unified;
  if (finish === "error" || finish === "interrupted")
    throw new Error(`the provider broke off (${finishReason.raw ?? finish})`);
  return {
    text: content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join(""),
    finish: finishes[finish],
    ...(usage.inputTokens.total !== undefined &&
      usage.outputTokens.total !== undefined && {
        usage: {
          inputTokens: usage.inputTokens.total,
          cachedInputTokens: usage.inputTokens.cacheRead ?? 0,
          cacheWriteTokens: usage.inputTokens.cacheWrite ?? 0,
          outputTokens: usage.outputTokens.total,
          reasoningTokens: usage.outputTokens.reasoning ?? 0,
        },
      }),
    ...(response?.modelId !== undefined && { build: response.modelId }),
    warnings: warnings.map((warning) =>
      "message" in warning ? warning.message : (warning.details ?? `${warning.feature} is not supported`),
    ),
  };
}

const finishes: Record<LanguageModelV4GenerateResult["finishReason"]["unified"], Finish> = {
  stop: "stop",
  length: "length",
  "content-filter": "content-filter",
  "tool-calls": "other",
  error: "other",
  interrupted: "other",
  other: "other",
};
