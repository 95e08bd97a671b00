import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attemptCall } from "../../src/llm/attempt.ts";
import { openModel } from "../../src/llm/open-model.ts";
import type { Reply } from "../../src/llm/reply.ts";
import type { ModelRequest } from "../../src/llm/request.ts";

/* Gateways that speak the protocols of OpenAI, Anthropic and Google, and do something otherwise. */

const request: ModelRequest = {
  messages: [{ role: "user", text: "Rate." }],
  sampling: { temperature: 0, maxOutputTokens: 50 },
};

const google = (
  extra: object,
  candidates: readonly object[] = [
    { content: { role: "model", parts: [{ text: "4\nfine" }] }, finishReason: "STOP", index: 0 },
  ],
) => JSON.stringify({ candidates, modelVersion: "m-1", ...extra });
const anthropic = (usage: object) =>
  JSON.stringify({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "m-1",
    content: [{ type: "text", text: "4\nfine" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage,
  });
const openai = (usage: object) =>
  JSON.stringify({
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m-1",
    choices: [{ index: 0, message: { role: "assistant", content: "4\nfine" }, finish_reason: "stop" }],
    usage,
  });

describe("a provider behind a gateway", () => {
  let said: { readonly body: string | Uint8Array; readonly headers?: Record<string, string> } = { body: "" };
  let gateway: Server;
  beforeAll(async () => {
    gateway = createServer((incoming, response) => {
      incoming
        .resume()
        .on("end", () =>
          response.writeHead(200, { "content-type": "application/json", ...said.headers }).end(said.body),
        );
    });
    await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => gateway.close());
  const askGateway = async (name: string, model = "m") => {
    const at = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
    const environment = {
      OPENAI_API_KEY: "k",
      OPENAI_BASE_URL: at,
      ANTHROPIC_API_KEY: "k",
      ANTHROPIC_BASE_URL: at,
      GOOGLE_GENERATIVE_AI_API_KEY: "k",
      GOOGLE_GENERATIVE_AI_BASE_URL: at,
    };
    return await attemptCall(await openModel(`${name}:${model}`, { environment }), request, 5_000);
  };
  const providers = {
    openai: {
      of: (i: number, o: number, all: number) => openai({ prompt_tokens: i, completion_tokens: o, total_tokens: all }),
      busy: { error: { message: "The server is overloaded", type: "server_error", code: "503" } },
    },
    anthropic: {
      of: (i: number, o: number) => anthropic({ input_tokens: i, output_tokens: o }),
      busy: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    },
    google: {
      of: (i: number, o: number, all: number) =>
        google({ usageMetadata: { promptTokenCount: i, candidatesTokenCount: o, totalTokenCount: all } }),
      busy: { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } },
    },
  } as const;

  const changed = (text: string, change: (body: Record<string, never>) => unknown) => {
    const body = JSON.parse(text) as Record<string, never>;
    return JSON.stringify(change(body) ?? body);
  };
  const [good, goodMessage] = [providers.openai.of(9, 3, 12), providers.anthropic.of(9, 3)];
  const goodGoogle = providers.google.of(9, 3, 12);
  test.each<[keyof typeof providers, string, string]>([
    ["openai", "a choice without its number", good.replace('"index":0,', "")],
    ["openai", "its number as text", good.replace('"index":0', '"index":"0"')],
    ["openai", "odd logprobs and annotations", good.replace('"index":0', '"index":0,"logprobs":[]')],
    ["openai", "counts as text", good.replace('"prompt_tokens":9', '"prompt_tokens":"9"')],
    ["openai", "a number as id, a time as text", good.replace('"id":"c"', '"id":7').replace(":1,", ':"now",')],
    ["anthropic", "a block of a new kind", goodMessage.replace("[{", '[{"type":"new_kind","data":1},{')],
    ["anthropic", "thinking without signature", goodMessage.replace("[{", '[{"type":"thinking","thinking":"5"},{')],
    ["anthropic", "content as text", changed(goodMessage, (body) => ({ ...body, content: "4\nfine" }))],
    ["anthropic", "a number as stop_sequence", goodMessage.replace('"stop_sequence":null', '"stop_sequence":3')],
    ["google", "counts as text", goodGoogle.replace('"promptTokenCount":9', '"promptTokenCount":"9"')],
    ["google", "odd ratings", goodGoogle.replace('"index":0', '"index":0,"safetyRatings":"none"')],
    ["google", "the object in a list", `[${goodGoogle}]`],
  ])("%s: a text is read beside what its client refuses: %s", async (name, _, body) => {
    said = { body };
    expect(await askGateway(name)).toMatchObject({
      reply: { text: "4\nfine", finish: "stop", usage: { inputTokens: 9, outputTokens: 3 } },
    });
  });

  const responses = (parts: readonly object[], more: object = {}) =>
    JSON.stringify({
      object: "response",
      status: "completed",
      model: "m-1",
      output: parts,
      usage: { input_tokens: 9, output_tokens: 3, output_tokens_details: { reasoning_tokens: 1 } },
      ...more,
    });
  const message = (text: string, more: object = {}) => ({
    type: "message",
    role: "assistant",
    id: "msg",
    content: [{ type: "output_text", text, annotations: [] }],
    ...more,
  });
  const incomplete = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };
  const oddUsage = { input_tokens: "9", output_tokens: "3" };
  const refused = message("", { content: [{ type: "refusal", refusal: "No.", why: 1 }], id: undefined });
  test.each<[string, string, object]>([
    ["an item of a new kind", responses([{ type: "new_kind" }, message("4\nfine")]), {}],
    ["a message without id", responses([message("4\nfine", { id: undefined })]), {}],
    ["content as text", responses([message("", { content: "4\nfine" })]), {}],
    ["no annotations", responses([message("", { content: [{ type: "output_text", text: "4\nfine" }] })]), {}],
    ["counts as text", responses([message("4\nfine")], { usage: oddUsage }), {}],
    ["an ending", responses([message("4\nfine", { id: 7 })], incomplete), { finish: "length" }],
    ["a refusal", responses([refused]), { text: "No.", finish: "content-filter" }],
    ["a reasoning", responses([{ type: "reasoning", summary: "5" }, message("4\nfine")]), {}],
    ["talk before", responses([message("5", { phase: "commentary", id: 7 }), message("4\nfine")]), {}],
    ["several messages", responses([message("Rating: 3."), message("4\nfine")]), { text: "Rating: 3.\n4\nfine" }],
    ["a message that is cut", responses([message("4\nfine", { status: "incomplete" })]), { finish: "length" }],
    ["no output", responses([], { output: undefined, ...incomplete }), { text: "", finish: "length" }],
    ["nothing that says what it is", responses([message("4\nfine")], { object: undefined }), {}],
    [
      "talk that was cut",
      responses([message("5", { phase: "commentary" })], incomplete),
      { text: "", finish: "length" },
    ],
    ["talk alone", responses([message("4\nfine", { phase: "commentary" })]), {}],
    ["its parts under another name", responses([message("", { content: [{ type: "text", text: "4\nfine" }] })]), {}],
    ["the text alone", responses([], { output_text: "4\nfine" }), {}],
    ["talk that its client reads", responses([message("5", { phase: "commentary" }), message("4\nfine")]), {}],
  ])("OpenAI's Responses API: a text is read beside %s", async (_, body, expected) => {
    said = { body };
    expect(await askGateway("openai", "o3-pro")).toMatchObject({
      reply: { text: "4\nfine", finish: "stop", usage: { inputTokens: 9, outputTokens: 3 }, ...expected },
    });
  });

  test("OpenAI's Responses API: a reply that failed, or is not done, is none", async () => {
    for (const more of [
      { status: "failed", error: { code: "server_error", message: "sorry" } },
      { status: "cancelled" },
      { status: "in_progress" },
      { status: "failed", object: undefined },
    ]) {
      said = { body: responses([message("4\nfine", { id: 7 })], more) };
      expect(await askGateway("openai", "o3-pro")).toMatchObject({ kind: "retry" });
    }
  });

  test.each<[keyof typeof providers, string]>([
    [
      "anthropic",
      changed(goodMessage, (body) => ({
        ...body,
        content: [
          { type: "text", text: "Rating: 3." },
          { type: "thinking", thinking: "5", signature: "s" },
          { type: "text", text: "4\nfine" },
        ],
      })),
    ],
    ["google", goodGoogle.replace('[{"text":', '[{"text":"Rating: 3."},{"text":"5","thought":true},{"text":')],
    ["google", goodGoogle.replace('[{"text":', '[{"text":"Rating: 3."},{"new":1},{"text":').replace(":9", ':"9"')],
  ])("%s: texts with something between them do not run together", async (name, body) => {
    said = { body };
    expect(await askGateway(name)).toMatchObject({ reply: { text: "Rating: 3.\n4\nfine" } });
  });

  test("of several choices the one that was asked for is read, and an error in it is one", async () => {
    const choice = '[{"index":1,"message":{"role":"assistant","content":"1"},"finish_reason":"stop"},{"index":0';
    said = { body: good.replace('[{"index":0', choice) };
    expect(await askGateway("openai")).toMatchObject({ reply: { text: "4\nfine" } });
    const candidate = '[{"content":{"role":"model","parts":[{"text":"1"}]},"finishReason":"STOP","index":1},{"content"';
    said = { body: goodGoogle.replace('[{"content"', candidate) };
    expect(await askGateway("google")).toMatchObject({ reply: { text: "4\nfine" } });
    const blocked = '[{"index":0,"finishReason":"SAFETY"},{"content"';
    said = { body: goodGoogle.replace('[{"content"', blocked).replace(/"index":0\}\]/, '"index":1}]') };
    expect(await askGateway("google")).toMatchObject({ reply: { finish: "content-filter" } });
    said = { body: good.replace('{"id"', '{"error":"none","id"') };
    expect(await askGateway("openai")).toMatchObject({ reply: { text: "4\nfine" } });
    said = { body: good.replace('"index":0', '"index":0,"error":{"code":502,"message":"upstream died"}') };
    expect(await askGateway("openai")).toMatchObject({ kind: "retry", mayBePaid: true });
  });

  test.each(Object.keys(providers) as (keyof typeof providers)[])(
    "%s: a text of no tokens has no usage, an error in a 200 is that error, and any body is read",
    async (name) => {
      const { of, busy } = providers[name];
      for (const [input, output] of [
        [0, 0],
        [9, 0],
        [0, 3],
      ] as const) {
        said = { body: of(input, output, input + output) };
        const { reply } = (await askGateway(name)) as { reply: Reply };
        expect([reply.text, reply.usage]).toEqual(["4\nfine", undefined]);
      }
      said = { body: of(9, 3, 12) };
      expect(await askGateway(name)).toMatchObject({ reply: { usage: { inputTokens: 9, outputTokens: 3 } } });
      if (name !== "anthropic") {
        said = { body: of(100, 20, 5_120) };
        expect(await askGateway(name)).toMatchObject({ reply: { usage: { inputTokens: 100, outputTokens: 5_020 } } });
      }
      said = { body: JSON.stringify(busy) };
      expect(await askGateway(name)).toMatchObject({ kind: "retry", isCongestion: true, mayBePaid: false });
      for (const packed of [
        { body: gzipSync(of(9, 3, 12)), headers: { "content-encoding": "gzip" } },
        { body: Buffer.from(of(9, 3, 12), "utf16le") },
      ]) {
        said = packed;
        expect(await askGateway(name)).toMatchObject({ reply: { text: "4\nfine" } });
      }
    },
  );
});
