import { deflateRawSync, gzipSync } from "node:zlib";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CallStore } from "../../src/llm/call-store.ts";
import { readBody, readCompletion } from "../../src/llm/chat-reply.ts";
import { Engine } from "../../src/llm/engine.ts";
import { openModel } from "../../src/llm/open-model.ts";
import { flatPrice } from "../../src/llm/price.ts";
import type { ModelRequest } from "../../src/llm/request.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* Servers of OpenAI's protocol that do something otherwise: the first part of the path says what. */

type Body = Record<string, unknown> & { messages: { role: string; content: string }[] };
interface Said {
  /** Sent before the reply, as a server does that was asked whether to go on. */
  readonly saysContinue?: boolean;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: string | Uint8Array;
}

const good = (content: unknown = "4\nfine") =>
  JSON.stringify({
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  });
const withChoice = (choice: object) =>
  JSON.stringify({
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop", ...choice }],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  });
const withUsage = (usage: object) => ({
  body: JSON.stringify({
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 100, completion_tokens: 20, ...usage },
  }),
});
const refuse = (message: string, status = 400) => ({ status, body: JSON.stringify({ error: { message } }) });
const chunk = (content: string, finish: string | null) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;

let calls = 0;
const servers: Record<string, (body: Body) => Said> = {
  "raw-deflate": () => ({ body: deflateRawSync(good()), headers: { "content-encoding": "deflate" } }),
  "no-gzip": () => ({ body: good(), headers: { "content-encoding": "gzip" } }),
  "large-header": () => ({ body: good(), headers: { "x-trace": "a".repeat(40_000) } }),
  ...Object.fromEntries(
    ["truncated", "out_of_tokens", "user_stop", "budget_exceeded"].map((reason) => [
      `ends-${reason}`,
      () => ({ body: withChoice({ finish_reason: reason }) }),
    ]),
  ),
  gzip: () => ({ body: gzipSync(good()), headers: { "content-encoding": "gzip" } }),
  done: () => ({ body: `${good()}\n\ndata: [DONE]` }),
  stream: () => ({ body: `${chunk("4\nfi", null)}${chunk("ne", "stop")}data: [DONE]\n\n` }),
  "stream-cut": () => ({ body: `${chunk("4", null)}${chunk(".5", "stop").slice(0, 40)}` }),
  "content-number": () => ({ body: good(4) }),
  "content-object": () => ({ body: good({ type: "text", text: "4" }) }),
  "output-text": () => ({ body: good([{ type: "output_text", text: "4" }]) }),
  "wrapped-result": () => ({ body: `{"code": 0, "result": ${good("4")}}` }),
  "wrapped-error": () => ({
    body: `{"error": {"message": "content moderation failed", "code": 400}, "data": ${good("4")}}`,
  }),
  "wrapped-failure": () => ({ body: `{"success": false, "message": "invalid request", "result": ${good("4")}}` }),
  "stream-progress": () => ({
    body: `data: {"id":"1","status":"started","message":"processing"}\n\n${chunk("4", null)}${chunk("", "stop")}data: [DONE]\n\n`,
  }),
  "wrapped-list": () => ({ body: `[${good("4")}]` }),
  "wrapped-text": () => ({ body: JSON.stringify(good("4")) }),
  "stream-vllm-error": () => ({
    body: `${chunk("4", null)}data: {"object":"error","message":"CUDA out of memory","code":500}\n\ndata: [DONE]\n\n`,
  }),
  "stream-error-event": () => ({
    body: `${chunk("4", null)}event: error\ndata: {"type":"internal_error","message":"died"}\n\n`,
  }),
  "stream-error-alone": () => ({ body: 'data: {"object":"error","message":"died","code":500}\n\ndata: [DONE]\n\n' }),
  "stream-filtered": () => ({ body: `${chunk("4", "content_filter")}${chunk("", "stop")}data: [DONE]\n\n` }),
  "stream-usage-null": () => ({
    body: `${chunk("4", "stop").replace('"id"', '"usage":{"prompt_tokens":100,"completion_tokens":20},"id"')}data: {"choices":[],"usage":null}\n\ndata: [DONE]\n\n`,
  }),
  "stream-unended": () => ({ body: chunk("4", null) }),
  "stream-hole": () => ({
    body: `${chunk("4", null)}data: {"choices": [{"del\n\n${chunk("", "stop")}data: [DONE]\n\n`,
  }),
  "stream-other-choice": () => ({
    body: `${chunk("2", null).replace('"index":0', '"index":1')}${chunk("4", "stop")}${chunk(".5", "stop").replace('"index":0', '"index":1')}data: [DONE]\n\n`,
  }),
  "other-choice-first": () => ({
    body: JSON.stringify({
      choices: [
        { index: 1, message: { content: "2" }, finish_reason: "stop" },
        { index: 0, message: { content: "4" }, finish_reason: "stop" },
      ],
    }),
  }),
  "empty-errors": () => ({
    body: JSON.stringify({ ...(JSON.parse(good()) as object), error: { code: 0, message: "", details: [] } }),
  }),
  "odd-index": () => ({ body: good().replace('"index":0', '"index":"0"') }),
  "stream-empty-errors": () => ({
    body: `${chunk("4\nfine", null).replace('"id"', '"error":{},"id"')}${chunk("", "stop")}data: [DONE]\n\n`,
  }),
  "choice-error": () => ({ body: withChoice({ error: { code: 400, message: "upstream died" } }) }),
  "error-beside-text": () => ({
    body: JSON.stringify({ ...(JSON.parse(good("4")) as object), error: { code: 400, message: "died" } }),
  }),
  abort: () => ({ body: withChoice({ finish_reason: "abort" }) }),
  "max-tokens": () => ({ body: withChoice({ finish_reason: "max_tokens" }) }),
  "capital-length": () => ({ body: withChoice({ finish_reason: "LENGTH" }) }),
  "length-object": () => ({ body: withChoice({ finish_reason: { type: "length", length: 1 } }) }),
  "stop-object": () => ({ body: withChoice({ finish_reason: { type: "stop", matched: 128_009 } }) }),
  "ends-in-number": () => ({ body: withChoice({ finish_reason: 1 }) }),
  safety: () => ({ body: withChoice({ finish_reason: "SAFETY" }) }),
  "impossible-logprobs": () => ({
    body: withChoice({ logprobs: { content: [{ token: "4", logprob: 1000, top_logprobs: [] }] } }),
  }),
  "certain-of-each": () => ({
    body: withChoice({
      logprobs: {
        content: [
          {
            token: "4",
            logprob: 0,
            top_logprobs: ["4", "3", "2"].map((token) => ({ token, logprob: 0 })),
          },
        ],
      },
    }),
  }),
  "key-in-logprobs": () => ({
    body: withChoice({
      logprobs: {
        content: ["sk-SECRET", "SECRET", "SECRET1234567890"].map((token) => ({
          token,
          logprob: -0.1,
          top_logprobs: [],
        })),
      },
    }),
  }),
  "parts-without-type": () => ({
    body: withChoice({ message: { role: "assistant", content: [{ text: "Hm", thought: true }, { text: "4\nfine" }] } }),
  }),
  parts: () => ({
    body: good([
      { type: "thinking", thinking: "hm 2" },
      { type: "text", text: "4\nfine" },
    ]),
  }),
  bom: () => ({ body: `\uFEFF${good()}` }),
  "utf-16": () => ({ body: Buffer.from(good(), "utf16le") }),
  "utf-16-bom": () => ({ body: Buffer.from(`\uFEFF${good()}`, "utf16le").swap16() }),
  "named-latin-1": () => ({
    body: good("4\nfin\u00e9"),
    headers: { "content-type": "application/json; charset=ISO-8859-1" },
  }),
  "latin-1": () => ({
    body: Buffer.from(good("4\nfin\u00e9"), "latin1"),
    headers: { "content-type": "application/json; charset=iso-8859-1" },
  }),
  continues: () => ({ body: good(), saysContinue: true }),
  "busy-in-200": () =>
    ++calls % 2 === 1
      ? { body: JSON.stringify({ error: { message: "rate-limited upstream", code: 429 } }) }
      : { body: good() },
  "limit-name": ({ max_tokens: limit }) =>
    limit === undefined
      ? { body: good() }
      : refuse(
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
  "limit-name-busy": ({ max_tokens: limit }) =>
    limit !== undefined
      ? refuse("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
      : ++calls % 3 === 0
        ? { body: good() }
        : refuse("Slow down", 429),
  "stream-odd": () => ({
    body: `data: {"error":null,"choices":[{"delta":{"content":"4\u2028fi"}}]}\n\ndata: {"error":null,"choices":[{"delta":{"content":"ne"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`,
  }),
  "top-p": ({ top_p: share }) =>
    share === undefined ? { body: good() } : refuse("`top_p` must be > 0.0 and < 1.0", 422),
  "no-system": ({ messages }) =>
    messages.some(({ role }) => role === "system")
      ? refuse("System role not supported")
      : { body: good(messages[0]!.content) },
  temperature: () => refuse("Unsupported value: 'temperature' does not support 0 with this model."),
  bomb: () => ({ body: gzipSync(Buffer.alloc(80 * 1024 * 1024, "x")), headers: { "content-encoding": "gzip" } }),
  "limit-value": ({ max_tokens: limit }) =>
    limit === undefined ? { body: good() } : refuse("max_tokens must be at most 10, got 50"),
  "a-system": () => refuse("The file system is full"),
  "whole-message-stream": () => ({ body: `data: ${good()}\n\ndata: [DONE]\n\n` }),
  "gzip-twice": () => ({ body: gzipSync(gzipSync(good())), headers: { "content-encoding": "gzip, gzip" } }),
  "success-in-error": () => ({
    body: JSON.stringify({ ...(JSON.parse(good()) as object), error: { code: "0", message: "success" } }),
  }),
  "lone-half": () => ({ body: good("4\nfine \ud800").replace("\ufffd", "\\ud800") }),
  "max-output": () => ({ body: withChoice({ finish_reason: "max_output" }) }),
  sensitive: () => ({ body: withChoice({ finish_reason: "sensitive" }) }),
  "reasoning-apart": () => withUsage({ total_tokens: 5120, completion_tokens_details: { reasoning_tokens: 5000 } }),
  "cached-apart": () => withUsage({ total_tokens: 1120, prompt_tokens_details: { cached_tokens: 1000 } }),
  "cache-created-apart": () => withUsage({ total_tokens: 2120, cache_creation_input_tokens: 2000 }),
  "cached-within": () =>
    withUsage({
      prompt_tokens: 1000,
      completion_tokens: 5,
      total_tokens: 1005,
      cache_read_input_tokens: 600,
      cache_creation_input_tokens: 600,
    }),
  "cached-in-the-other-spelling": () =>
    withUsage({ prompt_tokens_details: { cached_tokens: 0 }, cache_read_input_tokens: 900 }),
  "cached-at-the-top": () => withUsage({ cache_creation_input_tokens: 500, cache_read_input_tokens: 300 }),
  "reasoning-at-the-top": () => withUsage({ total_tokens: 120, reasoning_tokens: 300 }),
  "cached-in-total": () =>
    withUsage({
      prompt_tokens: 1000,
      completion_tokens: 50,
      total_tokens: 1150,
      prompt_tokens_details: { cached_tokens: 100 },
    }),
  "no-tokens": () => withUsage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
  "error-with-usage": () => ({
    body: JSON.stringify({
      error: { code: 500, message: "died" },
      usage: { prompt_tokens: 100, completion_tokens: 20 },
    }),
  }),
  "vllm-error": () => ({ body: '{"object":"error","message":"The model `m` does not exist.","code":404}' }),
  "cloudflare-error": () => ({ body: '{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}' }),
  "minimax-error": () => ({
    body: '{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}',
  }),
  "dashscope-error": () => ({ body: '{"code":"InvalidApiKey","message":"Invalid API-key provided."}' }),
  "baidu-error": () =>
    ++calls % 2 === 1
      ? { body: '{"error_code":18,"error_msg":"Open api qps request limit reached"}' }
      : { body: good() },
  "fine-words": () => ({ body: '{"status":"healthy","message":"running"}' }),
  endless: () => ({ body: "x".repeat(70 * 1024 * 1024) }),
  "key-in-200": () => ({ body: JSON.stringify({ error: { message: "Invalid API key", code: 401 } }) }),
};

let server: Server;
let origin = "";
const seen: Body[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Body;
      seen.push(body);
      const { status = 200, headers = {}, body: said, saysContinue } = servers[request.url!.split("/")[1]!]!(body);
      if (saysContinue) response.writeContinue();
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const ask = (text: string): ModelRequest => ({
  messages: [
    { role: "system", text: "You rate." },
    { role: "user", text },
  ],
  sampling: { temperature: 0, topP: 1, maxOutputTokens: 50 },
});

async function askServer(name: string) {
  using folder = tempFolder();
  using store = new CallStore(`${folder.path}/calls.sqlite`);
  const model = await openModel(`${origin}/${name}/v1#m`, { environment: {} });
  const engine = new Engine(model, { store, purse: "run", concurrency: 1 });
  const outcomes = [await engine.call(ask("one")), await engine.call(ask("two"))];
  return { outcomes, engine, notes: model.notes!(), purse: store.purse("run") };
}

describe("replies that are read", () => {
  test.each(["truncated", "out_of_tokens", "user_stop", "budget_exceeded"])(
    "an ending that nobody knows is one that may have cut the text: %s",
    async (reason) => {
      const { outcomes } = await askServer(`ends-${reason}`);
      expect(outcomes[0]).toMatchObject({ state: "replied", text: "4", finish: "unclear" });
    },
  );

  test.each([
    "gzip",
    "raw-deflate",
    "no-gzip",
    "large-header",
    "done",
    "stream",
    "parts",
    "parts-without-type",
    "bom",
    "utf-16",
    "utf-16-bom",
    "continues",
    "empty-errors",
    "odd-index",
    "stream-empty-errors",
    "whole-message-stream",
    "gzip-twice",
    "success-in-error",
  ])("%s", async (name) => {
    seen.length = 0;
    const { outcomes } = await askServer(name);
    expect(outcomes).toMatchObject([{ state: "replied", text: "4\nfine" }, { state: "replied" }]);
    expect(seen.every(({ stream }) => stream === false)).toBe(true);
    expect(seen).toHaveLength(2);
  });

  test.each(["latin-1", "named-latin-1"])(
    "the encoding that a reply names, where its bytes are no UTF-8: %s",
    async (name) => {
      const { outcomes } = await askServer(name);
      expect(outcomes[0]).toMatchObject({ state: "replied", text: "4\nfin\u00e9" });
    },
  );

  test.each([
    "content-number",
    "content-object",
    "output-text",
    "wrapped-result",
    "wrapped-list",
    "wrapped-text",
    "stream-progress",
  ])("a text in another place: %s", async (name) => {
    const { outcomes } = await askServer(name);
    expect(outcomes[0]).toMatchObject({ state: "replied", text: "4", finish: "stop" });
  });

  test("a stream with line separators in its text, and errors that are null", async () => {
    const { outcomes } = await askServer("stream-odd");
    expect(outcomes[0]).toMatchObject({ state: "replied", text: "4\u2028fine" });
  });

  test("an error in a 200 is that error: tried again, and nothing is perhaps paid", async () => {
    const { outcomes, purse } = await askServer("busy-in-200");
    expect(outcomes).toMatchObject([{ state: "replied" }, { state: "replied" }]);
    expect(purse).toMatchObject({ paid: 0, perhapsPaid: 0, reserved: 0 });
  });

  test.each([
    ["endless", "larger than 64 MB"],
    ["bomb", "larger than"],
  ])("a reply that is far too large is broken off, and perhaps paid: %s", async (name, why) => {
    using folder = tempFolder();
    using store = new CallStore(`${folder.path}/calls.sqlite`);
    const model = await openModel(`${origin}/${name}/v1#m`, { environment: {}, price: flatPrice(1, 1) });
    const engine = new Engine(model, { store, purse: "run", maxAttempts: 1 });
    const outcome = await engine.call(ask("one"));
    expect(outcome).toMatchObject({ state: "failed" });
    expect(outcome).toHaveProperty("detail", expect.stringContaining(why));
    expect(store.purse("run").perhapsPaid).toBeGreaterThan(0);
  });

  /** One attempt, with the probabilities of tokens or without. */
  async function askOnce(name: string, { key = "", topLogprobs }: { key?: string; topLogprobs?: number } = {}) {
    using folder = tempFolder();
    using store = new CallStore(`${folder.path}/calls.sqlite`);
    const environment = { ALPAGASUS_API_KEY: key };
    const model = await openModel(`${origin}/${name}/v1#m`, { environment, price: flatPrice(1, 1) });
    const engine = new Engine(model, { store, purse: "run", maxAttempts: 1 });
    return { outcome: await engine.call({ ...ask("one"), topLogprobs }), purse: store.purse("run") };
  }

  test.each(["stream-cut", "stream-unended", "stream-hole", "abort"])(
    "a reply that broke off is no reply, and perhaps paid: %s",
    async (name) => {
      const { outcome, purse } = await askOnce(name);
      expect(outcome).toMatchObject({ state: "failed" });
      expect(purse.perhapsPaid).toBeGreaterThan(0);
    },
  );

  test("a null takes no tokens back that a stream has told", async () => {
    expect((await askOnce("stream-usage-null")).purse).toMatchObject({ paid: 100 * 1000 + 20 * 1000 });
  });

  test("a stream that an error broke off is no reply, and a filter's word counts", async () => {
    for (const name of [
      "stream-vllm-error",
      "stream-error-event",
      "stream-error-alone",
      "wrapped-error",
      "wrapped-failure",
    ])
      expect((await askOnce(name)).outcome, name).toMatchObject({ state: "failed" });
    expect((await askOnce("stream-filtered")).outcome).toMatchObject({ finish: "content-filter" });
  });

  test.each(["stream-other-choice", "other-choice-first"])(
    "the choice that was asked for is number 0: %s",
    async (name) => {
      expect((await askOnce(name)).outcome).toMatchObject({ state: "replied", text: "4" });
    },
  );

  test.each([
    ["choice-error", "upstream died"],
    ["error-beside-text", "died"],
  ])("an error beside a text is the error: %s", async (name, why) => {
    const { outcome } = await askOnce(name);
    expect(outcome).toMatchObject({ state: "failed", detail: expect.stringContaining(why) as string });
  });

  test.each([
    ["max-tokens", "length"],
    ["capital-length", "length"],
    ["length-object", "length"],
    ["stop-object", "stop"],
    ["ends-in-number", "unclear"],
    ["safety", "content-filter"],
    ["max-output", "length"],
    ["sensitive", "content-filter"],
  ])("an ending in other words is that ending: %s", async (name, finish) => {
    expect((await askOnce(name)).outcome).toMatchObject({ state: "replied", finish });
  });

  test("probabilities over 1 are none, and a key in tokens is not kept", async () => {
    const tokensOf = async (...asked: Parameters<typeof askOnce>) => {
      const { outcome } = await askOnce(...asked);
      expect(outcome.state).toBe("replied");
      return (outcome as { readonly logprobs?: unknown }).logprobs;
    };
    for (const name of ["impossible-logprobs", "certain-of-each"])
      expect(await tokensOf(name, { topLogprobs: 5 })).toBeUndefined();
    expect(await tokensOf("key-in-logprobs", { topLogprobs: 5 })).toHaveLength(3);
    expect(
      await tokensOf("key-in-logprobs", { topLogprobs: 5, key: "sk-SECRETSECRETSECRET1234567890" }),
    ).toBeUndefined();
    expect(await tokensOf("key-in-logprobs")).toBeUndefined(); // nobody asked
  });

  test.each([
    ["reasoning-apart", 100 + 5020],
    ["cached-apart", 1100 + 20],
    ["cache-created-apart", 2100 + 20],
    ["cached-in-total", 1100 + 50],
    ["cached-at-the-top", 100 + 800 + 20],
    ["cached-within", 1000 + 5],
    ["cached-in-the-other-spelling", 100 + 900 + 20],
    ["reasoning-at-the-top", 100 + 320],
  ])("tokens beside the counts are paid for, too: %s", async (name, tokens) => {
    const { purse } = await askOnce(name);
    expect(purse.paid).toBe(1000 * tokens); // at a dollar for a million
  });

  test("a text of no tokens costs what was reserved", async () => {
    const { outcome, purse } = await askOnce("no-tokens");
    expect(outcome).toMatchObject({ state: "replied" });
    expect(purse.paid).toBeGreaterThan(50_000);
  });

  test("an error that says what it used is perhaps paid", async () => {
    const { outcome, purse } = await askOnce("error-with-usage");
    expect(outcome).toMatchObject({ state: "failed" });
    expect(purse.perhapsPaid).toBeGreaterThan(0);
  });

  test("half a character is the same text now and from the store", async () => {
    expect((await askOnce("lone-half")).outcome).toMatchObject({ text: "4\nfine \ufffd" });
  });

  test.each([
    ["vllm-error", "no such model or address (404: 404: The model `m` does not exist.)"],
    ["cloudflare-error", "the key was not accepted (401: 10000: Authentication error)"],
    ["minimax-error", "the account has no money or quota left (402: 1008: insufficient balance)"],
    ["dashscope-error", "the key was not accepted (401: InvalidApiKey: Invalid API-key provided.)"],
  ])("a 200 with an error in other words is that error, and costs nothing: %s", async (name, why) => {
    const { engine, purse } = await askServer(name);
    expect(engine.failure?.message).toContain(why);
    expect(purse.perhapsPaid).toBe(0);
  });

  test("words that say that all is well are no error", async () => {
    const { outcome } = await askOnce("fine-words");
    expect(outcome).toMatchObject({ detail: expect.stringContaining("no choices in it") as string });
  });

  test("a limit in other words is waited for", async () => {
    const { outcomes, purse } = await askServer("baidu-error");
    expect(outcomes).toMatchObject([{ state: "replied" }, { state: "replied" }]);
    expect(purse.perhapsPaid).toBe(0);
  });

  test("a wrong key in a 200 stops", async () => {
    const { engine } = await askServer("key-in-200");
    expect(engine.failure?.message).toContain("the key was not accepted");
  });
});

describe("parameters that a server refuses", () => {
  test.each([
    ["limit-name", "max_completion_tokens"],
    ["top-p", "top_p 1 is left out"],
    ["no-system", "head of the user's"],
  ])("%s: tried the other way once, kept, and said", async (name, note) => {
    seen.length = 0;
    const { outcomes, notes } = await askServer(name);
    expect(outcomes).toMatchObject([{ state: "replied" }, { state: "replied" }]);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(note);
    expect(seen).toHaveLength(3); // refused, the other way, and that way at once
    if (name === "no-system") expect(outcomes[0]).toMatchObject({ text: "You rate.\n\none" });
  });

  test.each(["limit-value", "a-system"])("%s: no refusal of a parameter, so nothing else is sent", async (name) => {
    seen.length = 0;
    const { notes } = await askServer(name);
    expect(notes).toEqual([]);
    expect(seen).toHaveLength(2);
  });

  test("a busy server is tried again in the other way, not taken for one that refuses it", async () => {
    calls = 0;
    const { outcomes, engine } = await askServer("limit-name-busy");
    expect(outcomes).toMatchObject([{ state: "replied" }, { state: "replied" }]);
    expect(engine.failure).toBeUndefined();
  });

  test("what cannot be guessed is named", async () => {
    const { engine } = await askServer("temperature");
    expect(engine.failure?.message).toContain("it does not accept temperature");
  });
});

describe("the text of a completion", () => {
  const complete = (body: string) =>
    readCompletion(readBody({ status: 200, headers: {}, bytes: new TextEncoder().encode(body) }).value);

  test("keeps texts apart that something stands between", () => {
    const parts = [
      { type: "text", text: "1" },
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "0" },
    ];
    expect(complete(good(parts))).toMatchObject({ content: [{ text: "1\n0" }] });
    expect(complete(good([parts[0], parts[2]]))).toMatchObject({ content: [{ text: "10" }] });
  });

  test("keeps them apart in a stream, too", () => {
    const streamed = (deltas: readonly object[]) =>
      deltas
        .map(
          (delta, i) =>
            `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: i === deltas.length - 1 ? "stop" : null }] })}\n\n`,
        )
        .join("") + "data: [DONE]\n\n";
    for (const between of [
      { content: [{ type: "thinking", thinking: [] }] },
      { reasoning_content: "hm" },
      { tool_calls: [{}] },
    ])
      expect(complete(streamed([{ content: "1" }, between, { content: "0" }]))).toMatchObject({
        content: [{ text: "1\n0" }],
      });
    expect(
      complete(streamed([{ reasoning_content: "hm" }, { content: "1" }, { content: "" }, { content: "0" }])),
    ).toMatchObject({
      content: [{ text: "10" }],
    });
  });

  test("brings its token probabilities from a stream, too", () => {
    const tokens = ["4", "\n"].map((token) => ({ token, logprob: -0.1, top_logprobs: [] }));
    const chunks = tokens.map((one, i) => {
      const choice = { index: 0, delta: { content: one.token }, logprobs: { content: [one] } };
      return `data: ${JSON.stringify({ choices: [{ ...choice, finish_reason: i === 1 ? "stop" : null }] })}\n\n`;
    });
    expect(complete(`${chunks.join("")}data: [DONE]\n\n`)).toMatchObject({
      content: [{ text: "4\n" }],
      providerMetadata: { compatible: { logprobs: tokens } },
    });
  });
});
