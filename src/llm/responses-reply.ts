import type { LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { readStatedError } from "./chat-reply.ts";
import { type Entry, isEntry } from "./entry.ts";
import { joinTexts } from "./join-texts.ts";
import { resultOf, toCount } from "./reply-parts.ts";

/*
 * Replies of OpenAI's Responses API, asked directly or in a batch.
 */

/** The status of a reply of the Responses API, which tells more than its reason to end; undefined of others. */
export function readStatus(body: unknown): string | undefined {
  return isResponse(body) && typeof body["status"] === "string" ? body["status"] : undefined;
}

function isResponse(body: unknown): body is Entry {
  return isEntry(body) && (body["object"] === "response" || Array.isArray(body["output"]));
}

/**
 * A reply of the Responses API; undefined of other bodies, and of errors. Each message is a line; what the model tells before its answer
 * (commentary) is none. Whether its status is a reply's is seen where all replies are read: see `readStatus`.
 */
export function readResponse(body: unknown): LanguageModelV4GenerateResult | undefined {
  if (!isResponse(body) || readStatedError(body, "")) return undefined;
  const { output, usage, model, incomplete_details: incomplete } = body;
  const items = Array.isArray(output) ? output.filter(isEntry) : [];
  const said = items.filter(
    ({ type, role }) => (type ?? "message") === "message" && (role ?? "assistant") === "assistant",
  );
  const answers = said.filter(({ phase }) => phase !== "commentary");
  const callsTool = items.some(({ type }) => isText(type) && /^(custom_tool|function)_call$/.test(type));
  const reason = isEntry(incomplete) ? incomplete["reason"] : undefined;
  const isWhole = body["status"] !== "incomplete" && reason == null && !callsTool;
  const messages = answers.length > 0 || !isWhole ? answers : said; // it may say nothing else
  const joined = joinTexts(messages.flatMap(({ content }) => [textOf(content), undefined]));
  const alone = body["output_text"]; // some servers have the text there alone
  const text = joined === "" && isWhole && isText(alone) ? alone : joined;
  const isRefused = messages.some(({ content }) => listOf(content).some(({ refusal }) => isText(refusal)));
  const isCut = messages.some(({ status }) => isText(status) && status !== "completed");
  const details = (name: string) => (isEntry(usage) ? usage[name] : undefined);
  return resultOf({
    text,
    raw: reason ?? (isCut ? "max_output_tokens" : isRefused ? "refusal" : callsTool ? "tool_calls" : "stop"),
    input: toCount(usage, "input_tokens"),
    cacheRead: toCount(details("input_tokens_details"), "cached_tokens"),
    output: toCount(usage, "output_tokens"),
    reasoning: toCount(details("output_tokens_details"), "reasoning_tokens"),
    usage,
    model,
  });
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function listOf(content: unknown): Entry[] {
  return Array.isArray(content) ? content.filter(isEntry) : [];
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .map(({ type, text, refusal }) => (type === "output_text" || type === "text" ? text : refusal))
    .filter(isText)
    .join("");
}
