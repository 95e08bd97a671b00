import { expect, test } from "vitest";
import { alarmsOfWords, WordWatch } from "../../src/selection/watch.ts";
import { example } from "../helpers/examples.ts";

const watch = (words: string, ...rows: readonly [text: string, isKept: boolean, category?: string][]) => {
  const counting = new WordWatch(words);
  for (const [output, isKept, category] of rows) counting.add({ ...example(0, { output }), category }, isKept);
  return counting.describe();
};

test("words are whole, in any case, also with signs at their end, and count a row once", () => {
  expect(
    watch(
      "java|C++|c|naïve",
      ["JAVA and java", true],
      ["JavaScript", true],
      ["in C++.", false],
      ["plain C, twice c", true],
      ["NAÏVE", false],
    ),
  ).toEqual([
    { word: "java", rows: 1, kept: 1 },
    { word: "C++", rows: 1, kept: 0 },
    { word: "c", rows: 1, kept: 1 },
    { word: "naïve", rows: 1, kept: 0 },
  ]);
});

test("letters that become two where they are made small are found", () => {
  expect(watch("İstanbul", ["in İstanbul.", true])).toEqual([{ word: "İstanbul", rows: 1, kept: 1 }]);
});

test("words of scripts without spaces are found wherever they stand, and others beside them", () => {
  expect(
    watch(
      "北京|故宫|python|ภาษา",
      ["请介绍北京的故宫。", true],
      ["我用Python写代码", false],
      ["pythonic 北 京", true],
      ["เรียนภาษาไทย", true],
    ),
  ).toEqual([
    { word: "北京", rows: 1, kept: 1 },
    { word: "故宫", rows: 1, kept: 1 },
    { word: "python", rows: 1, kept: 0 },
    { word: "ภาษา", rows: 1, kept: 1 },
  ]);
});

test("marks on letters belong to the word, and an accent is one however it is written", () => {
  expect(
    watch(
      "कर|cafe|café",
      ["काम कर", true],
      ["काम करो", true],
      ["a café", true],
      ["a cafe\u0301", false],
      ["a cafe", true],
    ),
  ).toEqual([
    { word: "कर", rows: 1, kept: 1 },
    { word: "cafe", rows: 1, kept: 1 },
    { word: "café", rows: 2, kept: 1 },
  ]);
});

test("a word's rows do not depend on the other words", () => {
  const rows: [string, boolean][] = [
    ["machine learning", true],
    ["a machine", false],
    ["machine learning rate", true],
  ];
  expect(watch("machine|machine learning|learning rate", ...rows).map((word) => word.rows)).toEqual([3, 2, 1]);
  expect(watch("machine", ...rows)[0]!.rows).toBe(3);
  expect(watch("c", ["C++ and C#", true])[0]!.rows).toBe(0);
});

test("each category has its own counts", () => {
  expect(watch("sql", ["SQL", true, "code"], ["sql", false, "code"], ["sql", true, "chat"])[0]!.categories).toEqual([
    { category: "code", rows: 2, kept: 1 },
    { category: "chat", rows: 1, kept: 1 },
  ]);
});

test("an alarm tells of a word that all but vanishes, and of none that is merely rare", () => {
  expect(alarmsOfWords([{ word: "java", rows: 718, kept: 20 }], 9229 / 52_002)).toEqual([
    "java all but vanishes: 20 of 718 rows are kept, where 17.7 % would be 127",
  ]);
  expect(alarmsOfWords([{ word: "java", rows: 718, kept: 85 }], 9229 / 52_002)).toEqual([]); // the paper's coding rows
  expect(alarmsOfWords([{ word: "rare", rows: 20, kept: 0 }], 0.1)).toEqual([]);
});

test.each(["", "a||b", "x".repeat(101), Array.from({ length: 51 }, (_, i) => `w${i}`).join("|")])(
  "%j are no words",
  (words) => {
    expect(() => new WordWatch(words)).toThrow(/--watch: expected up to 50 words/);
  },
);
