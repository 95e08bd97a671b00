import type { LanguageModelV4, LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { askInOrder } from "../../src/llm/ask-in-order.ts";
import { CallStore } from "../../src/llm/call-store.ts";
import { Engine, type EngineOptions } from "../../src/llm/engine.ts";
import { modelOf, type ChatModel } from "../../src/llm/chat-model.ts";
import { openModel } from "../../src/llm/open-model.ts";
import { flatPrice } from "../../src/llm/price.ts";
import type { CallOutcome } from "../../src/llm/reply.ts";
import type { ModelRequest } from "../../src/llm/request.ts";
import { createRandom } from "../../src/stats/random.ts";
import { faulty, startModelServer, type Answer, type Asked } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { howOften, isLong } from "../helpers/long.ts";

const sampling = { temperature: 0, maxOutputTokens: 100 };

function ask(text: string): ModelRequest {
  return {
    messages: [
      { role: "system", text: "You rate." },
      { role: "user", text },
    ],
    sampling,
  };
}

/** Asks many things at a time. */
function askAll(engine: Engine, texts: readonly string[]): Promise<CallOutcome[]> {
  return Promise.all(texts.map(async (text) => engine.call(ask(text))));
}

const rows = (count: number) => Array.from({ length: count }, (_, i) => `row ${i}`);

/** An engine over a store of its own, that does not wait long. */
function openEngine(model: ChatModel, options: Partial<EngineOptions> = {}) {
  const folder = tempFolder();
  const store = options.store ?? new CallStore(`${folder.path}/calls.sqlite`);
  const engine = new Engine(model, { store, purse: "test", timeoutMs: 5000, ...options });
  return {
    engine,
    store,
    [Symbol.dispose]: () => {
      if (!options.store) store[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

const rateLimit = (headers: Record<string, string>): Answer => ({
  kind: "status",
  status: 429,
  message: "Slow down",
  headers,
});

describe("what is tried again", () => {
  const passing: [name: string, answer: Answer][] = [
    ...[408, 409, 425, 429, 500, 502, 503, 504, 529].map(
      (status) => [String(status), { kind: "status", status }] as [string, Answer],
    ),
    ["a connection that is lost", { kind: "reset" }],
    ["a reply that is cut off", { kind: "cut", text: "4.5\nBecause it is." }],
    ["a reply that is no JSON", { kind: "raw", status: 200, type: "application/json", body: '{"choices": [' }],
    ["a reply of another protocol", { kind: "raw", status: 200, type: "application/json", body: "{}" }],
    ["silence", { kind: "hang" }],
  ];
  test.concurrent.each(passing)("%s, with the same request", async (_, answer) => {
    const bodies: unknown[] = [];
    await using server = await startModelServer({
      answer: (asked) => {
        bodies.push(asked.body);
        return asked.before === 0 ? answer : "4.5";
      },
    });
    using open = openEngine(await openModel(server.judge), { timeoutMs: 1000 });
    expect(await open.engine.call(ask("a"))).toMatchObject({ state: "replied", text: "4.5" });
    expect(open.engine.report).toMatchObject({ made: 1, attempts: 2, failed: 0 });
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toEqual(bodies[0]);
  });

  test.concurrent.each([
    ["seconds", () => ({ "retry-after": "1" })],
    ["a date", () => ({ "retry-after": new Date(Date.now() + 2000).toUTCString() })],
    ["milliseconds", () => ({ "retry-after-ms": "1000" })],
  ])("not before the provider says, in %s", async (_, headers) => {
    await using server = await startModelServer({
      answer: (asked) => (asked.before === 0 ? rateLimit(headers()) : "4"),
    });
    using open = openEngine(await openModel(server.judge));
    await open.engine.call(ask("a"));
    expect(server.log[1]!.at - server.log[0]!.at).toBeGreaterThan(950); // the date has whole seconds
  });

  test.concurrent("until its attempts are used up; then it has failed, and only --retry-failed asks again", async () => {
    let isBroken = true;
    await using server = await startModelServer({
      answer: () => (isBroken ? { kind: "status", status: 500, message: "Oops" } : "4"),
    });
    const model = await openModel(server.judge);
    using folder = tempFolder();
    using store = new CallStore(`${folder.path}/calls.sqlite`);
    using first = openEngine(model, { store, maxAttempts: 2 });
    const failed = { state: "failed", detail: "gave up after 2 attempts: 500: Oops" };
    expect(await first.engine.call(ask("a"))).toMatchObject(failed);
    isBroken = false;
    using second = openEngine(model, { store });
    expect(await second.engine.call(ask("a"))).toMatchObject(failed);
    using third = openEngine(model, { store, retryFailed: true });
    expect(await third.engine.call(ask("a"))).toMatchObject({ state: "replied", text: "4" });
    expect(server.log).toHaveLength(3);
  });
});

describe("what is one row's fate", () => {
  test.concurrent.each([
    [
      "a context too long",
      { status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 8192 tokens" },
      "failed",
    ],
    [
      "a prompt too long",
      { status: 400, code: "invalid_request_error", message: "prompt is too long: 210000 tokens > 200000 maximum" },
      "failed",
    ],
    ["a body too large", { status: 413, message: "Payload Too Large" }, "failed"],
    [
      "a content filter",
      { status: 400, code: "content_filter", message: "The prompt triggered the content management policy" },
      "refused",
    ],
    ["a request that is not taken", { status: 400, message: "Unpaired surrogate" }, "failed"],
  ] as const)("%s", async (_, status, state) => {
    await using server = await startModelServer({
      answer: (asked) => (asked.user === "odd" ? { kind: "status", ...status } : "4"),
    });
    using open = openEngine(await openModel(server.judge));
    const outcomes = await askAll(open.engine, ["odd", "a", "b", "c"]);
    expect(outcomes.map((outcome) => outcome.state)).toEqual([state, "replied", "replied", "replied"]);
    expect(open.engine.failure).toBeUndefined();
    expect(await open.engine.call(ask("odd"))).toEqual(outcomes[0]); // it is not asked again
    expect(server.log).toHaveLength(4);
  });
});

describe("what stops everything, within the first calls", () => {
  test.concurrent.each([
    [
      "a wrong key",
      { kind: "status", status: 401, message: "Incorrect API key provided: sk-secret-of-mine" },
      /the key was not accepted .*\[key\]/,
    ],
    ["no access", { kind: "status", status: 403, message: "You may not use this model" }, /no access/],
    [
      "an unknown model",
      { kind: "status", status: 404, code: "model_not_found", message: "The model `x` does not exist" },
      /no such model or address/,
    ],
    [
      "an empty account",
      {
        kind: "status",
        status: 429,
        code: "insufficient_quota",
        message: "You exceeded your current quota, please check your plan and billing details",
      },
      /no money or quota/,
    ],
    [
      "a page",
      { kind: "raw", status: 200, type: "text/html", body: "<!doctype html><title>Welcome</title>" },
      /expected JSON, got a page/,
    ],
    ["another address", { kind: "raw", status: 302, type: "text/html", body: "" }, /redirects/],
    [
      "a page that has not changed",
      { kind: "raw", status: 304, type: "text/html", body: "" },
      /answers with status 304/,
    ],
    [
      "a request that is never taken",
      { kind: "status", status: 400, message: "Unsupported parameter: temperature" },
      /does not accept temperature .*Unsupported parameter/,
    ],
    [
      "a wait of hours",
      { kind: "status", status: 429, message: "Daily limit", headers: { "retry-after": "7200" } },
      /asks to wait 120 minutes/,
    ],
  ] as const)("%s", async (_, answer, message) => {
    await using server = await startModelServer({ answer: () => answer, latencyMs: () => 5 });
    const model = await openModel("openai:some-model", {
      environment: { OPENAI_API_KEY: "sk-secret-of-mine", OPENAI_BASE_URL: `${server.origin}/v1` },
    });
    using open = openEngine(model);
    const outcomes = await askAll(open.engine, rows(200));
    await open.engine.idle();
    expect(open.engine.failure?.message).toMatch(message);
    expect(open.engine.failure?.message).not.toContain("sk-secret");
    expect(outcomes.every(({ state }) => state === "pending")).toBe(true);
    expect(server.log.length).toBeLessThanOrEqual(16);
  });

  test.concurrent("nobody at the address", async () => {
    using open = openEngine(await openModel("http://127.0.0.1:1/v1#m"));
    await open.engine.call(ask("a"));
    expect(open.engine.failure?.message).toMatch(/nothing listens at that address/);
  });

  test.runIf(isLong).concurrent("a provider that is gone in the middle", async () => {
    await using server = await startModelServer({
      answer: ({ ordinal }) => (ordinal < 20 ? "4" : { kind: "status", status: 500 }),
    });
    using open = openEngine(await openModel(server.judge), { maxAttempts: 2 });
    const outcomes = await askAll(open.engine, rows(500));
    await open.engine.idle();
    expect(open.engine.failure?.message).toMatch(/10 calls in a row got no reply/);
    expect(outcomes.filter(({ state }) => state === "replied")).toHaveLength(20);
    expect(outcomes.filter(({ state }) => state === "pending").length).toBeGreaterThan(400);
  });
});

describe("what is paid only once", () => {
  test("equal calls in flight, and calls in the store", async () => {
    await using server = await startModelServer({ latencyMs: () => 20 });
    const model = await openModel(server.judge);
    using open = openEngine(model);
    const outcomes = await askAll(
      open.engine,
      rows(50).map((_, i) => `row ${i % 10}`),
    );
    expect(new Set(outcomes.map(({ key }) => key)).size).toBe(10);
    expect(server.log).toHaveLength(10);
    using later = openEngine(model, { store: open.store });
    expect(later.engine.call(ask("row 3"))).toEqual(outcomes[3]); // at once
    expect(server.log).toHaveLength(10);
  });

  test("what differs in model, text, sampling or format is another call", async () => {
    await using server = await startModelServer();
    const [model, other] = await Promise.all([openModel(server.judge), openModel(`${server.judge}-2`)]);
    using open = openEngine(model);
    using otherOpen = openEngine(other, { store: open.store });
    const base = ask("a");
    for (const request of [
      base,
      { ...base, sampling: { ...sampling, temperature: 1 } },
      { ...base, sampling: { ...sampling, maxOutputTokens: 101 } },
      { ...base, messages: base.messages.slice(1) },
      { ...base, replySchema: { name: "reply", schema: { type: "object" } } } as const,
    ])
      await open.engine.call(request);
    await otherOpen.engine.call(base);
    expect(server.log).toHaveLength(6);
  });

  test("by two that work on one store at a time", async () => {
    await using server = await startModelServer({ latencyMs: () => 10 });
    using folder = tempFolder();
    const model = await openModel(server.judge);
    using first = new CallStore(`${folder.path}/calls.sqlite`);
    using second = new CallStore(`${folder.path}/calls.sqlite`);
    using a = openEngine(model, { store: first });
    using b = openEngine(model, { store: second });
    const all = (await Promise.all([askAll(a.engine, rows(300)), askAll(b.engine, rows(300))])).flat();
    expect(all.every(({ state }) => state === "replied")).toBe(true);
    expect(server.log).toHaveLength(300);
    expect(a.engine.report.made + b.engine.report.made).toBe(300);
    expect(b.engine.report.made).toBeGreaterThan(0);
  });

  test("what a dead process had in flight is asked again, and its money counts as perhaps paid", async () => {
    using folder = tempFolder();
    const path = `${folder.path}/calls.sqlite`;
    new CallStore(path)[Symbol.dispose]();
    using database = new DatabaseSync(path);
    database.exec("insert into owners values ('dead', 'elsewhere', 1, 0)");
    database.exec("insert into claims values ('in flight', 'dead', 'test', 1234)");
    using next = new CallStore(path);
    expect(next.purse("test")).toMatchObject({ paid: 0, perhapsPaid: 1234, reserved: 0 });
    expect(next.claim("in flight", "test", 1, {})).toBe(true);
  });
});

describe("money", () => {
  test("is never over the budget, on the server's own bill: random prices, latencies, faults and budgets", async () => {
    const random = createRandom(7);
    for (let trial = 0; trial < howOften(50, 6); trial++) {
      const price = { input: 10 * random(), output: 50 * random() };
      const answer = faulty(
        { tooMany: 0.05, reset: 0.05, cut: 0.05, serverError: 0.03 },
        { seed: trial, retryAfter: "0" },
      );
      const latency = 8 * random();
      await using server = await startModelServer({ price, answer, latencyMs: () => latency * random() });
      const model = await openModel(server.judge, { price: flatPrice(price.input, price.output) });
      const full = (60 * (price.input * 60 + price.output * 8)) / 1e6; // what 60 calls cost, roughly
      const budgetUsd = full * (0.05 + 1.5 * random());
      using open = openEngine(model, { budgetUsd, concurrency: 1 + Math.floor(20 * random()), random: () => 0 });
      const long = "x".repeat(Math.floor(200 * random()));
      const outcomes = await askAll(
        open.engine,
        rows(60).map((row, i) => `${row} ${long.slice(i)}`),
      );
      await open.engine.idle();
      expect(server.bill.usd).toBeLessThanOrEqual(budgetUsd);
      const { stopped, paid, perhapsPaid } = open.engine.report;
      expect((paid! + perhapsPaid) / 1e9).toBeLessThanOrEqual(budgetUsd);
      expect(server.bill.usd).toBeLessThanOrEqual((paid! + perhapsPaid) / 1e9 + 1e-6);
      const pending = outcomes.filter(({ state }) => state === "pending").length;
      expect(stopped).toBe(pending > 0 ? "budget" : undefined);
    }
  });

  test("is counted as the provider counts it, to the last token", async () => {
    await using server = await startModelServer({ price: { input: 0.15, output: 0.6 } });
    const model = await openModel("openai:gpt-4o-mini", { environment: server.environment });
    expect(model.price?.basis).toMatch(/gpt-4o-mini/);
    using open = openEngine(model);
    await askAll(open.engine, rows(40));
    expect(open.engine.report.paid! / 1e9).toBeCloseTo(server.bill.usd, 7);
    expect(open.store.purse("test")).toMatchObject({ paid: open.engine.report.paid, perhapsPaid: 0, reserved: 0 });
  });

  test("cannot be limited without a price", async () => {
    const model = await openModel("http://127.0.0.1:1/v1#m");
    expect(() => openEngine(model, { budgetUsd: 1 })).toThrow(/--price INPUT\/OUTPUT/);
  });

  test("a budget holds over all processes that pay from one purse, one after the other", async () => {
    await using server = await startModelServer({ price: { input: 1, output: 1 } });
    const model = await openModel(server.judge, { price: flatPrice(1, 1) });
    using folder = tempFolder();
    using store = new CallStore(`${folder.path}/calls.sqlite`);
    for (let i = 0; i < 5; i++) {
      using open = openEngine(model, { store, budgetUsd: 0.002 });
      await askAll(
        open.engine,
        rows(40).map((row) => `${i} ${row}`),
      );
    }
    expect(server.bill.usd).toBeLessThanOrEqual(0.002);
    expect(server.bill.usd).toBeGreaterThan(0.0015);
  });
});

describe("what must not stop or lose anything", () => {
  test("usage that makes no sense", async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 3.5, prompt_tokens_details: { cached_tokens: 50 } };
    const body = {
      choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
      usage,
    };
    await using server = await startModelServer({
      answer: () => ({ kind: "raw", status: 200, type: "application/json", body: JSON.stringify(body) }),
    });
    using open = openEngine(await openModel("openai:gpt-4o-mini", { environment: server.environment }));
    expect(await open.engine.call(ask("a"))).toMatchObject({ state: "replied", text: "4" });
    await open.engine.idle();
    expect(open.engine.report).toMatchObject({ made: 1, attempts: 1, inFlight: 0 });
  });

  test("a store that cannot be written for a while", async () => {
    class FlakyStore extends CallStore {
      failures = 0;
      override transact<T>(work: () => T): T {
        if (this.failures-- > 0) throw new Error("database or disk is full");
        return super.transact(work);
      }
    }
    await using server = await startModelServer({ latencyMs: () => 50 });
    using folder = tempFolder();
    using store = new FlakyStore(`${folder.path}/calls.sqlite`);
    const model = await openModel(server.judge, { price: flatPrice(1, 1) });
    using open = openEngine(model, { store, concurrency: 8 });
    const asked = askAll(open.engine, rows(50));
    setTimeout(() => (store.failures = 2), 30);
    const outcomes = await asked;
    await open.engine.idle();
    expect(open.engine.failure?.message).toMatch(/cannot be written .*make room/);
    expect(outcomes.filter(({ state }) => state === "replied")).toHaveLength(server.log.length);
    expect(store.callsFrom("test")).toBe(server.log.length);
  });

  test("a caller that leaves early: what is in flight is kept, and no money stays reserved", async () => {
    await using server = await startModelServer({ latencyMs: () => 100 });
    const model = await openModel(server.judge, { price: flatPrice(1, 1) });
    using open = openEngine(model, { concurrency: 8 });
    async function* items() {
      yield rows(8);
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw new Error("the data ends badly");
    }
    const results = askInOrder(open.engine, items(), (text) => ({ requests: [ask(text)], read: ([one]) => one! }));
    const drain = async () => {
      for await (const some of results) void some;
    };
    await expect(drain()).rejects.toThrow("the data ends badly");
    expect(open.store.callsFrom("test")).toBe(8);
    expect(open.store.purse("test")).toMatchObject({ perhapsPaid: 0, reserved: 0 });
  });

  test("money that a dead process has reserved", async () => {
    await using server = await startModelServer();
    const model = await openModel(server.judge, { price: flatPrice(1, 1) });
    using open = openEngine(model, { budgetUsd: 0.002 });
    using database = new DatabaseSync(open.store.path);
    database.exec("insert into owners values ('dead', 'elsewhere', 1, 0)");
    database.exec("insert into claims values ('x', 'dead', 'test', 1900000)");
    const [outcome] = await askAll(open.engine, ["a"]);
    expect(outcome!.state).toBe("pending"); // the dead one's money may be spent, so there is none left
    expect(open.store.purse("test")).toMatchObject({ perhapsPaid: 1_900_000, reserved: 0 });
  });

  test.each([
    ["content_filter", "Output flagged by the content filter"],
    ["invalid_prompt", "invalid prompt"],
    ["context_length_exceeded", "maximum context length"],
    ["model_not_found", "no such model"],
  ])("errors in a 200 that tell of tokens count at their most: %s", async (code, message) => {
    const usage = { prompt_tokens: 1000, completion_tokens: 200, total_tokens: 1200 };
    const text = JSON.stringify({ error: { code, message }, usage });
    await using server = await startModelServer({
      answer: () => ({ kind: "raw", status: 200, type: "application/json", body: text }),
    });
    const model = await openModel(server.judge, { price: flatPrice(10, 10) });
    using open = openEngine(model, { budgetUsd: 0.005, concurrency: 1 });
    await askAll(open.engine, rows(20));
    const { paid, perhapsPaid } = open.store.purse("test");
    expect(paid).toBe(0);
    expect(perhapsPaid).toBeGreaterThan(0);
    expect(perhapsPaid).toBeLessThanOrEqual(0.005 * 1e9);
    expect(server.log.length).toBeLessThan(10);
  });

  test("one call that is too dear for what the budget has left", async () => {
    await using server = await startModelServer();
    using open = openEngine(await openModel(server.judge, { price: flatPrice(1, 1) }), { budgetUsd: 0.02 });
    const outcomes = await askAll(open.engine, ["a", "x".repeat(30_000), ...rows(20)]);
    expect(outcomes.map(({ state }) => state)).toEqual(["replied", "pending", ...rows(20).map(() => "replied")]);
    expect(open.engine.report.stopped).toBe("budget");
  });

  test("rows that a provider does not take, at the beginning or asked for again", async () => {
    await using server = await startModelServer({
      answer: (asked) =>
        /^row [0-4]$/.test(asked.user) ? { kind: "status", status: 400, message: "Not this one" } : "4",
    });
    const model = await openModel(server.judge);
    using first = openEngine(model);
    const states = (await askAll(first.engine, rows(30))).map(({ state }) => state);
    expect(states).toEqual(rows(30).map((_, i) => (i < 5 ? "failed" : "replied")));
    using again = openEngine(model, { store: first.store, retryFailed: true });
    await askAll(again.engine, rows(30));
    expect(again.engine.failure).toBeUndefined();
    expect(again.engine.report).toMatchObject({ made: 5, failed: 5, stored: 25 });
  });

  test("a question that is not taken, where the budget bears only one at a time", async () => {
    await using server = await startModelServer({
      answer: (asked) =>
        asked.before === 0 && asked.ordinal === 0 ? { kind: "status", status: 400, message: "Not this one" } : "4",
    });
    const model = await openModel(server.judge, { price: flatPrice(1, 1) });
    using open = openEngine(model, { budgetUsd: 0.0003 });
    const outcomes = await askAll(open.engine, rows(3));
    expect(outcomes.map(({ state }) => state)).toEqual(["failed", "replied", "replied"]);
  });

  test("two engines on one store", async () => {
    await using server = await startModelServer({ latencyMs: () => 10 });
    const model = await openModel(server.judge);
    using a = openEngine(model);
    using b = openEngine(model, { store: a.store });
    await Promise.all([askAll(a.engine, rows(50)), askAll(b.engine, rows(50))]);
    expect(server.log).toHaveLength(50);
  });

  test("Google's limit a minute, which sounds like an empty account", async () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1s" }];
    const message = "You exceeded your current quota, please check your plan and billing details.";
    const body = JSON.stringify({ error: { code: 429, message, status: "RESOURCE_EXHAUSTED", details } });
    await using server = await startModelServer({
      answer: (asked) => (asked.before === 0 ? { kind: "raw", status: 429, type: "application/json", body } : "4"),
    });
    using open = openEngine(await openModel("google:gemini-2.0-flash", { environment: server.environment }));
    expect(await open.engine.call(ask("a"))).toMatchObject({ state: "replied" });
    expect(open.engine.failure).toBeUndefined();
    expect(server.log[1]!.at - server.log[0]!.at).toBeGreaterThan(950);
  });
});

if (isLong)
  test("an outage is not hammered", async () => {
    await using server = await startModelServer({
      answer: ({ ordinal }) => (ordinal < 20 ? "4" : { kind: "status", status: 502 }),
    });
    using open = openEngine(await openModel(server.judge), { concurrency: 32, maxAttempts: 2 });
    await askAll(open.engine, rows(2000));
    await open.engine.idle();
    expect(open.engine.failure).toBeDefined();
    expect(server.log.length).toBeLessThan(250);
  });

describe("how much a model may write", () => {
  test.each([
    "anthropic:claude-haiku-4-5",
    "anthropic:claude-sonnet-4-6",
    "openai:gpt-5-mini",
    "google:gemini-2.5-flash",
  ])("%s is told no more than was reserved, reasoning included", async (name) => {
    const bodies: Record<string, unknown>[] = [];
    await using server = await startModelServer({
      answer: ({ body }) => {
        bodies.push(body);
        return "4";
      },
    });
    using open = openEngine(await openModel(name, { environment: server.environment }));
    await open.engine.call({ ...ask("a"), sampling: { maxOutputTokens: 4352, reasoning: "high" } });
    const [body] = bodies as [
      {
        max_tokens?: number;
        max_completion_tokens?: number;
        generationConfig?: { maxOutputTokens: number; thinkingConfig?: { thinkingBudget: number } };
      },
    ];
    const limit = body.max_tokens ?? body.max_completion_tokens ?? body.generationConfig?.maxOutputTokens;
    expect(limit).toBe(4352);
    expect(body.generationConfig?.thinkingConfig?.thinkingBudget ?? 0).toBeLessThan(4352);
  });

  test("a reply that costs more than its limits allow ends a run with a budget", async () => {
    await using server = await startModelServer({
      answer: () => ({ kind: "reply", text: "4", outputTokens: 100_000 }),
    });
    using open = openEngine(await openModel(server.judge, { price: flatPrice(1, 1) }), {
      budgetUsd: 1,
      concurrency: 1,
    });
    await askAll(open.engine, rows(5));
    expect(open.engine.failure?.message).toMatch(/cost more .* so that a budget cannot be kept/);
    expect(server.log).toHaveLength(1);
  });
});

test.each([
  [{ budgetUsd: NaN }, /budgetUsd: expected US dollars from 0, under 1,000,000, got NaN/],
  [{ budgetUsd: -1 }, /budgetUsd/],
  [{ concurrency: 0 }, /concurrency: expected a whole number from 1, got 0/],
  [{ maxAttempts: 1.5 }, /maxAttempts/],
  [{ timeoutMs: 0 }, /timeoutMs/],
  [{ limits: { requests: 0 } }, /limits.requests/],
])("%j is refused", async (options, message) => {
  const model = await openModel("http://127.0.0.1:1/v1#m", { price: flatPrice(1, 1) });
  expect(() => openEngine(model, options)).toThrow(message);
});

describe("an interruption", () => {
  test("sends nothing more, waits for what is in flight, and keeps it", async () => {
    await using server = await startModelServer({ latencyMs: () => 100 });
    const interruption = new AbortController();
    using open = openEngine(await openModel(server.judge), { concurrency: 8, signal: interruption.signal });
    setTimeout(() => interruption.abort(), 50);
    const outcomes = await askAll(open.engine, rows(50));
    await open.engine.idle();
    expect(outcomes.map(({ state }) => state)).toEqual([
      ...Array.from({ length: 8 }, () => "replied"),
      ...Array.from({ length: 42 }, () => "pending"),
    ]);
    expect(server.log).toHaveLength(8);
    expect(open.engine.report.stopped).toBe("interrupted");
    expect(open.engine.call(ask("row 0"))).toEqual(outcomes[0]); // what is stored is still told
    expect(open.engine.call(ask("row 49"))).toMatchObject({ state: "pending" });
  });
});

describe("every provider", () => {
  test.each(["openai:gpt-4o-mini", "anthropic:claude-3-5-haiku-latest", "google:gemini-2.0-flash"])(
    "%s",
    async (name) => {
      const seen: Asked[] = [];
      await using server = await startModelServer({
        answer: (asked) => {
          seen.push(asked);
          return asked.user === "blocked"
            ? { kind: "reply", text: "", finish: "content_filter" }
            : asked.user === "long"
              ? { kind: "reply", text: "4", finish: "length" }
              : "4.5";
        },
      });
      using open = openEngine(await openModel(name, { environment: server.environment }));
      expect(await open.engine.call(ask("a"))).toMatchObject({ state: "replied", text: "4.5", finish: "stop" });
      expect(await open.engine.call(ask("long"))).toMatchObject({ finish: "length" });
      expect(await open.engine.call(ask("blocked"))).toMatchObject({ finish: "content-filter" });
      expect(seen[0]).toMatchObject({
        protocol: name.split(":")[0],
        model: name.split(":")[1],
        system: "You rate.",
        user: "a",
      });
      expect(open.engine.report.inputTokens).toBeGreaterThan(0);
      expect(open.engine.report.paid).toBeGreaterThan(0);
      expect(open.store.find((await open.engine.call(ask("a"))).key)).toMatchObject({ state: "replied", text: "4.5" });
    },
  );

  test("tells what it left out of a request", async () => {
    await using server = await startModelServer();
    const model = await openModel("openai:gpt-5-mini", { environment: server.environment });
    expect(model.thinksFirst).toBe(true);
    using open = openEngine(model);
    await open.engine.call(ask("a"));
    expect(open.engine.report.warnings).toEqual(["temperature is not supported for reasoning models"]);
  });

  test("any model of the AI SDK will do, also one that hangs and does not listen", async () => {
    let calls = 0;
    const model = {
      specificationVersion: "v4",
      provider: "scripted",
      modelId: "one",
      supportedUrls: {},
      doGenerate: () =>
        calls++ === 0
          ? new Promise<LanguageModelV4GenerateResult>(() => {})
          : Promise.resolve({
              content: [
                { type: "reasoning", text: "hm" },
                { type: "text", text: "4" },
              ],
              finishReason: { unified: "stop", raw: undefined },
              usage: {
                inputTokens: { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
                outputTokens: { total: undefined, text: undefined, reasoning: undefined },
              },
              warnings: [],
            } satisfies LanguageModelV4GenerateResult),
      doStream: () => Promise.reject(new Error("not asked for")),
    } satisfies LanguageModelV4;
    using open = openEngine(modelOf(model, { price: flatPrice(1, 1) }), { timeoutMs: 100 });
    expect(await open.engine.call(ask("a"))).toMatchObject({ state: "replied", text: "4" });
    const { paid, perhapsPaid } = open.engine.report;
    expect(paid).toBeGreaterThan(100_000); // no usage was told: counted as the most it can be
    expect(perhapsPaid).toBe(paid); // and the lost attempt too
  });
});

describe("a store", () => {
  test.each(["", " ", ":memory:", "file:x"])("%j is no place for one", (path) => {
    expect(() => new CallStore(path)).toThrow(/--store: expected a file/);
  });

  test("is not taken for one when it is another file", () => {
    using folder = tempFolder();
    const text = folder.write(
      "notes.txt",
      "These are notes, and they are longer than a header of a database would be.".repeat(20),
    );
    expect(() => new CallStore(text)).toThrow(/notes.txt: expected a call store, got a file of another kind/);
    const other = `${folder.path}/other.sqlite`;
    new DatabaseSync(other).exec("create table t (x)");
    expect(() => new CallStore(other)).toThrow(/other.sqlite: expected a call store, got another database/);
    expect(() => new CallStore(folder.path)).toThrow(/expected a call store/);
  });

  test("of an earlier layout is brought up to date: its nameless batches count as sent", () => {
    using folder = tempFolder();
    const path = `${folder.path}/calls.sqlite`;
    {
      using store = new CallStore(path);
      const calls = [{ key: "k", reserved: 5, promptBytes: 3 }];
      store.transact(() => store.batches.begin({ id: "b", model: "m", purse: "p", account: null, price: null }, calls));
    }
    const columns = ["sent_at", "looked_at", "account", "price", "problem"];
    using earlier = new DatabaseSync(path);
    earlier.exec(
      `${columns.map((name) => `alter table batches drop column ${name};`).join("")} pragma user_version = 2`,
    );
    using store = new CallStore(path);
    expect(store.batches.open()).toMatchObject([{ id: "b", providerId: null, sentAt: 0, left: 1, reserved: 5 }]);
    expect(store.purse("p")).toMatchObject({ paid: 0, perhapsPaid: 0, reserved: 5 });
  });

  test("of a later layout is left alone", () => {
    using folder = tempFolder();
    const path = `${folder.path}/calls.sqlite`;
    new CallStore(path)[Symbol.dispose]();
    new DatabaseSync(path).exec("pragma user_version = 4");
    expect(() => new CallStore(path)).toThrow(/newer one; update alpagasus/);
  });
});
