import type { JSONValue, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { readChatUsage } from "./chat-usage.ts";
import { type Entry, isEntry } from "./entry.ts";
import { isOtherPart, readContent } from "./chat-content.ts";
import { joinTexts } from "./join-texts.ts";
import { compatibleOptions } from "./chat-request.ts";
import type { HttpReply } from "./send-request.ts";
import { decodeText } from "./decode-text.ts";
import { statusOfWords } from "./status-of-words.ts";
import { unpack } from "./unpack.ts";

/*
 * Replies of OpenAI's chat completions, as servers send them: compressed though nobody asked for it, streamed, followed by
 * `data: [DONE]`, with an error in a 200, or with a content of parts.
 */

/** A reply's text and, where it is JSON, its value. */
export interface ReadBody {
  readonly text: string;
  readonly value: unknown;
}

/** @throws Error when a compressed body cannot be unpacked, or is too large */
export function readBody({ headers, bytes }: HttpReply): ReadBody {
  const encodings = (headers["content-encoding"] ?? "")
    .toLowerCase()
    .split(",")
    .map((encoding) => encoding.trim());
  const unpacked = encodings.reduceRight<Uint8Array>(
    (packed, encoding) => unpack(packed, encoding), // the last was put on last
    bytes,
  );
  const text = decodeText(unpacked, headers["content-type"]);
  const value = parse(text);
  if (value !== undefined) return { text, value: unwrap(value) };
  if (/^\s*(data:|event:|:)/.test(text)) return { text, value: joinStream(text) };
  return { text, value: unwrap(parse(withoutDone(text))) };
}

/** A completion that stands alone in a list, in a field, or in a text, as some gateways send it; any other value as it is. */
function unwrap(value: unknown): unknown {
  const inner =
    typeof value === "string" ? parse(value) : Array.isArray(value) && value.length === 1 ? value[0] : value;
  const isCompletion = (one: unknown) => isEntry(one) && Array.isArray(one["choices"]);
  if (!isEntry(inner) || isCompletion(inner)) return isCompletion(inner) ? inner : value;
  const name = ["result", "data", "response", "body"].find((one) => isCompletion(inner[one]));
  if (name === undefined) return value;
  const { [name]: completion, ...around } = inner;
  return isError(around["error"]) || readOtherError(around) ? around : completion;
}

/** A text without `data: [DONE]` at its end. */
function withoutDone(text: string): string {
  const [said, done] = [text.trimEnd(), "[DONE]"];
  if (!said.endsWith(done)) return text;
  const before = said.slice(0, -done.length).trimEnd();
  return before.endsWith("data:") ? before.slice(0, -"data:".length) : text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * A chat completion of the chunks of an event stream, or the error among them; undefined where there are none. A stream that ends without
 * saying so, or has a chunk that cannot be read, has lost a part of its text: it counts as interrupted.
 */
function joinStream(text: string): unknown {
  let isOfError = false;
  const data: string[] = [];
  const errors: unknown[] = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (line === "") isOfError = false;
    if (line.startsWith("event:")) isOfError = line.slice("event:".length).trim() === "error";
    const said = line.startsWith("data:") ? line.slice("data:".length).trim() : "";
    if (said === "") continue;
    data.push(said);
    if (isOfError) errors.push(parse(said) ?? said);
  }
  const read = data.filter((line) => line !== "[DONE]").map(parse);
  const chunks = read.filter(isEntry);
  const failed = chunks.find(({ error }) => isError(error));
  if (failed) return failed;
  if (errors.length > 0) return { error: errors[0] };
  if (chunks.length === 0) return undefined;
  const all = chunks.flatMap(({ choices: given }) => (Array.isArray(given) ? given.filter(isEntry) : []));
  const choices = all.filter(({ index }) => index == null || Number(index) === 0);
  const broken = choices.find(({ error }) => isError(error));
  if (broken) return { error: broken["error"] };
  const parts = choices.map(({ delta, message }) => (isEntry(delta) ? delta : isEntry(message) ? message : {})); // some send whole messages
  const content = joinTexts(parts.map((part) => readContent(part["content"]) || (isOtherPart(part) ? undefined : "")));
  const refusal = parts.map((part) => (typeof part["refusal"] === "string" ? part["refusal"] : "")).join("");
  const endings = choices.flatMap(({ finish_reason: reason }) => reason ?? []);
  const told =
    endings.length > 0 ? undefined : chunks.find((chunk) => !Array.isArray(chunk["choices"]) && readOtherError(chunk));
  if (told) return told; // beside a text that ended, such a chunk tells of progress
  const finish = endings.find((reason) => endingOf(reason, false) === "content-filter") ?? endings.at(-1) ?? null;
  const whole: Record<string, unknown> = {};
  for (const chunk of chunks)
    for (const [name, value] of Object.entries(chunk)) if (value !== null) whole[name] = value; // null takes nothing back
  const isWhole = chunks.length === read.length && (finish !== null || data.includes("[DONE]"));
  const tokens = choices.flatMap(({ logprobs }) =>
    isEntry(logprobs) && Array.isArray(logprobs["content"]) ? (logprobs["content"] as unknown[]) : [],
  );
  const choice = { message: { content, refusal }, finish_reason: isWhole ? finish : "interrupted" };
  return { ...whole, choices: [{ ...choice, ...(tokens.length > 0 && { logprobs: { content: tokens } }) }] };
}

/** The choice that was asked for: number 0, wherever it stands. */
function firstChoice(choices: unknown): Entry | undefined {
  if (!Array.isArray(choices)) return undefined;
  const entries = choices.filter(isEntry);
  const isFirst = ({ index }: Entry) => index != null && Number(index) === 0;
  return (
    entries.find(isFirst) ??
    entries.find(({ index }) => index == null) ??
    (entries.length === 1 ? entries[0] : undefined)
  );
}

/** Whether a code or a word says that all is well. */
function isFineWord(said: unknown): boolean {
  const text = typeof said === "string" || typeof said === "number" ? String(said).trim() : "no";
  return /^(0|200|ok|success|none|null)$/i.test(text);
}

/** Whether a field `error` says that there is one: some servers always send it, with nothing in it. */
function isError(error: unknown): boolean {
  if (typeof error === "string") return error !== "" && !isFineWord(error);
  if (!isEntry(error)) return error === true;
  const { message, type, code, status } = error;
  const isFine = (part: unknown) => part == null || isFineWord(part) || part === "";
  if ([message, type, code, status].every(isFine)) return false;
  const says = [message, type].some((part) => typeof part === "string" && part !== "");
  return (
    says || [code, status].some((part) => Number(part) >= 400 || (typeof part === "string" && /[a-z]/i.test(part)))
  );
}

/** The error that a body of any protocol states in its field `error`, with the status that it stands for. */
export function readStatedError(value: unknown, text: string): { status: number; message: string } | undefined {
  return isEntry(value) && isError(value["error"]) ? readError({ value, text }, 200) : undefined;
}

/** The error in a body. A 200 may carry one, beside a text too: it then stands for the status that it names, or for 502. */
export function readError({ value, text }: ReadBody, status: number): { status: number; message: string } | undefined {
  const isReply = status >= 200 && status < 300;
  const choice = isReply && isEntry(value) ? firstChoice(value["choices"]) : undefined;
  if (choice && isError(choice["error"])) return readError({ value: { error: choice["error"] }, text }, status);
  const error = isEntry(value) ? value["error"] : undefined;
  if (isReply && !isError(error)) return choice || !isEntry(value) ? undefined : readOtherError(value);
  const named = isEntry(error)
    ? [error["code"], error["status"], error["type"]]
    : isEntry(value)
      ? [value["code"]]
      : [];
  const stated = named.map(Number).find((code) => code >= 400 && code < 600);
  const message = describeError(value) ?? text;
  return { status: isReply ? (stated ?? statusOfWords(`${named.join(" ")} ${message}`)) : status, message };
}

/** An error in the words of other gateways, in a body without a reply: vLLM's, Cloudflare's, DashScope's, MiniMax's, Baidu's, FastAPI's. */
function readOtherError(value: Entry): { status: number; message: string } | undefined {
  const { base_resp: base, errors, data } = value;
  if (Array.isArray(data) || value["output"] !== undefined || value["results"] !== undefined) return undefined;
  const inner = [
    isEntry(base) ? base : undefined,
    Array.isArray(errors) ? errors.find(isEntry) : errors,
    value,
    data,
  ].filter(isEntry);
  const first = (names: readonly string[]): string | undefined => {
    const found = inner
      .flatMap((entry) => names.map((name) => entry[name]))
      .find((said) => typeof said === "string" && said !== "");
    return typeof found === "string" ? found : undefined;
  };
  const message = first(["message", "status_msg", "error_msg", "errmsg", "msg", "detail", "title"]);
  const codes = inner.flatMap((entry) =>
    ["code", "status_code", "error_code", "errcode", "status"].map((name) => entry[name]),
  );
  const named = codes.filter((code) => (typeof code === "string" || typeof code === "number") && !isFineWord(code));
  const details = Array.isArray(value["detail"]) && value["detail"].length === 0 ? undefined : value["detail"];
  if (/^(ok|success(ful)?|running|healthy)\.?$/i.test(message ?? "")) return undefined;
  const told = message ?? (details == null || typeof details === "string" ? undefined : shortJson(details));
  if (
    told === undefined ||
    (named.length === 0 && details == null && value["success"] !== false && value["object"] !== "error")
  )
    return undefined;
  const stated = named.map(Number).find((code) => code >= 400 && code < 600);
  const words = [...named.map(String), told].join(": ");
  return { status: stated ?? statusOfWords(words), message: words };
}

function shortJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // nested too deeply
  }
}

/** What an error says: OpenAI's `error.message`, or what FastAPI and gateways write in its place. */
function describeError(value: unknown): string | undefined {
  if (!isEntry(value)) return undefined;
  const { error } = value;
  const said = isEntry(error) ? error["message"] : (error ?? value["message"] ?? value["detail"]);
  if (typeof said === "string") return said;
  return said == null ? undefined : shortJson(said); // nested too deeply, the body is shown as it is
}

/** The first choice of a chat completion; a sentence where there is none. */
export function readCompletion(value: unknown): LanguageModelV4GenerateResult | string {
  if (!isEntry(value)) return "not JSON";
  const choice = firstChoice(value["choices"]);
  if (!choice) return "no choices in it";
  const message = choice["message"];
  if (!isEntry(message))
    return typeof choice["text"] === "string" ? "a text completion, not a chat" : "no message in it";
  const { model, system_fingerprint: fingerprint } = value;
  const refusal = message["refusal"];
  const isRefused = typeof refusal === "string" && refusal !== "";
  const text = readContent(message["content"]) + (isRefused ? refusal : "");
  const raw = reasonOf(choice["finish_reason"]);
  const logprobs = isEntry(choice["logprobs"]) ? choice["logprobs"]["content"] : undefined;
  return {
    content: [{ type: "text", text }],
    finishReason: {
      unified: endingOf(raw, isRefused),
      raw,
    },
    usage: readChatUsage(value["usage"], text),
    warnings: [],
    ...(logprobs != null && { providerMetadata: { [compatibleOptions]: { logprobs: logprobs as JSONValue } } }),
    ...(typeof model === "string" && {
      response: { modelId: typeof fingerprint === "string" && fingerprint ? `${model} ${fingerprint}` : model },
    }),
  };
}

type Ending = LanguageModelV4GenerateResult["finishReason"]["unified"];

/** How a reply ended, in the words of OpenAI, and of others that servers pass on as they are: Anthropic's, Google's, TGI's, vLLM's. */
const endings: readonly (readonly [said: RegExp, ending: Ending])[] = [
  [
    /^(stop(ped)?|stop_(sequence|token|word|string)s?|stopped_(eos|word)|eos(_token|_?found)?|end(_turn|_?of_?(text|sequence|turn|message))?|complete(d)?|finish(ed)?|done|normal|success|ok|null)$/,
    "stop",
  ],
  [
    /^((max|model|context)_)?(new_|output_|completion_)?(length|tokens?)(_(exceeded|limit|reached))?$|^(max_(output|length)|error_limit)$|context_window_exceeded$/,
    "length",
  ],
  [
    /^(content_filter(ed)?|(image_)?safety|recitation|blocklist|prohibited_content|spii|refusal|sensitive|error_toxic|guardrail(s|_intervened)?|moderat(ion|ed)|blocked)$/,
    "content-filter",
  ],
  [/^(function_call|tool_calls?|tool_use)$/, "tool-calls"],
  [
    /^(error|abort(ed)?|cancel(l?ed)?|interrupted|time_?out|preempted|user_cancel|network_error|insufficient_system_resource)$/,
    "interrupted",
  ],
];

/** A reason as a word: SGLang's own is an object with a type. What is neither is a reason that nobody knows. */
export function reasonOf(raw: unknown): string | undefined {
  if (raw === undefined || raw === null) return undefined;
  const word = isEntry(raw) ? raw["type"] : raw;
  return typeof word === "string" ? word : JSON.stringify(raw).slice(0, longestReason);
}

const longestReason = 100;

export function endingOf(raw: unknown, isRefused: boolean): Ending {
  const said = (reasonOf(raw) ?? "")
    .toLowerCase()
    .replace(/[\s-]+/g, "_")
    .replace(/^finish_reason_/, "");
  const ending = endings.find(([pattern]) => pattern.test(said))?.[1] ?? "other";
  return ending === "stop" && isRefused ? "content-filter" : ending;
}
