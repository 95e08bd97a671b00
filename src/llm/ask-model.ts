import type {
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4Usage,
  SharedV4ProviderOptions,
  SharedV4Warning,
} from "@ai-sdk/provider";
import { timedOut } from "./failure.ts";
import type { Headers } from "./headers.ts";
import type { ChatModel } from "./chat-model.ts";
import { readLogprobs } from "./logprobs.ts";
import { joinTexts } from "./join-texts.ts";
import { writesNothing } from "./text-client.ts";
import type { Finish, Reply, Usage } from "./reply.ts";
import { readStatus } from "./responses-reply.ts";
import type { ModelRequest } from "./request.ts";

export const noReplyWithin = "no reply within";

/**
 * Calls a model once. Ends after `timeoutMs` at the latest, even if the model's client does not.
 *
 * @param abandon ends it earlier: the reply may still be generated and billed
 * @throws whatever the client throws, or a `timedOut` error; see `readFailure`
 */
export async function askModel(
  model: ChatModel,
  request: ModelRequest,
  timeoutMs: number,
  abandon?: AbortSignal,
): Promise<{ readonly reply: Reply; readonly headers: Headers }> {
  const timeout = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const giveUp = (message: string, name: string) => {
    const error = new Error(message);
    error.name = name;
    timeout.abort(error);
    reject(error);
  };
  const timer = setTimeout(() => giveUp(`${noReplyWithin} ${timeoutMs / 1000} s`, timedOut), timeoutMs);
  const onAbandon = () => giveUp("the command was ended before the reply came", "AttemptAbandoned");
  if (abandon?.aborted) onAbandon();
  abandon?.addEventListener("abort", onAbandon);
  try {
    const asked = { ...toCallOptions(model, request), abortSignal: timeout.signal };
    const result = await Promise.race([model.language.doGenerate(asked), late]);
    const { logprobs, ...reply } = readReply(result, request.sampling.maxOutputTokens > 0);
    const isAsked = request.topLogprobs !== undefined; // some servers send them unasked
    return { reply: { ...reply, ...(isAsked && logprobs && { logprobs }) }, headers: result.response?.headers ?? {} };
  } finally {
    clearTimeout(timer);
    abandon?.removeEventListener("abort", onAbandon);
  }
}

/** A request as options for the model's client, for direct calls and batches. */
export function toCallOptions(
  model: ChatModel,
  { messages, sampling, replySchema, topLogprobs }: ModelRequest,
): LanguageModelV4CallOptions {
  const reasoning =
    sampling.reasoning &&
    (model.reason?.(sampling.reasoning, sampling.maxOutputTokens) ?? { reasoning: sampling.reasoning });
  const providerOptions = mergeOptions(
    reasoning?.providerOptions,
    topLogprobs === undefined ? undefined : model.tellLogprobs?.(topLogprobs),
  );
  return {
    prompt: messages.map(({ role, text }) =>
      role === "system" ? { role, content: text } : { role, content: [{ type: "text", text }] },
    ),
    maxOutputTokens: sampling.maxOutputTokens,
    ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
    ...(sampling.topP !== undefined && { topP: sampling.topP }),
    ...(sampling.seed !== undefined && { seed: sampling.seed }),
    ...reasoning,
    ...(replySchema && { responseFormat: { type: "json", name: replySchema.name, schema: replySchema.schema } }),
    ...(providerOptions && { providerOptions }),
  };
}

function mergeOptions(
  one: SharedV4ProviderOptions | undefined,
  other: SharedV4ProviderOptions | undefined,
): SharedV4ProviderOptions | undefined {
  if (!one || !other) return one ?? other;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, { ...one[name], ...other[name] }]));
}

/** @param writes whether the model was asked to write: vectors take no tokens of it @throws Error when the provider broke the reply off */
export function readReply(
  { content, finishReason, usage, warnings, response, providerMetadata }: LanguageModelV4GenerateResult,
  writes = true,
): Reply {
  const logprobs = readLogprobs(providerMetadata);
  const finish = finishReason.unified;
  const status = readStatus(response?.body);
  if (status !== undefined && !/^(completed|incomplete)$/.test(status))
    throw new Error(`the provider broke off (the reply's status is ${status})`);
  if (finish === "error" || finish === "interrupted" || finishReason.raw === "error")
    throw new Error(`the provider broke off (${finishReason.raw ?? finish})`);
  const pieces = content.flatMap((part) =>
    part.type === "text" ? part.text : part.type === "source" ? [] : undefined,
  );
  const text = joinTexts(pieces).toWellFormed(); // as it is stored
  return {
    text,
    finish:
      finish !== "content-filter" && status === "incomplete"
        ? "length"
        : isUnclear(finishReason)
          ? "unclear"
          : finishes[finish],
    ...(logprobs && { logprobs }),
    ...readUsage(usage, writes && text !== "" && usage.raw?.[writesNothing] !== true),
    ...(response?.modelId !== undefined && { build: response.modelId }),
    warnings: warnings.map(describeWarning),
  };
}

/** Whether a text may not be whole, since its provider gives a reason to end that nobody knows. */
function isUnclear({ unified, raw }: LanguageModelV4GenerateResult["finishReason"]): boolean {
  return raw === "pause_turn" || (unified === "other" && raw !== undefined && raw !== "");
}

/** Describes which setting of a request was ignored. */
export function describeWarning(warning: SharedV4Warning): string {
  return "message" in warning ? warning.message : (warning.details ?? `${warning.feature} is not supported`);
}

const mostTokens = 1e9; // of one reply: a server that tells more, or less than none, does not count

function isPlausible(tokens: number | undefined): tokens is number {
  return tokens !== undefined && tokens >= 0 && tokens <= mostTokens;
}

/**
 * Empty if the provider reports no usage, or one that cannot be: a prompt and a text are never of no tokens. Counts are whole numbers, and
 * parts never exceed their total. What is in the total of all and nowhere else was written.
 */
function readUsage({ inputTokens, outputTokens, raw }: LanguageModelV4Usage, hasWritten: boolean): { usage?: Usage } {
  if (!isPlausible(inputTokens.total) || !isPlausible(outputTokens.total)) return {};
  const all = raw?.["total_tokens"] ?? raw?.["totalTokenCount"];
  const apart = typeof all === "number" ? Math.max(0, all - inputTokens.total - outputTokens.total) : 0;
  if (inputTokens.total === 0 || (hasWritten && outputTokens.total + apart === 0)) return {};
  const count = (value: number | undefined, most = Number.MAX_SAFE_INTEGER) =>
    Math.min(most, Math.max(0, Math.ceil(value ?? 0) || 0));
  const input = count(inputTokens.total);
  const output = count(outputTokens.total + (isPlausible(apart) ? apart : 0));
  const cached = count(inputTokens.cacheRead, input);
  return {
    usage: {
      inputTokens: input,
      cachedInputTokens: cached,
      cacheWriteTokens: count(inputTokens.cacheWrite, input - cached),
      outputTokens: output,
      reasoningTokens: count(outputTokens.reasoning, output),
    },
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
