import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toMessages } from "../../src/dataset/messages.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { parseExactly, parseToPassOn } from "../../src/files/try-parse.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

describe("JSON to pass on", () => {
  test("is written again with its numbers as they were", () => {
    const text = '{"a":1.0,"b":[12345678901234567890,1e5,-0,0.10],"c":{"d":"1.0"},"e":7}';
    expect(JSON.stringify(parseToPassOn(text))).toBe(text);
  });

  test("is the same value as by JSON.parse, once it is written", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(JSON.stringify(parseToPassOn(JSON.stringify(value))))).toEqual(
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
  });
});

test("rows have numbers to compute with, but for tools and calls of them", () => {
  const row = parseExactly(
    '{"id":12345678901234567890,"k":1.0,"parameters":{"score":4.0},"tools":[{"max":1.0}],"messages":[{"n":2.50,"tool_calls":[{"function":{"arguments":{"x":1.0}}}]}]}',
  );
  expect(row).toMatchObject({ id: "12345678901234567890", k: 1, parameters: { score: 4 }, messages: [{ n: 2.5 }] });
  expect(JSON.stringify(row)).toBe(
    '{"id":"12345678901234567890","k":1,"parameters":{"score":4},"tools":[{"max":1.0}],"messages":[{"n":2.5,"tool_calls":[{"function":{"arguments":{"x":1.0}}}]}]}',
  );
});

test.each([
  ["as objects", (value: string) => value],
  ["as JSON text", (value: string) => JSON.stringify(value)],
])("a training row has the numbers of its tools and calls as the data has them, %s", async (_, written) => {
  using folder = tempFolder();
  const given = '{"id":12345678901234567890,"x":1.0,"y":1e3}';
  const tools = '[{"type":"function","function":{"name":"f","parameters":{"max":1.0}}}]';
  const path = folder.write(
    "rows.jsonl",
    `{"tools":${written(tools)},"messages":[{"role":"user","content":"Do it"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":${written(given)}}}]}]}\n`,
  );
  for await (const [example] of (await openDataset(path)).batches()) {
    const text = JSON.stringify(toMessages(example!, "chat"));
    expect(text).toContain(`"arguments":${given}`);
    expect(text).toContain(`"tools":${tools}`);
  }
});
