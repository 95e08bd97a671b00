import { describe, expect, it } from "vitest";
import { contaminationFinder } from "../../src/selection/contamination.ts";
import { diversity } from "../../src/selection/diversity.ts";
import { exactDuplicates, nearDuplicates, type LearningCheck } from "../../src/selection/duplicates.ts";
import { pickHighest } from "../../src/selection/pick.ts";
import { readPrompts } from "../../src/dataset/prompts.ts";
import { describeWithSharedData, sharedData } from "../helpers/shared-data.ts";

const long =
  "The quick brown fox jumps over the lazy dog while the patient cat watches from the old garden wall and waits for the evening to come down";

function pick(check: LearningCheck, outputs: readonly string[], scores: readonly number[]) {
  outputs.forEach((output, row) => check.learn(row, { instruction: "Say it", input: "", output }));
  return pickHighest(Float32Array.from(scores), { seed: 1, checks: [check] });
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
    const { kept, rejected } = pick(nearDuplicates(), [long, `${long} again`, other], [1, 2, 1]);
    expect([...kept]).toEqual([0, 1, 1]);
    expect(rejected.get(0)).toMatchObject({ reason: "near duplicate", detail: { of: 1 } });
  });

  it("takes texts of one or no word for what they are", () => {
    const { kept } = pick(nearDuplicates(), ["Yes", "No", "", "Yes"], [1, 1, 1, 2]);
    expect([...kept]).toEqual([0, 1, 1, 1]);
  });
});

describe("diversity", () => {
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

  it("finds a short prompt in whole, and the shortest only as the whole instruction", () => {
    expect(find(row("Please name the seven seas, please!"))).toMatchObject({
      prompt: "2",
      words: "name the seven seas please",
    });
    expect(find(row("Tell a joke."))).toMatchObject({ prompt: "3" });
    expect(find(row("Tell a joke about bread"))).toBeUndefined();
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
