import { describe, expect, test } from "vitest";
import { BatchAsker } from "../../../src/llm/batches/batch-asker.ts";
import { CallStore } from "../../../src/llm/call-store.ts";
import { openModel } from "../../../src/llm/open-model.ts";
import { requestKey, type ModelRequest } from "../../../src/llm/request.ts";
import { message, responseOf, said, startBatchServer } from "../../helpers/batch-server.ts";
import { tempFolder } from "../../helpers/temp-folder.ts";

/* Replies in batches that the provider's client refuses, or reads otherwise than a direct reply. */

const request: ModelRequest = {
  messages: [{ role: "user", text: "row" }],
  sampling: { temperature: 0, maxOutputTokens: 100 },
};

/** Asks once in batches, `times` over, and tells the outcome, the money and how often it was answered. */
async function askInBatches(name: string, body: unknown, times = 1) {
  using folder = tempFolder();
  await using server = await startBatchServer({ fate: () => ({ kind: "reply", text: "4", body }) });
  const model = await openModel(name, { environment: server.environment });
  using store = new CallStore(`${folder.path}/calls.sqlite`);
  for (let i = 0; i < times; i++) {
    const asker = new BatchAsker(model, { store, purse: "test", budgetUsd: 0.05 });
    await asker.ask(async function* () {
      yield [request];
    });
  }
  const { state, text, finish, detail, usage } = store.find(requestKey(model.identity, request)) ?? {};
  const { paid, perhapsPaid } = store.purse("test");
  const found = usage && { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens };
  return { state, text, finish, detail, usage: found, paid, perhapsPaid, answers: server.billed.get("row") };
}

const openai = "openai:gpt-4o-mini";
const good = { state: "replied", text: "4\nfine", finish: "stop", usage: { inputTokens: 10, outputTokens: 5 } };

describe("OpenAI's", () => {
  const of = (output: readonly object[], more: object = {}) => ({ ...responseOf(""), output, ...more });
  const odd = { ...said(""), content: [{ type: "output_text", text: "4\nfine", annotations: [{ type: "new" }] }] };
  test.each<[string, object, object?]>([
    [
      "an item that its client has no place for",
      of([{ type: "compaction", id: "i", encrypted_content: "x" }, said("4\nfine")]),
    ],
    ["an item of a new kind", of([{ type: "new", id: "i" }, said("4\nfine")])],
    ["an annotation of a new kind", of([odd])],
    ["counts as text", of([said("4\nfine")], { usage: { input_tokens: "10", output_tokens: "5" } })],
    [
      "talk before the answer",
      of([
        { ...said("3."), phase: "commentary" },
        { ...said("4\nfine"), phase: "final_answer" },
      ]),
    ],
    ["several messages", of([said("Rating: 3."), said("4\nfine")]), { text: "Rating: 3.\n4\nfine" }],
    ["a status of incomplete", of([said("4\nfine")], { status: "incomplete" }), { finish: "length" }],
    ["a message that is incomplete", of([{ ...said("4\nfine"), status: "incomplete" }]), { finish: "length" }],
    ["no output", { ...responseOf(""), output: undefined, status: "incomplete" }, { text: "", finish: "length" }],
  ])("%s: read as a direct reply, and paid once", async (_, body, expected) => {
    const found = await askInBatches(openai, body);
    expect(found).toMatchObject({ ...good, perhapsPaid: 0, answers: 1, ...expected });
    expect(found.paid).toBeGreaterThan(0);
  });

  test("of several choices the one that was asked for is read, and an error beside one is none", async () => {
    const choice = (index: number, content: string) => ({ index, message: { content }, finish_reason: "stop" });
    const usage = { prompt_tokens: 10, completion_tokens: 5 };
    const choices = [choice(1, "1"), choice(0, "4\nfine")];
    expect(await askInBatches(openai, { choices, usage })).toMatchObject({ ...good, answers: 1 });
    const error = { message: "upstream broke", code: 502 };
    const broken = { choices: [choice(1, "1"), { ...choice(0, "4"), error }], usage };
    expect(await askInBatches(openai, broken)).toMatchObject({ state: "failed", paid: 0 });
    const failed = await askInBatches(openai, { choices, usage, error });
    expect(failed).toMatchObject({ state: "failed", paid: 0 });
    expect(failed.perhapsPaid).toBeGreaterThan(0);
  });

  test.each(["failed", "cancelled"])("a reply whose status is %s is no score, and perhaps paid", async (status) => {
    const found = await askInBatches(openai, of([said("4\nfine")], { status }));
    expect(found).toMatchObject({ state: "failed", answers: 1, paid: 0 });
    expect(found.perhapsPaid).toBeGreaterThan(0);
  });

  test("an error with counts of tokens is perhaps paid, each time", async () => {
    const error = { code: "server_error", message: "sorry", type: "server_error" };
    const found = await askInBatches(openai, of([], { status: "failed", error }));
    const once = await askInBatches(openai, of([said("4")], { status: "failed" }));
    expect(found).toMatchObject({ state: "failed", paid: 0, perhapsPaid: 4 * once.perhapsPaid, answers: 4 });
  });

  test("what cannot be read at all is perhaps paid, quoted, and not handed in again", async () => {
    const found = await askInBatches(openai, { object: "thing", usage: { output_tokens: 5 }, said: "nobody knows" }, 3);
    expect(found).toMatchObject({
      state: "failed",
      answers: 1,
      detail: expect.stringContaining("nobody knows") as string,
    });
    expect(found.perhapsPaid).toBeGreaterThan(0);
  });
});

describe("Anthropic's", () => {
  test.each<[string, object]>([
    [
      "a block of a new kind",
      {
        ...message(""),
        content: [
          { type: "new", data: 1 },
          { type: "text", text: "4\nfine" },
        ],
      },
    ],
    ["counts as text", { ...message("4\nfine"), usage: { input_tokens: "10", output_tokens: "5" } }],
    ["a number as stop_sequence", { ...message("4\nfine"), stop_sequence: 3 }],
  ])("%s: read as a direct reply, and paid once", async (_, body) => {
    expect(await askInBatches("anthropic:claude-haiku-4-5", body)).toMatchObject({
      ...good,
      perhapsPaid: 0,
      answers: 1,
    });
  });
});
