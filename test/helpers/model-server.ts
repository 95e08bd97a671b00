import { hash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createRandom } from "../../src/stats/random.ts";

/*
 * A server on 127.0.0.1 that speaks the protocols of OpenAI, Anthropic and Google, and misbehaves as told.
 */

/** What a model was asked. */
export interface Asked {
  readonly protocol: "openai" | "anthropic" | "google";
  readonly model: string;
  readonly system: string;
  readonly user: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** How often this very question was asked before. */
  readonly before: number;
  /** How many requests came before this one. */
  readonly ordinal: number;
}

/** What the server does with a request. */
export type Answer =
  | {
      readonly kind: "reply";
      readonly text: string;
      readonly finish?: "stop" | "length" | "content_filter" | "tool_calls" | "repetition";
      readonly outputTokens?: number;
      /** OpenAI's, as `choices[0].logprobs.content`. */
      readonly logprobs?: unknown;
    }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly message?: string;
      readonly code?: string;
      readonly headers?: Record<string, string>;
    }
  /** The connection ends before, or in the middle of, the reply; what was written of it is billed. */
  | { readonly kind: "reset" }
  | { readonly kind: "hang" }
  | { readonly kind: "cut"; readonly text: string }
  | { readonly kind: "raw"; readonly status: number; readonly type: string; readonly body: string };

export interface ModelServerOptions {
  readonly answer?: (asked: Asked) => Answer | string;
  /** How long an answer takes. */
  readonly latencyMs?: (ordinal: number) => number;
  /** Sent with every answer. */
  readonly headers?: (asked: Asked) => Record<string, string>;
  /** US dollars for a million tokens, for the server's own bill. */
  readonly price?: { readonly input: number; readonly output: number };
}

/** One question and how it was dealt with. */
interface LogEntry {
  readonly at: number;
  readonly question: string;
  readonly kind: Answer["kind"];
  readonly status: number;
}

export interface ModelServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** For `http://…` judges. */
  readonly judge: string;
  /** Environment in which `openai:`, `anthropic:` and `google:` mean this server. */
  readonly environment: Record<string, string>;
  readonly log: LogEntry[];
  /** Questions that got a whole reply, and how often. */
  readonly replied: Map<string, number>;
  /** What the server would bill, in US dollars. */
  readonly bill: { usd: number };
  readonly inFlight: { now: number; most: number };
}

/** A score that depends on the question alone. */
export function scoreOf(asked: Pick<Asked, "user">): string {
  const score = (Number.parseInt(hash("sha256", asked.user).slice(0, 6), 16) % 11) / 2;
  return `${score}\nBecause of what it says.`;
}

export async function startModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const log: LogEntry[] = [];
  const replied = new Map<string, number>();
  const counts = new Map<string, number>();
  const bill = { usd: 0 };
  const inFlight = { now: 0, most: 0 };
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let ordinal = 0;

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await readBody(request);
    inFlight.now++;
    inFlight.most = Math.max(inFlight.most, inFlight.now);
    response.once("close", () => inFlight.now--);
    const asked = readQuestion(request, body, counts, ordinal++);
    const said = options.answer?.(asked) ?? scoreOf(asked);
    const answer: Answer = typeof said === "string" ? { kind: "reply", text: said } : said;
    const send = () => {
      const question = hash("sha256", `${asked.system}\0${asked.user}`).slice(0, 16);
      const status = answer.kind === "status" ? answer.status : 200;
      log.push({ at: performance.now(), question, kind: answer.kind, status });
      const tokens = countTokens(asked, answer);
      if (options.price && answer.kind !== "status" && answer.kind !== "raw")
        bill.usd += (options.price.input * tokens.input + options.price.output * tokens.output) / 1e6;
      if (answer.kind === "reply")
        response.once("finish", () => replied.set(question, (replied.get(question) ?? 0) + 1));
      write(response, asked, answer, tokens, options.headers?.(asked) ?? {});
    };
    const latency = options.latencyMs?.(asked.ordinal) ?? 0;
    if (latency <= 0) return send();
    const timer = setTimeout(() => {
      timers.delete(timer);
      send();
    }, latency);
    timers.add(timer);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy()); // the client has gone
  });
  server.keepAliveTimeout = 60_000;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    judge: `${origin}/v1#test-model`,
    environment: {
      OPENAI_API_KEY: "sk-test-openai-secret",
      OPENAI_BASE_URL: `${origin}/v1`,
      ANTHROPIC_API_KEY: "sk-test-anthropic-secret",
      ANTHROPIC_BASE_URL: `${origin}/v1`,
      GOOGLE_GENERATIVE_AI_API_KEY: "test-google-secret",
      GOOGLE_GENERATIVE_AI_BASE_URL: `${origin}/v1beta`,
    },
    log,
    replied,
    bill,
    inFlight,
    [Symbol.asyncDispose]: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers that go wrong at random, by the shares given. The same seed gives the same faults. */
export function faulty(
  shares: { tooMany?: number; serverError?: number; reset?: number; hang?: number; cut?: number },
  { seed = 1, retryAfter }: { seed?: number; retryAfter?: string } = {},
): (asked: Asked) => Answer {
  const random = createRandom(seed);
  return (asked) => {
    let at = random();
    const falls = (share = 0) => (at -= share) < 0;
    if (falls(shares.tooMany))
      return {
        kind: "status",
        status: 429,
        message: "Rate limit reached",
        ...(retryAfter !== undefined && { headers: { "retry-after": retryAfter } }),
      };
    if (falls(shares.serverError)) return { kind: "status", status: 500, message: "The server had an error" };
    if (falls(shares.reset)) return { kind: "reset" };
    if (falls(shares.hang)) return { kind: "hang" };
    if (falls(shares.cut)) return { kind: "cut", text: scoreOf(asked) };
    return { kind: "reply", text: scoreOf(asked) };
  };
}

/** Latencies whose logarithm is normal, as those of real providers nearly are. */
export function logNormal(medianMs: number, sigma: number, seed = 1): () => number {
  const random = createRandom(seed);
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return medianMs * Math.exp(sigma * normal);
  };
}

/** So many requests a minute by a bucket that fills evenly, with the headers of OpenAI; the others get 429. */
export function limitRequests(perMinute: number, { tells = true }: { tells?: boolean } = {}) {
  const size = Math.max(1, perMinute / 60);
  let level = size;
  let at = performance.now();
  const refill = () => {
    const now = performance.now();
    level = Math.min(size, level + ((now - at) * perMinute) / 60_000);
    at = now;
  };
  return {
    answer: (asked: Asked): Answer => {
      refill();
      if (level < 1)
        return {
          kind: "status",
          status: 429,
          message: "Rate limit reached",
          headers: { "retry-after-ms": String(Math.ceil(((1 - level) * 60_000) / perMinute)) },
        };
      level--;
      return { kind: "reply", text: scoreOf(asked) };
    },
    headers: (): Record<string, string> =>
      tells
        ? {
            "x-ratelimit-limit-requests": String(perMinute),
            "x-ratelimit-remaining-requests": String(Math.floor(level)),
            "x-ratelimit-reset-requests": `${Math.ceil(((size - level) * 60_000) / perMinute)}ms`,
          }
        : {},
  };
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // no encoding is set
  return JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}") as Record<string, unknown>; // sent by the AI SDK
}

interface Content {
  readonly role?: string;
  readonly content?: string | readonly { readonly text?: string }[];
  readonly parts?: readonly { readonly text?: string }[];
}

function readQuestion(
  request: IncomingMessage,
  body: Record<string, unknown>,
  counts: Map<string, number>,
  ordinal: number,
): Asked {
  const url = request.url ?? "";
  const protocol = url.endsWith("/messages") ? "anthropic" : url.includes(":generateContent") ? "google" : "openai";
  const messages = (protocol === "google" ? body["contents"] : body["messages"]) as readonly Content[] | undefined;
  const textOf = (content: Content["content"]) =>
    typeof content === "string" ? content : (content ?? []).map(({ text }) => text ?? "").join("");
  const user = (messages ?? [])
    .filter(({ role }) => role === "user")
    .map(({ content, parts }) => textOf(parts ?? content))
    .join("\n");
  const system =
    protocol === "anthropic"
      ? textOf(body["system"] as Content["content"])
      : protocol === "google"
        ? textOf((body["systemInstruction"] as Content | undefined)?.parts)
        : textOf(messages?.find(({ role }) => role === "system" || role === "developer")?.content);
  const question = `${system}\0${user}`;
  const before = counts.get(question) ?? 0;
  counts.set(question, before + 1);
  const model = protocol === "google" ? (/models\/([^:]+):/.exec(url)?.[1] ?? "") : String(body["model"]);
  return { protocol, model, system, user, headers: request.headers, body, before, ordinal };
}

interface Tokens {
  readonly input: number;
  readonly output: number;
}

function countTokens({ system, user }: Asked, answer: Answer): Tokens {
  const text = "text" in answer ? answer.text : "";
  const written =
    "outputTokens" in answer && answer.outputTokens !== undefined ? answer.outputTokens : Math.ceil(text.length / 4);
  return { input: Math.ceil(Buffer.byteLength(system + user) / 4) + 7, output: written };
}

function write(
  response: ServerResponse,
  asked: Asked,
  answer: Answer,
  tokens: Tokens,
  headers: Record<string, string>,
): void {
  if (answer.kind === "hang") return;
  if (answer.kind === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (answer.kind === "raw") {
    response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
    return;
  }
  if (answer.kind === "status") {
    const body = JSON.stringify(errorBody(asked, answer));
    response.writeHead(answer.status, { "content-type": "application/json", ...headers, ...answer.headers }).end(body);
    return;
  }
  const reply = replyBody(asked, answer.text, "finish" in answer ? (answer.finish ?? "stop") : "stop", tokens);
  if ("logprobs" in answer)
    Object.assign((reply as { choices: object[] }).choices[0]!, { logprobs: { content: answer.logprobs } });
  const body = JSON.stringify(reply);
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  if (answer.kind === "cut") response.write(body.slice(0, body.length / 2), () => response.socket?.destroy());
  else response.end(body);
}

function errorBody({ protocol }: Asked, { status, message = "error", code }: Answer & { kind: "status" }): unknown {
  if (protocol === "anthropic") return { type: "error", error: { type: code ?? "api_error", message } };
  if (protocol === "google") return { error: { code: status, message, status: code ?? "ERROR" } };
  return { error: { message, type: "error", param: null, code: code ?? null } };
}

function replyBody({ protocol, model }: Asked, text: string, finish: string, { input, output }: Tokens): unknown {
  if (protocol === "anthropic") {
    const stop = { stop: "end_turn", length: "max_tokens", content_filter: "refusal" }[finish] ?? finish;
    return {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model,
      content: text ? [{ type: "text", text }] : [],
      stop_reason: stop,
      stop_sequence: null,
      usage: { input_tokens: input, output_tokens: output },
    };
  }
  if (protocol === "google") {
    const stop = { stop: "STOP", length: "MAX_TOKENS", content_filter: "SAFETY" }[finish] ?? finish;
    return {
      candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason: stop, index: 0 }],
      usageMetadata: { promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output },
      modelVersion: model,
    };
  }
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: `${model}-2026`,
    choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: finish }],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  };
}
