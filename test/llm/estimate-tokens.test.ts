import { expect, test } from "vitest";
import { describeWithSharedData, readSharedJson } from "../helpers/shared-data.ts";
import { estimateTokens } from "../../src/llm/estimate-tokens.ts";

/** Counted by OpenAI's o200k tokenizer (gpt-tokenizer 4.0.0). */
test.each([
  ["Explain in a few sentences how photosynthesis works.", 10],
  ["机器学习是人工智能的一个分支，它使计算机能够从数据中学习，而无需明确编程。请解释其主要类型。", 30],
  [
    "Das maschinelle Lernen ist ein Teilgebiet der künstlichen Intelligenz, das Computern ermöglicht, aus Daten zu lernen.",
    26,
  ],
])("%j has about %d tokens", (text, tokens) => {
  expect(estimateTokens(text)).toBeGreaterThan(0.7 * tokens);
  expect(estimateTokens(text)).toBeLessThan(1.3 * tokens);
});

describeWithSharedData("of real rows", () => {
  test("it is within a tenth, where a quarter of the bytes is a fifth too high", () => {
    const rows = (readSharedJson("alpaca/alpaca_data.json") as { instruction: string; input: string; output: string }[])
      .filter((_, i) => i % 40 === 0)
      .map(({ instruction, input, output }) => `${instruction}\n${input}\n${output}`);
    const counted = 93_350; // by the same tokenizer
    const estimated = rows.reduce((sum, text) => sum + estimateTokens(text), 0);
    expect(Math.abs(estimated - counted) / counted).toBeLessThan(0.1);
    expect(rows.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 4 / counted).toBeGreaterThan(1.2);
  });
});
