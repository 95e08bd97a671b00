import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contaminationFinder } from "../../src/selection/contamination.ts";
import { diversity } from "../../src/selection/diversity.ts";
import { exactDuplicates, type LearningCheck } from "../../src/selection/duplicates.ts";
import { nearDuplicates } from "../../src/selection/near-duplicates.ts";
import { pickHighest } from "../../src/selection/pick.ts";
import { hashWord, hashWords, wordsOf } from "../../src/selection/words.ts";
import { readPrompts } from "../../src/dataset/prompts.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { describeWithSharedData, sharedData } from "../helpers/shared-data.ts";

const long =
  "The quick brown fox jumps over the lazy dog while the patient cat watches from the old garden wall and waits for the evening to come down";

function pick(check: LearningCheck, outputs: readonly string[], scores: readonly number[]) {
  outputs.forEach((output, row) => check.learn(row, { instruction: "Say it", input: "", output }));
  return pickHighest(Float64Array.from(scores), { seed: 1, purpose: "test", checks: [check] });
}

describe("exact duplicates", () => {
  it("keeps the best of rows that are the same but for white space around them", () => {
    const { kept, rejected } = pick(exactDuplicates(3), ["a", "a \n", "A"], [1, 2, 1]);
    expect([...kept]).toEqual([0, 1, 1]);
    expect(rejected.get(0)).toEqual({ reason: "duplicate", detail: { of: 1 } });
  });
});

describe("near duplicates", () => {
  it("keeps the best of texts that differ in a word, and all that differ in more", () => {
    const other = long.split(" ").toReversed().join(" ");
    const { kept, rejected } = pick(nearDuplicates(3), [long, `${long} again`, other], [1, 2, 1]);
    expect([...kept]).toEqual([0, 1, 1]);
    expect(rejected.get(0)).toMatchObject({ reason: "near duplicate", detail: { of: 1 } });
  });

  it("takes texts of one or no word for what they are", () => {
    const { kept } = pick(nearDuplicates(4), ["Yes", "No", "", "Yes"], [1, 1, 1, 2]);
    expect([...kept]).toEqual([0, 1, 1, 1]);
  });
});

/** Word triples as they are told, without hashes. */
function similarityOf(a: string, b: string): number {
  const triples = (text: string) => {
    const words = wordsOf(`Say it\n\n${text}`);
    return new Set(
      words.length < 3 ? [words.join(" ")] : words.slice(2).map((_, i) => words.slice(i, i + 3).join(" ")),
    );
  };
  const [x, y] = [triples(a), triples(b)];
  const shared = [...x].filter((triple) => y.has(triple)).length;
  return shared / (x.size + y.size - shared);
}

describe("near duplicates among many rows", () => {
  const vocabulary = ["red", "Blau", "über", "木", "x1", "the", "of", "a", "naïve", "ﷺ", "end", "it"];
  const texts = fc.array(
    fc.record({
      base: fc.integer({ min: 0, max: 5 }),
      changes: fc.array(fc.tuple(fc.nat(39), fc.nat(vocabulary.length - 1)), { maxLength: 6 }),
      length: fc.integer({ min: 0, max: 40 }),
    }),
    { minLength: 2, maxLength: 60 },
  );

  it("rejects exactly those that are as similar to a kept row, and says to which", () => {
    fc.assert(
      fc.property(texts, fc.constantFrom(0.5, 0.7, 0.8, 0.95, 1), (drawn, least) => {
        const outputs = drawn.map(({ base, changes, length }) => {
          const words = Array.from({ length }, (_, i) => vocabulary[(base * 7 + i * (base + 1)) % vocabulary.length]!);
          for (const [at, word] of changes) if (at < length) words[at] = vocabulary[word]!;
          return words.join(" ");
        });
        const scores = outputs.map((_, i) => (i * 31) % 17);
        const check = nearDuplicates(outputs.length, least);
        const { kept, rejected } = pick(check, outputs, scores);
        const before: number[] = []; // kept rows, in the order of picking
        for (const row of [...outputs.keys()].filter((one) => kept[one])) before.push(row);
        for (const [row, { detail }] of rejected) {
          expect(kept[detail.of!]).toBe(1);
          expect(detail.similarity).toBeCloseTo(similarityOf(outputs[row]!, outputs[detail.of!]!), 3);
          expect(detail.similarity! + 5e-4).toBeGreaterThanOrEqual(least);
        }
        for (const [i, a] of before.entries())
          for (const b of before.slice(i + 1)) expect(similarityOf(outputs[a]!, outputs[b]!)).toBeLessThan(least);
      }),
      { numRuns: 300 },
    );
  });
});

describe("words", () => {
  // what Unicode joins, changes by its neighbours or takes apart, between ASCII
  const parts = [
    "a",
    "Z9",
    "x",
    ".",
    "'",
    "=",
    " ",
    "\n",
    "\t",
    "é",
    "e\u0301",
    "\u0338",
    "ΑΣ",
    "Σ",
    "木",
    "ﬁ",
    "½",
    "\u00a0",
    "\u2028",
    "\u{1d400}",
    "\ud800",
    "ไทย",
    "İ",
    "\0",
  ];
  const mixed = fc.array(fc.constantFrom(...parts), { maxLength: 30 }).map((chosen) => chosen.join(""));

  it("have the same hashes however they are read", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.constant("ﷺﷺ ½ 木の"), mixed), (text) => {
        const into = new Uint32Array(4 * text.length + 4);
        const count = hashWords(text, into);
        expect([...into.subarray(0, count)]).toEqual(wordsOf(text).map(hashWord));
      }),
    );
  });
});

describe("texts without words", () => {
  it("are duplicates only of themselves", () => {
    const check = nearDuplicates(3);
    ["☃", "★", "★"].forEach((output, row) => check.learn(row, { instruction: "", input: "", output }));
    expect([...pickHighest(Float64Array.from([3, 2, 1]), { seed: 1, purpose: "test", checks: [check] }).kept]).toEqual([
      1, 1, 0,
    ]);
  });
});

describe("diversity", () => {
  it("finds identical rows even where all their words are common", () => {
    const { kept } = pick(diversity(0.5), Array<string>(50).fill(long), Array<number>(50).fill(1));
    expect(kept.reduce((sum, is) => sum + is, 0)).toBe(1);
  });

  it("passes over a row that lies near a better one", () => {
    const { kept, rejected } = pick(
      diversity(0.5),
      [long, long.replace("fox", "wolf"), "Bread needs flour, water, salt and yeast"],
      [3, 2, 1],
    );
    expect([...kept]).toEqual([1, 0, 1]);
    expect(rejected.get(1)).toMatchObject({ reason: "too close", detail: { of: 0 } });
  });
});

describe("contamination", () => {
  const prompts = [
    { set: "t", id: "1", instruction: long, input: "" },
    { set: "t", id: "2", instruction: "Name the seven seas please", input: "" },
    { set: "t", id: "3", instruction: "Tell a joke", input: "" },
  ];
  const find = contaminationFinder(prompts);
  const row = (instruction: string, output = "") => ({ instruction, input: "", output });

  it("finds a run of thirteen words of a long prompt, whatever its case and punctuation", () => {
    const part = long.split(" ").slice(5, 18).join(", ").toUpperCase();
    expect(find(row(`Continue: ${part}`))).toMatchObject({ test: "t", prompt: "1" });
    expect(find(row("x", `He said: ${part}`))).toMatchObject({ prompt: "1" });
    expect(find(row(long.split(" ").slice(5, 17).join(" ")))).toBeUndefined();
  });

  it("finds a Chinese prompt inside a row, where no spaces part the words", () => {
    const prompt = "请用简单的语言解释一下什么是量子纠缠以及它为什么重要";
    const chinese = contaminationFinder([{ set: "t", id: "zh", instruction: prompt, input: "" }]);
    expect(chinese(row(`问题：${prompt}。请回答`))).toMatchObject({ prompt: "zh" });
    expect(chinese(row("请用简单的语言解释一下相对论"))).toBeUndefined();
  });

  it("finds a short prompt in whole, and the shortest only as the whole instruction", () => {
    expect(find(row("Please name the seven seas, please!"))).toMatchObject({
      prompt: "2",
      words: "name the seven seas please",
    });
    expect(find(row("Tell a joke."))).toMatchObject({ prompt: "3" });
    expect(find(row("Tell a joke about bread"))).toBeUndefined();
  });
});

describe("test prompts", () => {
  it("may be bare texts, and nothing else that has no prompt", async () => {
    using folder = tempFolder();
    expect(await readPrompts(folder.write("p.json", ["What is up?"]))).toMatchObject([
      { id: "1", instruction: "What is up?" },
    ]);
    await expect(readPrompts(folder.write("n.json", [1]))).rejects.toThrow(
      /n.json:1 .row 1.: expected a prompt or an object with one, got number/,
    );
  });
});

describeWithSharedData("test prompts in the forms the field uses", () => {
  it.each([
    ["vicuna", 80, "How can I improve my time management skills?"],
    ["koala", 180, "Can you list the top 20 films"],
    ["wizardlm", 218, "If a car travels 120 miles in 2 hours"],
    ["sinstruct", 252, "The sentence you are given might be too wordy"],
  ])("reads %s", async (name, count, start) => {
    const prompts = await readPrompts(sharedData(`testsets/${name}_test_set.jsonl`));
    expect(prompts).toHaveLength(count);
    expect(prompts[0]!.instruction.startsWith(start)).toBe(true);
    if (name === "sinstruct") expect(prompts[0]!.input).toContain("If you have any questions about my rate");
    expect(
      contaminationFinder(prompts)({ instruction: prompts[3]!.instruction, input: prompts[3]!.input, output: "" }),
    ).toMatchObject({ prompt: prompts[3]!.id });
  });
});
