import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { WholeResponse, type Fetch } from "./pooled-fetch.ts";
import { largestReply } from "./reply-limit.ts";

/*
 * Servers that speak OpenAI's protocol, nearly. What they do otherwise is mended around the requests and replies of the AI SDK's client:
 *
 * - a 200 whose body is an error is read as that error;
 * - bodies that are compressed though nobody asked for it, streamed, or followed by `data: [DONE]` are read;
 * - parameters that the server refuses are sent the other known way, tried once and kept: `max_completion_tokens` for `max_tokens`, no
 *   `top_p` where it is 1, the system text at the head of the user's.
 */

export interface CompatibleServer {
  readonly fetch: Fetch;
  /** What is sent otherwise than the rubric says, a line each. */
  readonly notes: () => readonly string[];
}

interface ChatBody {
  messages?: { role: string; content: unknown }[];
  max_tokens?: number;
  max_completion_tokens?: number;
  top_p?: number;
  stream?: boolean;
}

/** A known other way to say the same. */
interface Adaptation {
  readonly note: string;
  /** Whether a refusal is about it. */
  readonly refused: RegExp;
  readonly applies: (body: ChatBody) => boolean;
  readonly apply: (body: ChatBody) => ChatBody;
}

const adaptations: readonly Adaptation[] = [
  {
    note: "the limit of tokens is sent as max_completion_tokens, since the server refuses max_tokens",
    refused:
      /max_tokens.*(unsupported|not support|unknown|unrecogni[sz]ed|not permitted|instead)|(unsupported|unknown|unrecogni[sz]ed|extra).*max_tokens/is,
    applies: ({ max_tokens: limit }) => limit !== undefined,
    apply: ({ max_tokens: limit, ...body }) => ({ ...body, max_completion_tokens: limit! }),
  },
  {
    note: "top_p 1 is left out, since the server refuses it",
    refused: /top_p/,
    applies: ({ top_p: share }) => share === 1,
    apply: ({ ...body }) => {
      delete body.top_p;
      return body;
    },
  },
  {
    note: "the system text stands at the head of the user's, since the server takes no system role",
    refused: /system[ _](role|message|prompt|instruction)|role ["'`]?system/i,
    applies: ({ messages }) => messages?.some(({ role }) => role === "system") ?? false,
    apply: joinSystem,
  },
];

/** Puts system texts at the head of the first user's. */
function joinSystem({ messages = [], ...body }: ChatBody): ChatBody {
  const textOf = (content: unknown): string =>
    typeof content === "string"
      ? content
      : Array.isArray(content)
        ? (content as { text?: string }[]).map(({ text = "" }) => text).join("")
        : "";
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => textOf(content));
  const others = messages.filter(({ role }) => role !== "system");
  const first = others.findIndex(({ role }) => role === "user");
  return {
    ...body,
    messages: others.map((message, i) =>
      i === first ? { ...message, content: [...system, textOf(message.content)].join("\n\n") } : message,
    ),
  };
}

/** @param fetch what requests are sent with */
export function adaptToServer(fetch: Fetch): CompatibleServer {
  const kept = new Set<Adaptation>();
  return {
    notes: () => [...kept].map(({ note }) => note),
    async fetch(input, init) {
      if (typeof init?.body !== "string") return mend(await fetch(input, init));
      const sent = { ...(JSON.parse(init.body) as ChatBody), stream: false }; // as the AI SDK has just written it
      const send = (with_: Iterable<Adaptation>) => {
        let body: ChatBody = sent;
        for (const adaptation of with_) if (adaptation.applies(body)) body = adaptation.apply(body);
        return fetch(input, { ...init, body: JSON.stringify(body) });
      };
      const response = await mend(await send(kept));
      if (response.status !== 400 && response.status !== 422) return response;
      const said = await response.clone().text();
      const other = adaptations.find(
        (adaptation) => !kept.has(adaptation) && adaptation.refused.test(said) && adaptation.applies(sent),
      );
      if (!other || /context|too (long|large)/i.test(said)) return response;
      const second = await mend(await send([...kept, other]));
      if (second.ok) kept.add(other);
      return second.ok ? second : response;
    },
  };
}

const bound = { maxOutputLength: largestReply }; // a small body may unpack to one that fills the memory
const decoders: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: (bytes) => gunzipSync(bytes, bound),
  "x-gzip": (bytes) => gunzipSync(bytes, bound),
  deflate: (bytes) => inflateSync(bytes, bound),
  br: (bytes) => brotliDecompressSync(bytes, bound),
};

/** A reply as the AI SDK's client reads it. */
async function mend(response: Response): Promise<Response> {
  const encoding = response.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  const decode = decoders[encoding];
  const bytes = response instanceof WholeResponse ? response.bytes : new Uint8Array(await response.arrayBuffer());
  const read = decode ? decode(bytes) : bytes;
  const given = new TextDecoder().decode(read);
  let text = given;
  let { status } = response;
  if (/^\s*(data:|event:|:)/.test(text)) text = joinStream(text) ?? text;
  text = text.replace(/\s*data:\s*\[DONE\]\s*$/, "");
  if (response.ok) {
    if (!text.includes('"choices"') && /"error"\s*:/.test(text)) status = statusOf(text) ?? status;
    else if (/"content"\s*:\s*\[/.test(text)) text = joinParts(text);
  }
  if (!decode && text === given && status === response.status)
    return response instanceof WholeResponse ? response : reply(status, response, bytes);
  return reply(status, response, new TextEncoder().encode(text));
}

function reply(status: number, { headers }: Response, bytes: Uint8Array): Response {
  const {
    "content-encoding": _,
    "content-length": __,
    ...kept
  } = Object.fromEntries(headers) as Record<string, string>;
  return new WholeResponse(status, kept, bytes) as unknown as Response; // the used part of one
}

/** The status that an error in a 200 stands for; 502 where it names none. Undefined where it is no error. */
function statusOf(text: string): number | undefined {
  const parsed = parse(text) as { error?: { code?: unknown; status?: unknown } | string | null } | undefined;
  if (parsed?.error == null || parsed.error === "") return undefined;
  const named = typeof parsed.error === "string" ? undefined : [parsed.error.code, parsed.error.status];
  return named?.map(Number).find((code) => code >= 400 && code < 600) ?? 502;
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly error?: unknown;
}

/** A chat completion of the chunks of an event stream; undefined where there are none. */
function joinStream(text: string): string | undefined {
  const chunks = [...text.matchAll(/^data:(.*)$/gm)]
    .map(([, data]) => parse(data!.trim()) as Chunk | undefined)
    .filter((chunk) => chunk !== undefined);
  const failed = chunks.find(({ error }) => error !== undefined);
  if (failed) return JSON.stringify(failed);
  if (chunks.length === 0) return undefined;
  const choices = chunks.flatMap((chunk) => chunk.choices?.slice(0, 1) ?? []);
  return JSON.stringify({
    ...Object.assign({}, ...chunks),
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: choices.map(({ delta }) => delta?.content ?? "").join("") },
        finish_reason: choices.findLast(({ finish_reason: reason }) => reason != null)?.finish_reason ?? null,
      },
    ],
  });
}

/** Joins contents that are lists of parts: their texts, without reasoning. */
function joinParts(text: string): string {
  const parsed = parse(text) as { choices?: { message?: { content?: unknown } }[] } | undefined;
  for (const { message } of parsed?.choices ?? [])
    if (message && Array.isArray(message.content))
      message.content = (message.content as { type?: string; text?: unknown }[])
        .filter((part) => part.type === "text" && typeof part.text === "string")
        .map((part) => part.text)
        .join("");
  return parsed ? JSON.stringify(parsed) : text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    return undefined;
  }
}
