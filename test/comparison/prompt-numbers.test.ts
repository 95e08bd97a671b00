import { expect, test } from "vitest";
import { analyse } from "../../src/comparison/analyse.ts";
import { describeShared, numberPrompts } from "../../src/comparison/prompt-numbers.ts";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import { createRandom } from "../../src/stats/random.ts";

const pair = (set: string, id: string, instruction: string, outcome: PairVerdict["outcome"] = "win"): PairVerdict => ({
  set,
  id,
  instruction,
  input: "",
  outcome,
  orders: [],
});

test("prompts of one text are one, whatever their ids and sets; turns are one with their first question", () => {
  const first = { ...pair("s", "3:1", "Say three"), prompt: "3" };
  const second = {
    ...pair("s", "3:2", "And four?"),
    prompt: "3",
    dialogues: [[{ question: "Say three", answer: "3" }], [{ question: "Say three", answer: "III" }]],
  } satisfies PairVerdict;
  const verdicts = [
    pair("s", "1", "Say one"),
    pair("s", "2", " Say one\n"),
    second,
    first,
    { ...pair("t", "1:1", "Say three"), prompt: "1" },
    { ...second, set: "t", id: "1:2", prompt: "1" },
    pair("t", "9", "Say three"),
    pair("t", "2", "Say two"),
    { ...pair("t", "3", "Say two"), input: "twice" },
  ];
  expect([...numberPrompts(verdicts)]).toEqual([0, 0, 1, 1, 1, 1, 1, 2, 3]);
  expect(describeShared(verdicts)).toEqual([
    "the turns of one conversation count as one prompt in intervals and tests",
    "3 prompts have the text of another one: prompts of one text count as one in intervals and tests",
  ]);
  expect([...numberPrompts([pair("s", "1", ""), pair("s", "2", "")])]).toEqual([0, 1]); // of which nothing is known
  // reviews without inputs, and conversations that begin alike
  const { input: _, ...review } = pair("s", "1", "Translate the sentence");
  expect([...numberPrompts([review, { ...review, id: "2" }])]).toEqual([0, 1]);
  const talks = ["pears", "apples"].map((topic) => ({
    ...pair("s", topic, `Explain ${topic}`),
    dialogues: [[{ question: "Hello!", answer: "Hi" }], [{ question: "Hello!", answer: "Hey" }]],
  })) satisfies PairVerdict[];
  expect([...numberPrompts(talks)]).toEqual([0, 1]);
});

test("one prompt thirty times is one, and three in two sets are three", () => {
  const repeated = Array.from({ length: 30 }, (_, i) => pair("s", String(i), "the same"));
  expect(analyse(repeated).pooled).toMatchObject({ prompts: 1, pValue: expect.closeTo(1, 0) as number });
  const three = ["koala", "vicuna"].flatMap((set) => ["a", "b", "c"].map((text) => pair(set, text, text)));
  const [alone, both] = [analyse(three.slice(0, 3)), analyse(three)];
  expect(both.pooled.pValue).toBeCloseTo(alone.pooled.pValue, 12);
});

test("equal arms differ in no more experiments than said where a set holds its prompts three times", () => {
  const random = createRandom(11);
  let found = 0;
  for (let round = 0; round < 300; round++) {
    const leaning = Array.from({ length: 20 }, () => random());
    const verdicts = ["one", "two", "three"].flatMap((set) =>
      leaning.map((share, i) => pair(set, String(i), `prompt ${i}`, random() < share ? "win" : "lose")),
    );
    if (analyse(verdicts).pooled.pValue < 0.05) found++;
  }
  expect(found / 300).toBeLessThan(0.08);
});
