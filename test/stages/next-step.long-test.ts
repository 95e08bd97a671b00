import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* What `status` and the hints of other commands say comes next, typed as they say it. */

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
  folder.write("d.json", rows(20));
});
afterEach(() => folder[Symbol.dispose]());

const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ instruction: `Say ${i}`, input: "", output: `answer ${i}` }));
const answersOf = (arm: string, count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, instruction: `Explain ${id}`, output: `${arm} says ${id}` }));
const told = async (...args: string[]) => (await alpagasus(args, { cwd: folder.path })).stdout;

test("after a try with --limit: the other rows, at the price that is given now", async () => {
  await using server = await startModelServer();
  const rate = ["rate", "d.json", "--judge", server.judge, "--no-check", "--limit", "5"];
  const cost = (stdout: string) => Number(/goes on with the other 15, for about \$(\S+)/.exec(stdout)?.[1]);
  const cheap = cost(await told(...rate, "--price", "1/1"));
  expect(cost(await told(...rate, "--price", "100/100")) / cheap).toBeCloseTo(100, 0);
  expect(await told("status")).toMatch(/next {2}alpagasus rate d\.json .*--no-check --price 100\/100, which goes on/);
});

test("after a try of which nothing could be read: the replies", async () => {
  await using server = await startModelServer({ answer: () => "no idea" });
  await told("rate", "d.json", "--judge", server.judge, "--no-check", "--limit", "5");
  expect(await told("status")).toContain("next  alpagasus replies, since no row has a score");
});

test("after a check of a judge: what it found", async () => {
  await using server = await startModelServer({ answer: () => "3\nBecause." });
  await told("check-judge", "--judge", server.judge);
  const stdout = await told("status");
  expect(stdout).toMatch(/started: \d+ replies are stored; the check of http\S+ failed \(.*separates.*\) on 20/);
  expect(stdout).toContain("next  alpagasus check-judge with another --judge or --rubric");
});

test("after a comparison that misses its gate: the gate", async () => {
  folder.write("a.json", answersOf("a", 40));
  folder.write("b.json", answersOf("b", 30));
  expect((await alpagasus(["compare", "a.json", "b.json"], { cwd: folder.path })).code).toBe(3);
  const stdout = await told("status");
  expect(stdout).toContain("FAILED a against b: coverage: 30 of 40");
  expect(stdout).not.toContain("nothing is left to do");
});

test("verdicts that cannot be read are shown by the hint as it is", async () => {
  await using server = await startModelServer({ answer: () => "no idea" });
  folder.write("a.json", answersOf("a", 3));
  folder.write("b.json", answersOf("b", 3));
  const stdout = await told("compare", "a.json", "b.json", "--judge", server.judge, "--run", "runs/m");
  const [, hint] = /; alpagasus (replies --verdicts --state unparsable --run runs\/m) shows them/.exec(stdout) ?? [];
  expect(await told(...hint!.split(" "))).toContain("no idea");
});

test.each([
  ["", []],
  [", also of several replies a row", ["--samples", "3"]],
] as const)("a budget that is too small says what is enough, and that is%s", async (_, more) => {
  await using server = await startModelServer();
  const rate = ["rate", "d.json", "--judge", server.judge, "--no-check", ...more, "--price", "1/1", "--budget"];
  const stdout = await told(...rate, "0.0015");
  const [, enough] = /; \$(\S+) is likely to be enough/.exec(stdout) ?? [];
  expect((await alpagasus([...rate, enough!], { cwd: folder.path })).code).toBe(0);
});

test("rows that cannot be read are no part of what all rows are", async () => {
  folder.write(
    "u.jsonl",
    [...rows(10).map((row) => JSON.stringify(row)), ...Array.from({ length: 10 }, () => "broken")].join("\n"),
  );
  const skip = ["--unreadable", "skip", "--max-unreadable", "60%", "--min-coverage", "40%"];
  await prepare(folder.path, ["rate", "u.jsonl", ...skip]);
  const stdout = await told("select", "--min-score", "0", "--min-coverage", "40%");
  expect(stdout).toMatch(/all rows +10 +100\.0 % +5 +8 .*1\.0× less/);
});

test("a value of CSV that is empty is null for quotas as for --where", async () => {
  folder.write("n.csv", "instruction,output,lang\na,b,en\nc,d,\n");
  await prepare(folder.path, ["rate", "n.csv"]);
  expect(await told("select", "--where", "lang is null")).toContain("Kept 1 of 2 rows");
  expect(await told("select", "--quota", "lang=null:1")).toContain("Kept 1 of 2 rows");
});

test("a score that is a column has both of its names", async () => {
  folder.write("l.json", [
    { instruction: "a", output: "b", lvl: 1 },
    { instruction: "c", output: "d", lvl: 2 },
  ]);
  await prepare(folder.path, ["rate", "l.json"], ["rate", "l.json", "--judge", "column:lvl", "--as", "lvl"]);
  for (const name of ["lvl", "rating_lvl", "data_lvl"])
    expect(await told("select", "--where", `${name} > 1`)).toContain("Kept 1 of 2 rows");
});

test("chats are trained with a chat template, and a chat without a question is told", async () => {
  const chats = (turns: (i: number) => readonly (readonly [string, string])[]) =>
    Array.from({ length: 20 }, (_, i) => {
      const messages = turns(i).map(([role, content]) => ({ role, content }));
      return `${JSON.stringify({ messages })}\n`;
    }).join("");
  folder.write(
    "chats.jsonl",
    chats((i) => [
      ["system", "Be brief."],
      ["user", `Ask ${i}`],
      ["assistant", `${i}`],
    ]),
  );
  folder.write(
    "answers.jsonl",
    chats((i) => [["assistant", `${i}`]]),
  );
  folder.write(
    "orca.json",
    Array.from({ length: 20 }, (_, i) => ({ system_prompt: "Be brief.", question: `Ask ${i}`, response: `${i}` })),
  );
  for (const [name, file] of [
    ["chats", "chats.jsonl"],
    ["orca", "orca.json"],
  ] as const) {
    const run = ["--run", `runs/${name}`];
    await prepare(
      folder.path,
      ["rate", file, ...run],
      ["select", "--top", "5", ...run],
      ["select", "--method", "random", ...run],
    );
    const [, next] = /next {2}alpagasus (.*?): /.exec(await told("status", ...run)) ?? [];
    expect((await alpagasus(next!.split(" "), { cwd: folder.path })).code).toBe(0);
  }
  expect(await told("rate", "answers.jsonl", "--run", "runs/answers")).toContain(
    "20 rows have no turn before the answer",
  );
});

test("the page tells commands of several folders as they are typed in one", async () => {
  mkdirSync(join(folder.path, "sub"), { recursive: true });
  await prepare(folder.path, ["rate", "d.json", "--run", "runs/pages"]);
  await prepare(join(folder.path, "sub"), ["select", "--top", "3", "--run", "../runs/pages"]);
  await prepare(folder.path, ["report", "--run", "runs/pages", "--out", "page.html"]);
  expect(readFileSync(join(folder.path, "page.html"), "utf8")).toContain(
    "cd sub && alpagasus select --top 3 --run ../runs/pages",
  );
});

test("a plan tells that its run holds the ratings of another judge", async () => {
  await using server = await startModelServer();
  await prepare(folder.path, ["rate", "d.json"]);
  const plan = ["rate", "d.json", "--judge", server.judge, "--dry-run"];
  const refused = await alpagasus(plan, { cwd: folder.path });
  expect([refused.code, refused.stderr]).toEqual([
    0,
    expect.stringMatching(/without --dry-run this command is refused: .*holds ratings by student, not by http/),
  ]);
  for (const more of [["--overwrite"], ["--run", "runs/new"], ["--as", "other"]])
    expect((await alpagasus([...plan, ...more], { cwd: folder.path })).stderr).not.toContain("refused");
});

test("where every call failed, to try again is proposed", async () => {
  await using server = await startModelServer({
    answer: () => ({ kind: "status", status: 400, message: "context length exceeded" }),
  });
  await alpagasus(["rate", "d.json", "--judge", server.judge, "--no-check", "--run", "runs/failed"], {
    cwd: folder.path,
  });
  expect(await told("status", "--run", "runs/failed")).toContain("--retry-failed");
});
