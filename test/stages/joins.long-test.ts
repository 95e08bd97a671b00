import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hashExample } from "../../src/dataset/example.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { readExamples } from "../helpers/examples.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Scores, rows and verdicts stay with what they belong to. */

async function run<Result>(folder: TempFolder, ...args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
  expect([code, stderr]).toEqual([expect.toBeOneOf([0, 3]), ""]);
  return JSON.parse(stdout) as Result;
}

const armOf = (folder: TempFolder, file: string, name = "runs/default") =>
  readFileSync(`${folder.path}/${name}/arms/${file}`, "utf8");

test("a panel's corrected scores stay with their rows where one cannot be read", async () => {
  using folder = tempFolder();
  const random = createRandom(3);
  const lines = Array.from({ length: 1_000 }, (_, i) =>
    JSON.stringify({ instruction: `Tell me about topic ${i % 50}`, output: "word ".repeat(1 + (i % 40)) }),
  );
  const scores = Array.from({ length: 1_000 }, (_, i) => Math.floor((i % 40) / 10) + (random() < 0.2 ? 1 : 0));
  const withHole = <T>(list: readonly T[], hole: T) => [...list.slice(0, 600), hole, ...list.slice(600)];
  folder.write("rows.jsonl", withHole(lines, "{broken").join("\n"));
  folder.write("a.json", withHole<number | null>(scores, null));
  folder.write(
    "b.json",
    withHole<number | null>(
      scores.map((score, i) => (i % 9 === 0 ? 0 : score)),
      null,
    ),
  );
  const judges = ["--judge", "recorded:a.json", "--judge", "recorded:b.json", "--scale", "0..4"];
  const { panel } = await run<RateSummary>(folder, "rate", "rows.jsonl", "--unreadable", "skip", ...judges);
  expect(panel!.judges.map(({ states }) => states)).toEqual([
    { scored: 1_000, unreadable: 1 },
    { scored: 1_000, unreadable: 1 },
  ]);
  expect(panel!.uncorrected ?? "").toBe("");
  const indexes = parseLines<{ index: number }>(
    readFileSync(`${folder.path}/runs/default/corrected.jsonl`, "utf8"),
  ).map(({ index }) => index);
  expect(indexes).not.toContain(600);
  expect(indexes.at(-1)).toBe(1_000);
});

describe("a pool with CSV", () => {
  test("is written as JSON, whatever a text begins with", async () => {
    using folder = tempFolder();
    folder.write("a.jsonl", '{"instruction":"x","output":"y"}');
    folder.write("b.csv", "instruction,output\n{name} asks,2\n");
    await run(folder, "rate", "a.jsonl", "b.csv");
    await run(folder, "select", "--method", "full");
    expect(parseLines(armOf(folder, "full.jsonl"))).toEqual([
      { instruction: "x", output: "y" },
      { instruction: "{name} asks", output: "2" },
    ]);
  });

  test.each([["b.csv"], ["b.jsonl"]])("compares numbers as numbers, beside %s", async (other) => {
    using folder = tempFolder();
    folder.write("a.csv", "instruction,output,likes,dislikes\nq1,o,10,9\nq2,o,9,10\n");
    folder.write("b.csv", "instruction,output,likes,dislikes\nq3,o,100,20\nq4,o,20,100\n");
    folder.write(
      "b.jsonl",
      '{"instruction":"q3","output":"o","likes":100,"dislikes":20}\n{"instruction":"q4","output":"o","likes":20,"dislikes":100}',
    );
    await run(folder, "rate", "a.csv", other);
    const arm = await run<ArmSummary>(folder, "select", "--where", "likes > dislikes");
    const text = armOf(folder, arm.path.split("/").at(-1)!);
    expect(["q1", "q2", "q3", "q4"].map((name) => text.includes(name))).toEqual([true, false, true, false]);
    const own = await run<ArmSummary>(folder, "select", "--where", "source = 'a'", "--arm", "own");
    expect(own.rows).toBe(2);
  });
});

test("edited reasoning and references are found by select", async () => {
  using folder = tempFolder();
  const row = (thought: string, reference: string) =>
    JSON.stringify({ instruction: "Q", output: `<think>${thought}</think>A`, reference });
  folder.write("rows.jsonl", row("good", "r"));
  await run(folder, "rate", "rows.jsonl");
  for (const edited of [row("bad", "r"), row("good", "s")]) {
    folder.write("rows.jsonl", edited);
    const { stderr } = await alpagasus(["select", "--method", "full"], { cwd: folder.path });
    expect(stderr).toContain("expected the row that was rated, got another");
  }
  const [plain] = await readExamples(folder.write("plain.json", [{ instruction: "Q", output: "A" }]));
  expect(hashExample(plain!)).toBe(hashExample({ instruction: "Q", input: "", output: "A" }));
});

test("a limit of prompts that no row can keep ends, and says so", async () => {
  await using server = await startModelServer();
  using folder = tempFolder();
  folder.write("rows.jsonl", '{"instruction":"Q","output":"A"}');
  const args = ["rate", "rows.jsonl", "--judge", server.judge, "--max-prompt-tokens", "20", "--json"];
  const { code, stdout } = await alpagasus(args, { cwd: folder.path });
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ states: { failed: 1 }, unasked: 1 }); // no call that failed: trying again would not help
  expect(server.log).toEqual([]);
});

describe("answers of several turns", () => {
  const choices = (turns: readonly string[], id = 1) => JSON.stringify({ question_id: id, choices: [{ turns }] });
  test.each([
    ["more turns than the question", { id: 1, turns: ["Q1"] }, ["a", "b"]],
    ["fewer turns than the question", { id: 1, turns: ["Q1", "Q2", "Q3"] }, ["a", "b"]],
  ])("with %s are refused", async (_, question, turns) => {
    using folder = tempFolder();
    folder.write("q.json", [question]);
    folder.write("a.jsonl", choices(turns));
    folder.write("b.jsonl", choices(turns.map((turn) => `${turn}!`)));
    const { code, stderr } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--questions", "q.json"], {
      cwd: folder.path,
    });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/expected an answer to each of the \d turns of question 1/),
    ]);
  });

  test("to other turns of the same text, or with ids that two pairs would share, are refused", async () => {
    using folder = tempFolder();
    const talk = (turns: readonly string[], id = "1") => ({
      id,
      set: "s",
      turns,
      outputs: turns.map((turn) => `to ${turn}`),
    });
    folder.write("a.json", [talk(["a", "b\n\nc"])]);
    folder.write("b.json", [talk(["a\n\nb", "c"])]);
    const other = await alpagasus(["compare", "a.json", "b.json"], { cwd: folder.path });
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("to be the prompt that a.json answers")]);
    const clash = [talk(["x", "y"]), { id: "1 turn 2", set: "s", instruction: "z", output: "o" }];
    folder.write("c.json", clash);
    folder.write("d.json", clash);
    const twice = await alpagasus(["compare", "c.json", "d.json"], { cwd: folder.path });
    expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining("expected ids that differ")]);
  });

  test("that one side lacks count by their turns at the gate", async () => {
    using folder = tempFolder();
    const talks = Array.from({ length: 10 }, (_, id) => ({
      id,
      set: "s",
      turns: ["a", "b", "c"],
      outputs: [`${id}`, "2", "3"],
    }));
    folder.write("a.json", talks);
    folder.write("b.json", talks.slice(1));
    const { code, stdout } = await alpagasus(["compare", "a.json", "b.json", "--json"], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stdout).toContain("27 of 30 prompts are decided (90.0 %)");
  });
});

test("rating data that was changed says which arms are of it no more", async () => {
  using folder = tempFolder();
  const rows = Array.from({ length: 30 }, (_, i) => ({ instruction: `Ask ${i}`, output: `Say ${i}` }));
  folder.write("rows.json", rows);
  await run(folder, "rate", "rows.json");
  await run(folder, "select", "--top", "5");
  folder.write("rows.json", rows.with(3, { instruction: "Another", output: "row" }));
  const { notes } = await run<RateSummary>(folder, "rate", "rows.json");
  expect(notes.join("\n")).toContain("the data changed since: selected is no arm of it any more; select again");
});
