import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BatchAsker, type BatchAskerOptions } from "../../../src/llm/batches/batch-asker.ts";
import { CallStore } from "../../../src/llm/call-store.ts";
import { Engine } from "../../../src/llm/engine.ts";
import { openModel } from "../../../src/llm/open-model.ts";
import type { ChatModel } from "../../../src/llm/chat-model.ts";
import { flatPrice } from "../../../src/llm/price.ts";
import { requestKey, type ModelRequest } from "../../../src/llm/request.ts";
import { steps, startBatchServer, type BatchServer, type Fate } from "../../helpers/batch-server.ts";
import { startAlpagasus, alpagasus } from "../../helpers/command-line.ts";
import { parseLines } from "../../helpers/json-lines.ts";
import { scoreOf } from "../../helpers/model-server.ts";
import { tempFolder } from "../../helpers/temp-folder.ts";

const sampling = { temperature: 0, maxOutputTokens: 100 };
const ask = (text: string): ModelRequest => ({ messages: [{ role: "user", text }], sampling });
const rows = (count: number) => Array.from({ length: count }, (_, i) => `row ${i}`);

function requestsOf(texts: readonly string[]) {
  return async function* () {
    for (let from = 0; from < texts.length; from += 100) yield texts.slice(from, from + 100).map(ask);
  };
}

const models = ["openai:gpt-4o-mini", "anthropic:claude-haiku-4-5"] as const;

function open(name: string, server: BatchServer): Promise<ChatModel> {
  return openModel(name, { environment: server.environment });
}

function openAsker(model: ChatModel, options: Partial<BatchAskerOptions> = {}) {
  const folder = tempFolder();
  const store = options.store ?? new CallStore(`${folder.path}/calls.sqlite`);
  return {
    asker: new BatchAsker(model, { store, purse: "test", listedAfterMs: 200, ...options }),
    store,
    states: (texts: readonly string[]) => texts.map((text) => store.find(requestKey(model.identity, ask(text)))?.state),
    [Symbol.dispose]: () => {
      if (!options.store) store[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

const mostBilled = (server: BatchServer) => Math.max(...server.billed.values());

describe.each(models)("batches of %s", (name) => {
  test.concurrent("are handed in within their size, and their replies kept under the keys of direct calls", async () => {
    await using server = await startBatchServer();
    const model = await open(name, server);
    using opened = openAsker(model, { batchSize: 40 });
    await opened.asker.ask(requestsOf(rows(100)));
    expect(server.batches.map(({ calls }) => calls.length).toSorted((a, b) => a - b)).toEqual([20, 40, 40]);
    expect(opened.asker.report).toMatchObject({ made: 100, failed: 0, inBatches: 0, stopped: undefined });
    const engine = new Engine(model, { store: opened.store, purse: "test" });
    const outcome = await engine.call(ask("row 7"));
    expect(outcome).toMatchObject({ state: "replied", text: scoreOf({ user: "row 7" }), finish: "stop" });
    expect(server.direct.count).toBe(0);
  });

  test.concurrent("cost half, and stay within the budget: what cannot be paid is not handed in", async () => {
    await using server = await startBatchServer();
    const model = await open(name, server);
    using opened = openAsker(model, { batchSize: 30, budgetUsd: 0.001 });
    await opened.asker.ask(requestsOf(rows(1000)));
    const { paid, reserved } = opened.store.purse("test");
    expect(opened.asker.stopped).toBe("budget");
    expect(reserved).toBe(0);
    expect(paid).toBeLessThanOrEqual(1e6);
    expect(paid).toBeGreaterThan(0);
    expect(paid).toBe(opened.asker.report.paid);
    const whole = model.price!.costOf({
      inputTokens: 10,
      outputTokens: 5,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    });
    expect(paid / opened.asker.report.made).toBeCloseTo(whole / 2, -1);
    expect(opened.store.batches.isEmpty).toBe(true);
  });

  test.concurrent("expired, failed and missing calls are handed in again, alone; filtered ones are not", async () => {
    const fates: Record<string, Fate> = {
      "row 1": { kind: "expired" },
      "row 2": { kind: "failed", status: 500, message: "oops", code: "api_error" },
      "row 3": { kind: "missing" },
      "row 4": {
        kind: "failed",
        status: 400,
        message: "prompt is too long: 210000 tokens",
        code: "invalid_request_error",
      },
      "row 5": { kind: "failed", status: 400, message: "flagged by the safety policy", code: "invalid_request_error" },
      "row 6": { kind: "failed", status: 500, message: "always", code: "api_error" },
    };
    await using server = await startBatchServer({
      fate: ({ user, before }) => {
        const fate = before === 0 || user === "row 6" ? fates[user] : undefined;
        return fate ?? { kind: "reply", text: scoreOf({ user }) };
      },
    });
    using opened = openAsker(await open(name, server));
    await opened.asker.ask(requestsOf(rows(10)));
    expect(opened.states(rows(10))).toEqual([
      "replied",
      "replied",
      "replied",
      "replied",
      "failed",
      "refused",
      "failed",
      "replied",
      "replied",
      "replied",
    ]);
    expect(server.batches.map(({ calls }) => calls.map(({ user }) => user)).toReversed()).toEqual([
      rows(10),
      ["row 1", "row 2", "row 3", "row 6"],
      ["row 6"],
      ["row 6"],
    ]);
    expect(mostBilled(server)).toBe(1);
    expect(opened.asker.report).toMatchObject({ made: 10, failed: 2, stopped: undefined });
  });

  test.concurrent("a batch whose making was not answered is found again, and not made twice", async () => {
    let isLost = false;
    await using server = await startBatchServer({
      onStep: (step) => {
        if (step !== "batch made" || isLost) return undefined;
        isLost = true;
        return "reset";
      },
    });
    using opened = openAsker(await open(name, server));
    await opened.asker.ask(requestsOf(rows(20)));
    expect(server.batches).toHaveLength(1);
    expect(opened.asker.report).toMatchObject({ made: 20, stopped: undefined });
  });

  test.concurrent("trouble on every way is waited out", async () => {
    const had = new Set<string>();
    await using server = await startBatchServer({
      onStep: (step) => {
        if (had.has(step) || step === "results sent" || step.endsWith("answered")) return undefined;
        had.add(step);
        return step === "results half sent" ? "reset" : { status: 503, message: "busy" };
      },
    });
    using opened = openAsker(await open(name, server));
    await opened.asker.ask(requestsOf(rows(20)));
    expect(opened.states(rows(20)).every((state) => state === "replied")).toBe(true);
    expect(mostBilled(server)).toBe(1);
  });

  test.concurrent("a key that is not accepted stops at once, and leaves nothing behind", async () => {
    await using server = await startBatchServer({ onStep: () => ({ status: 401, message: "wrong key" }) });
    using opened = openAsker(await open(name, server));
    await opened.asker.ask(requestsOf(rows(20)));
    expect(opened.asker.failure?.message).toContain("the key was not accepted");
    expect(opened.store.batches.isEmpty).toBe(true);
    expect(opened.store.batches.open()).toEqual([]);
  });

  test.concurrent("interrupted, they stay at the provider; whoever comes next fetches them", async () => {
    await using server = await startBatchServer({ workMs: 1500 });
    const model = await open(name, server);
    const interruption = new AbortController();
    using first = openAsker(model, { signal: interruption.signal });
    setTimeout(() => interruption.abort(), 700);
    await first.asker.ask(requestsOf(rows(20)));
    expect(first.asker.report).toMatchObject({ made: 0, inBatches: 20, stopped: "interrupted" });
    using second = openAsker(model, { store: first.store });
    await second.asker.ask(requestsOf(rows(30)));
    expect(second.asker.report).toMatchObject({ made: 30, inBatches: 0, stopped: undefined });
    expect(server.batches.map(({ calls }) => calls.length)).toEqual([10, 20]);
  });

  test.concurrent("direct calls leave alone what is in a batch, and the other way round", async () => {
    await using server = await startBatchServer({ workMs: 600_000 });
    const model = await open(name, server);
    using opened = openAsker(model, { wait: false });
    await opened.asker.ask(requestsOf(rows(5)));
    expect(opened.asker.stopped).toBe("batches");
    const engine = new Engine(model, { store: opened.store, purse: "test" });
    const outcomes = await Promise.all(rows(8).map(async (text) => engine.call(ask(text))));
    expect(outcomes.map(({ state }) => state)).toEqual([
      ...rows(5).map(() => "pending"),
      "replied",
      "replied",
      "replied",
    ]);
    expect(engine.report).toMatchObject({ made: 3, inBatches: 5, stopped: "batches" });
    using second = openAsker(model, { store: opened.store, wait: false });
    await second.asker.ask(requestsOf(rows(9)));
    expect(server.batches.map(({ calls }) => calls.length)).toEqual([1, 5]);
  });

  test.concurrent("two processes at the same rows hand each in once", async () => {
    await using server = await startBatchServer({ workMs: 300 });
    const model = await open(name, server);
    using folder = tempFolder();
    using one = new CallStore(`${folder.path}/calls.sqlite`);
    using other = new CallStore(`${folder.path}/calls.sqlite`);
    using first = openAsker(model, { store: one, batchSize: 25 });
    using second = openAsker(model, { store: other, batchSize: 40 });
    await Promise.all([first.asker.ask(requestsOf(rows(200))), second.asker.ask(requestsOf(rows(200)))]);
    expect(server.billed.size).toBe(200);
    expect(mostBilled(server)).toBe(1);
    expect(one.purse("test").paid).toBe(first.asker.report.paid! + second.asker.report.paid!);
  });
});

test("batches of OpenAI: what is too much at a time is handed in in smaller ones", async () => {
  await using server = await startBatchServer({
    refuse: (calls) =>
      calls > 120 ? { code: "token_limit_exceeded", message: "Enqueued token limit reached" } : undefined,
  });
  using opened = openAsker(await open("openai:gpt-4o-mini", server));
  await opened.asker.ask(requestsOf(rows(300)));
  expect(opened.asker.report).toMatchObject({ made: 300, stopped: undefined });
  expect(mostBilled(server)).toBe(1);
});

test("batches of OpenAI: one that fails as a whole stops, and its calls are free again", async () => {
  await using server = await startBatchServer({
    refuse: () => ({ code: "model_not_found", message: "The provided model is not supported by the Batch API." }),
  });
  using opened = openAsker(await open("openai:gpt-4o-mini", server));
  await opened.asker.ask(requestsOf(rows(30)));
  expect(opened.asker.failure?.message).toContain(
    "has failed (model_not_found: The provided model is not supported by the Batch API.)",
  );
  expect(opened.store.batches.isEmpty).toBe(true);
});

test("a server without batches, and a budget without a price, are said so", async () => {
  const model = await openModel("http://127.0.0.1:1/v1#qwen3");
  expect(() => openAsker(model)).toThrow(
    "--batch: expected a model of a provider with batches (openai:, anthropic:, google:), got http://127.0.0.1:1/v1#qwen3",
  );
  const unknown = await openModel("openai:my-own", { environment: {} });
  expect(() => openAsker(unknown, { budgetUsd: 1 })).toThrow("--budget: expected a model whose price is known");
  expect(unknown.batches!.price).toBeUndefined();
  const priced = await openModel("openai:my-own", { price: flatPrice(1, 2) });
  expect(priced.batches!.price).toBe(priced.price); // given by hand: what is paid, in batches or not
});

describe("killed between every two steps", () => {
  interface Line {
    readonly state: string;
    readonly score?: number;
  }

  const rowCount = 5000;
  test(`${rowCount} rows with 5 % expired and 3 % failed: all are scored, and none is billed twice`, async () => {
    const kills = 20;
    let killed = 0;
    let kill: (() => void) | undefined;
    // a kill while a start is on its way costs two minutes of looking for it, which the histories have without waiting; the list is
    // only asked for after some kills
    const killedAt = steps.filter((step) => step !== "batch arrived" && step !== "list asked");
    const plan = Array.from({ length: kills }, (_, i) => killedAt[i % killedAt.length]!);
    await using server = await startBatchServer({
      workMs: 50,
      fate: ({ id, user, before }) => {
        const share = Number.parseInt(id.slice(0, 6), 16) / 2 ** 24;
        if (before > 0 || share >= 0.08) return { kind: "reply", text: scoreOf({ user }) };
        return share < 0.05 ? { kind: "expired" } : { kind: "failed", status: 500, message: "The server had an error" };
      },
      onStep: (step) => {
        if (!kill || step !== plan[killed]) return undefined;
        killed++;
        kill();
        kill = undefined;
        return undefined;
      },
    });
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: rowCount }, (_, i) => ({
        instruction: `Instruction ${i}`,
        input: "",
        output: `Output ${i}`,
      })),
    );
    const args = [
      "rate",
      "rows.json",
      "--judge",
      "openai:gpt-4o-mini",
      "--batch",
      "--batch-size",
      String(Math.ceil(rowCount / 12)),
      "--json",
    ];
    const options = { cwd: folder.path, env: server.environment };
    let code: number | null = null;
    for (let run = 0; run < kills + 5 && code === null; run++) {
      const process = startAlpagasus(args, options);
      kill = () => process.kill("SIGKILL");
      ({ code } = await process.ended);
    }
    expect({ code, killed }).toEqual({ code: 0, killed: kills });
    const ratings = parseLines<Line>(readFileSync(join(folder.path, "runs/default/ratings.jsonl"), "utf8"));
    expect(ratings.filter(({ state }) => state === "scored")).toHaveLength(rowCount);
    expect(server.billed.size).toBe(rowCount);
    expect(mostBilled(server)).toBe(1);
    using store = new CallStore(join(folder.path, ".alpagasus/calls.sqlite"), { readOnly: true });
    expect(store.batches.open()).toEqual([]);
    const again = await alpagasus(args, options);
    expect(JSON.parse(again.stdout)).toMatchObject({ calls: { made: 0, stored: rowCount, runPerhapsPaidUsd: 0 } });
  });
});
