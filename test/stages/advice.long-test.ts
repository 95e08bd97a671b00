import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { Manifest } from "../../src/run/manifest.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* What a newcomer met: advice that led astray, and figures that were not so. */

let folder: TempFolder;
beforeEach(() => (folder = tempFolder()));
afterEach(() => folder[Symbol.dispose]());

const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `r${i}`, instruction: `Say ${i}`, input: "", output: `answer ${i}` }));
const told = async (...args: string[]) => (await alpagasus(args, { cwd: folder.path })).stdout;
const refused = async (...args: string[]) => {
  const { code, stderr } = await misuse(args, { cwd: folder.path });
  expect(code).toBe(2);
  return stderr.trim();
};
const manifest = () => JSON.parse(readFileSync(join(folder.path, "runs/default/run.json"), "utf8")) as Manifest;

test("rows whose calls failed are asked again by what status proposes", async () => {
  let isUp = false;
  await using server = await startModelServer({
    answer: ({ user }) =>
      !isUp && user.includes("Say 7") ? { kind: "status", status: 400, message: "no" } : "4\nFine.",
  });
  folder.write("d.json", rows(20));
  const rate = ["rate", "d.json", "--judge", server.judge, "--no-check"];
  await told(...rate);
  isUp = true;
  const again = await told(...rate); // from the store alone
  expect(again).toContain("1 call failed before; --retry-failed repeats them");
  const [, next] = /next {2}alpagasus (.*--retry-failed), since 1 row has no score/.exec(await told("status")) ?? [];
  await prepare(folder.path, next!.split(" "));
  expect(manifest().rate!.states).toEqual({ scored: 20 });
});

test("a gate that does not hold leads to the replies, and a mark has its own coverage", async () => {
  await using server = await startModelServer({
    answer: ({ user }) =>
      Number(/Say (\d+)/.exec(user)![1]) % 2 ? "I'm sorry, but I cannot assist with that." : "4\nFine.",
  });
  folder.write("d.json", rows(20));
  const stdout = await told("rate", "d.json", "--judge", server.judge, "--no-check");
  expect(stdout).toContain("10 rows were refused; alpagasus replies --state refused shows what was said");
  expect(await told("status")).toContain("next  alpagasus replies --state refused, since a gate does not hold");
  folder.write(
    "marks.jsonl",
    rows(20)
      .map(({ id }, i) => JSON.stringify({ id, fluency: 3, depth: i < 15 ? 2 : null }))
      .join("\n"),
  );
  await prepare(folder.path, ["rate", "d.json", "--judge", "recorded:marks.jsonl", "--as", "c", "--min-coverage", "0"]);
  expect(await told("status")).toMatch(/c\.depth .*: 75\.0 % scored/);
  expect(await refused("select", "--by", "c.dept", "--top", "3")).not.toContain("the score itself");
});

test("a shard is not all rows, and merged notes are told once", async () => {
  folder.write(
    "d.json",
    rows(40).map((row) => ({ ...row, topic: "x" })),
  );
  for (const i of [1, 2]) await prepare(folder.path, ["rate", "d.json", "--shard", `${i}/2`, "--run", `s${i}`]);
  expect(await told("report", "--run", "s1", "--format", "md")).toContain("it is shard 1 of 2, not all rows");
  await prepare(folder.path, ["merge", "s1", "s2"]);
  const { notes } = manifest().rate!;
  expect(new Set(notes).size).toBe(notes.length);
  folder.write("d.json", rows(39));
  expect(await told("status")).toContain(
    "put back the data, or rate the shards again; then alpagasus merge s1 s2 --overwrite",
  );
});

test("answers: the advice names their run, and a kill between two writes leaves what is known", async () => {
  await using server = await startModelServer({ answer: ({ user }) => `Answer to ${user}` });
  folder.write("p1.jsonl", [1, 2].map((id) => JSON.stringify({ id, instruction: `First ${id}` })).join("\n"));
  folder.write("p2.jsonl", [1, 2].map((id) => JSON.stringify({ id, instruction: `Second ${id}` })).join("\n"));
  const generate = (tests: string) => [
    "generate",
    "--model",
    server.judge,
    "--name",
    "a",
    "--tests",
    tests,
    "--run",
    "runs/g",
  ];
  expect(await told(...generate("p1.jsonl"))).toContain("compare them: alpagasus compare a OTHER --run runs/g");
  const path = join(folder.path, "runs/g/run.json");
  const before = readFileSync(path, "utf8");
  await prepare(folder.path, generate("p2.jsonl"));
  const answers = join(folder.path, "runs/g/answers/a.jsonl");
  const { answersHash } = (JSON.parse(readFileSync(path, "utf8")) as { answers: Record<string, AnswersSummary> })
    .answers["a"]!;
  // as a kill leaves it after the answers and before the manifest
  const old = JSON.parse(before) as { answers: Record<string, AnswersSummary> };
  writeFileSync(path, JSON.stringify({ ...old, answers: { a: { ...old.answers["a"], answersNext: answersHash } } }));
  await prepare(folder.path, generate("p2.jsonl"));
  expect(parseLines(readFileSync(answers, "utf8"))).toHaveLength(4);
  writeFileSync(answers, readFileSync(answers, "utf8").replace("First", "Fifth")); // by hand
  expect(await refused(...generate("p2.jsonl"))).toContain("found them changed");
});

test("an experiment plans every turn, at the price of batches, and what is stored costs nothing", async () => {
  await using server = await startModelServer({ answer: () => "Well." });
  folder.write("d.json", rows(12));
  folder.write(
    "two.jsonl",
    [1, 2, 3].map((id) => JSON.stringify({ id, turns: [`First ${id}`, `And ${id}`] })).join("\n"),
  );
  const model = server.judge;
  const recipe = (more: string) => `name: mine
data: d.json
rate: { judge: student }
arms: { a: { top: 5 } }
models: { ga: "${model}" }
prices: { "${model}": { input: 1, output: 20 } }
generate: { tests: [two.jsonl], max_output_tokens: 20 }
${more}`;
  folder.write("r.yaml", recipe(""));
  const plan = async () => {
    const { tasks } = JSON.parse(await told("run", "r.yaml", "--dry-run", "--json")) as {
      tasks: { task: string; state: string; what?: string; expectedUsd?: number; highestUsd?: number }[];
    };
    return tasks.find(({ task }) => task === "generate ga")!;
  };
  const { what, highestUsd } = await plan();
  expect(what).toBe("6 calls"); // 3 prompts of two turns
  expect(highestUsd).toBeGreaterThan((6 * 20 * 20) / 1e6); // all output at most
  await prepare(folder.path, ["run", "r.yaml", "--budget", String(highestUsd! * 1.01)]);
  folder.write(
    "two.jsonl",
    [1, 2, 3, 4].map((id) => JSON.stringify({ id, turns: [`First ${id}`, `And ${id}`] })).join("\n"),
  );
  expect((await plan()).what).toBe("2 calls");
});

test("what is not for a command is said as such", async () => {
  folder.write("d.json", rows(12));
  await prepare(folder.path, ["rate", "d.json"], ["select", "--top", "6"]);
  expect(await refused("rate", "d.json", "--judge", "gpt-5-mini", "--dry-run")).toMatch(
    /--judge: expected student, .* got "gpt-5-mini"/,
  );
  expect(
    await refused(
      "train",
      "--recipe",
      "paper-7b",
      "--trainer",
      "axolotl",
      "--on",
      "ray:http://127.0.0.1:1",
      "--dry-run",
    ),
  ).toContain("--on: expected --trainer trl");
  folder.write(
    "pair.yaml",
    "name: p\nversion: 1\ndescription: x\nuser: '{{ answer_1 }} {{ answer_2 }}'\nreply: { format: grades }\n",
  );
  expect(
    await refused("rate", "d.json", "--judge", "http://127.0.0.1:1/v1#m", "--rubric", "./pair.yaml", "--run", "runs/o"),
  ).toContain(
    "expected a rubric that rates rows, for rate --rubric, got one that compares two answers, for compare --rubric",
  );
});
