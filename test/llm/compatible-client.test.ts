import { gzipSync } from "node:zlib";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CallStore } from "../../src/llm/call-store.ts";
import { Engine } from "../../src/llm/engine.ts";
import { openModel } from "../../src/llm/open-model.ts";
import { flatPrice } from "../../src/llm/price.ts";
import type { ModelRequest } from "../../src/llm/request.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* Servers of OpenAI's protocol that do something otherwise: the first part of the path says what. */

type Body = Record<string, unknown> & { messages: { role: string; content: string }[] };
interface Said {
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
const refuse = (message: string, status = 400) => ({ status, body: JSON.stringify({ error: { message } }) });
const chunk = (content: string, finish: string | null) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;

let calls = 0;
const servers: Record<string, (body: Body) => Said> = {
  gzip: () => ({ body: gzipSync(good()), headers: { "content-encoding": "gzip" } }),
  done: () => ({ body: `${good()}\n\ndata: [DONE]` }),
  stream: () => ({ body: `${chunk("4\nfi", null)}${chunk("ne", "stop")}data: [DONE]\n\n` }),
  parts: () => ({
    body: good([
      { type: "thinking", thinking: "hm 2" },
      { type: "text", text: "4\nfine" },
    ]),
  }),
  bom: () => ({ body: `\uFEFF${good()}` }),
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
      const { status = 200, headers = {}, body: said } = servers[request.url!.split("/")[1]!]!(body);
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
  test.each(["gzip", "done", "stream", "parts", "bom"])("%s", async (name) => {
    seen.length = 0;
    const { outcomes } = await askServer(name);
    expect(outcomes).toMatchObject([{ state: "replied", text: "4\nfine" }, { state: "replied" }]);
    expect(seen.every(({ stream }) => stream === false)).toBe(true);
    expect(seen).toHaveLength(2);
  });

  test("a stream with line separators in its text, and errors that are null", async () => {
    const { outcomes } = await askServer("stream-odd");
    expect(outcomes[0]).toMatchObject({ state: "replied", text: "4\u2028fine" });
  });

  test("an error in a 200 is that error: tried again, and nothing is perhaps paid", async () => {
    const { outcomes, purse } = await askServer("busy-in-200");
    expect(outcomes).toMatchObject([{ state: "replied" }, { state: "replied" }]);
    expect(purse).toEqual({ paid: 0, perhapsPaid: 0, reserved: 0 });
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
