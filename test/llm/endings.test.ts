import type { LanguageModelV4GenerateResult } from "@ai-sdk/provider";
import { expect, test } from "vitest";
import { readReply } from "../../src/llm/ask-model.ts";
import { readLogprobs } from "../../src/llm/logprobs.ts";

type Finish = LanguageModelV4GenerateResult["finishReason"];

const reply = (finishReason: Finish, body?: unknown) =>
  readReply({
    content: [{ type: "text", text: "1" }],
    finishReason,
    usage: {
      inputTokens: { total: 9, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: 1, text: undefined, reasoning: undefined },
    },
    warnings: [],
    response: { body },
  });

test.each<[Finish, string]>([
  [{ unified: "stop", raw: "STOP" }, "stop"],
  [{ unified: "other", raw: undefined }, "other"],
  [{ unified: "other", raw: "MALFORMED_RESPONSE" }, "unclear"],
  [{ unified: "other", raw: "compaction" }, "unclear"],
  [{ unified: "stop", raw: "pause_turn" }, "unclear"],
  [{ unified: "content-filter", raw: "SAFETY" }, "content-filter"],
  [{ unified: "tool-calls", raw: "tool_use" }, "other"],
])("a text is read as whole where its provider says that it is: %o", (finishReason, finish) => {
  expect(reply(finishReason).finish).toBe(finish);
});

test("the status of a reply of OpenAI's Responses API counts", () => {
  const stop = { unified: "stop", raw: undefined } as const;
  const body = (status: string) => ({ object: "response", status });
  expect(reply(stop, body("completed")).finish).toBe("stop");
  expect(reply(stop, body("incomplete")).finish).toBe("length");
  for (const status of ["failed", "cancelled", "in_progress", "queued"])
    expect(() => reply(stop, body(status))).toThrow(`the reply's status is ${status}`);
  expect(reply(stop, { object: "chat.completion", status: "failed" }).finish).toBe("stop"); // of another protocol
});

test("a token and other tokens that are certain both are no probabilities", () => {
  const entry = (top: object[]) => ({ any: { logprobs: [{ token: "4", logprob: 0, top_logprobs: top }] } });
  expect(readLogprobs(entry([{ token: "0", logprob: 0 }]) as never)).toBeUndefined();
  expect(readLogprobs(entry([{ token: "4", logprob: 0 }]) as never)).toHaveLength(1);
});
