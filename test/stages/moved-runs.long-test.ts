import { cpSync, mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Manifest } from "../../src/run/manifest.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Runs that were moved, renamed, or are asked about from another folder: each command is about the run that it names. */

let folder: TempFolder;
beforeEach(() => (folder = tempFolder()));
afterEach(() => folder[Symbol.dispose]());

const rows = (word: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    instruction: `${word} ${i}`,
    input: "",
    output: `answer ${i} to ${word}`,
  }));
const answersOf = (arm: string) =>
  Array.from({ length: 12 }, (_, id) => ({ id, instruction: `Explain ${id}`, output: `${arm} says ${id}` }));
const manifestOf = (run: string) => JSON.parse(readFileSync(join(folder.path, run, "run.json"), "utf8")) as Manifest;
const next = async (cwd: string, ...args: string[]) =>
  /next {2}(.*)/.exec((await alpagasus(["status", ...args], { cwd })).stdout)?.[1] ?? "";

test("data of the same name in another folder do not replace a run's ratings", async () => {
  folder.write("A/d.json", rows("Say", 40));
  folder.write("B/d.json", rows("Tell", 30));
  await prepare(
    join(folder.path, "A"),
    ["rate", "d.json", "--run", "runs/x"],
    ["select", "--top", "5", "--run", "runs/x"],
  );
  const { code, stderr } = await misuse(["rate", "d.json", "--run", "../A/runs/x"], { cwd: join(folder.path, "B") });
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/holds ratings of \S*A\/d\.json \(40 rows\), not of d\.json/),
  ]);
  expect(manifestOf("A/runs/x")).toMatchObject({ dataset: { rows: 40 }, arms: { selected: { rows: 5 } } });
  // neither by a pattern, nor where the run was copied away from its data
  const cwd = join(folder.path, "B");
  await prepare(join(folder.path, "A"), ["rate", "*.json", "--run", "runs/p"]);
  expect((await misuse(["rate", "*.json", "--run", "../A/runs/p"], { cwd })).stderr).toContain("holds ratings of");
  cpSync(join(folder.path, "A/runs/x"), join(folder.path, "far/away/x"), { recursive: true });
  expect((await misuse(["rate", "d.json", "--run", "../far/away/x"], { cwd })).stderr).toContain(
    "holds ratings of d.json",
  );
  // nor where one of several files is the same; one that was added is more of the same
  folder.write("A/e.json", rows("Tell", 3));
  await prepare(join(folder.path, "A"), ["rate", "d.json", "e.json", "--run", "runs/q"]);
  expect((await misuse(["rate", "d.json", "--run", "runs/q"], { cwd: join(folder.path, "A") })).stderr).toContain(
    "holds ratings of",
  );
  await prepare(
    join(folder.path, "A"),
    ["rate", "d.json", "--run", "runs/one"],
    ["rate", "d.json", "e.json", "--run", "runs/one"],
  );
  // nor where another file came in the place of one that is gone
  folder.write("A/f.json", rows("Ask", 5));
  renameSync(join(folder.path, "A/e.json"), join(folder.path, "A/e2.json"));
  expect(
    (await misuse(["rate", "d.json", "f.json", "--run", "runs/q"], { cwd: join(folder.path, "A") })).stderr,
  ).toContain("holds ratings of");
  // the same file by another path is the same data
  await prepare(join(folder.path, "B"), ["rate", "../A/d.json", "--run", "../A/runs/x"]);
});

test("replies are those of the run that is named, wherever it lies and whoever asks", async () => {
  await using server = await startModelServer({
    answer: ({ user }) => (user.includes("second says") ? "9 2\nB." : "2 9\nA."),
  });
  const cwd = folder.path;
  for (const name of ["first", "second", "third", "fourth"]) folder.write(`${name}.json`, answersOf(name));
  const compare = (a: string, b: string) => [
    "compare",
    `${a}.json`,
    `${b}.json`,
    "--judge",
    server.judge,
    "--run",
    "runs/p1",
  ];
  await prepare(cwd, compare("first", "second"));
  renameSync(join(cwd, "runs/p1"), join(cwd, "runs/p2"));
  const moved = await alpagasus(["replies", "--verdicts", "--run", "runs/p2", "--json"], { cwd });
  expect(parseLines<{ comparison: string }>(moved.stdout)).toHaveLength(24);
  await prepare(cwd, compare("third", "fourth"));
  expect((await alpagasus(["replies", "--verdicts", "--run", "runs/p2", "--json"], { cwd })).stdout).toBe(moved.stdout);
  // copied to another depth, from the folder where the store is
  cpSync(join(cwd, "runs/p2"), join(cwd, "a/b/c/p2"), { recursive: true });
  expect((await alpagasus(["replies", "--verdicts", "--run", "a/b/c/p2", "--json"], { cwd })).stdout).toBe(
    moved.stdout,
  );
  // from a folder with a store of its own
  mkdirSync(join(cwd, "elsewhere"));
  folder.write("elsewhere/d.json", rows("Say", 3));
  await alpagasus(["rate", "d.json", "--judge", server.judge, "--no-check"], { cwd: join(cwd, "elsewhere") });
  const there = await alpagasus(["replies", "--verdicts", "--run", "../runs/p2", "--json"], {
    cwd: join(cwd, "elsewhere"),
  });
  expect(there.stdout).toBe(moved.stdout);
});

test("replies of a panel and of several samples are each shown, with their judge", async () => {
  await using server = await startModelServer({ answer: ({ model }) => (model === "kind" ? "4\nFine." : "no idea") });
  folder.write("d.json", rows("Say", 2));
  const judges = ["kind", "lost"].flatMap((model) => ["--judge", `${server.origin}/v1#${model}`]);
  await alpagasus(["rate", "d.json", ...judges, "--no-check", "--samples", "2"], { cwd: folder.path });
  const { stdout } = await alpagasus(["replies", "--state", "unparsable", "--json"], { cwd: folder.path });
  const shown = parseLines<{ index: number; judge: string; state: string; score: number | null; reply: string }>(
    stdout,
  );
  const ofRow = shown.filter(({ index }) => index === 0);
  expect(ofRow.map(({ judge, state, score, reply }) => [judge.split("#")[1], state, score, reply])).toEqual([
    ["kind", "scored", 4, "4\nFine."],
    ["kind", "scored", 4, "4\nFine."],
    ["lost", "unparsable", null, "no idea"],
    ["lost", "unparsable", null, "no idea"],
  ]);
});

test("the commands that status proposes are about the run that is asked about", async () => {
  await using server = await startModelServer({ answer: () => "9 2\nA." });
  const cwd = folder.path;
  for (const name of ["a", "b"]) folder.write(`${name}.json`, answersOf(name));
  const price = ["--price", "1000/1000", "--concurrency", "1", "--budget", "3"];
  await alpagasus(["compare", "a.json", "b.json", "--judge", server.judge, ...price, "--run", "runs/d"], { cwd });
  renameSync(join(cwd, "runs/d"), join(cwd, "runs/e"));
  expect(await next(cwd, "--run", "runs/e")).toMatch(
    /^alpagasus compare a\.json .*--run runs\/e, with a higher --budget/,
  );
  mkdirSync(join(cwd, "sub"));
  expect(await next(join(cwd, "sub"), "--run", "../runs/e")).toMatch(/^cd \.\. && alpagasus compare .*--run runs\/e,/);
  // an arm that was selected from another folder
  folder.write("d.json", rows("Say", 20));
  folder.write("sub/rows.json", [0, 1, 2]);
  await prepare(cwd, ["rate", "d.json", "--run", "runs/f"]);
  await prepare(join(cwd, "sub"), ["select", "--rows", "rows.json", "--run", "../runs/f"]);
  writeFileSync(join(cwd, "runs/f/arms/selected.json"), "[]\n");
  expect(await next(cwd, "--run", "runs/f")).toBe("cd sub && alpagasus select --rows rows.json --run ../runs/f");
});

test("an experiment that stopped is proposed where it lies now", async () => {
  const cwd = folder.path;
  folder.write("d.json", rows("Say", 20));
  folder.write("held.json", rows("Held", 3));
  folder.write("r.yaml", "name: mine\ndata: d.json\nrate: { judge: student }\narms: { a: { top: 5 } }\n");
  await alpagasus(["run", "r.yaml", "--only", "rate"], { cwd });
  expect(await next(cwd, "--run", "runs/mine")).toBe("alpagasus run r.yaml");
  mkdirSync(join(cwd, "sub"));
  expect(await next(join(cwd, "sub"), "--run", "../runs/mine")).toBe("cd .. && alpagasus run r.yaml");
  renameSync(join(cwd, "runs/mine"), join(cwd, "runs/other"));
  expect(await next(cwd, "--run", "runs/other")).toBe("alpagasus run r.yaml --run runs/other");
});

test("names that a shell reads otherwise are proposed as words that it reads as they are", async () => {
  const cwd = folder.path;
  for (const name of ["#d.json", "a\nb.json", "\u202eright.json", "~d.json", "it's.json", "\u202e'a\u0001b.json"]) {
    folder.write(name, rows("Say", 20));
    await prepare(cwd, ["rate", name, "--run", "runs/x", "--overwrite"]);
    writeFileSync(join(cwd, "runs/x/ratings.jsonl"), "");
    const command = await next(cwd, "--run", "runs/x");
    const words = execFileSync("bash", ["-c", `printf '%s\\0' ${command}`], {
      encoding: "utf8",
      env: { LC_ALL: "C" },
    });
    expect(words.split("\0").slice(0, 3)).toEqual(["alpagasus", "rate", name]);
  }
});

test("merged shards keep what was said of their judge, propose what can be typed, and can be moved", async () => {
  await using server = await startModelServer({ answer: () => "4\nFine." });
  const cwd = join(folder.path, "here");
  folder.write("here/d.json", rows("Say", 60));
  const judge = ["--judge", server.judge];
  for (const i of [1, 2]) {
    await alpagasus(["check-judge", ...judge, "--run", `s${i}`], { cwd });
    await alpagasus(["rate", "d.json", ...judge, "--shard", `${i}/2`, "--run", `s${i}`], { cwd });
  }
  await alpagasus(["merge", "s1", "s2", "--run", "whole"], { cwd });
  const { rate, dataset } = manifestOf("here/whole");
  expect(rate!.alarms.join("\n")).toMatch(/failed its check|separates/);
  expect(rate!.checks!.some(({ held }) => !held)).toBe(true);
  expect(dataset!.source).toBe("d.json");
  expect(rate!.calls).toMatchObject({ hasRetried: true }); // none failed
  folder.write(
    "here/e.jsonl",
    rows("Tell", 20)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(""),
  );
  for (const i of [1, 2]) await prepare(cwd, ["rate", "d.json", "e.jsonl", "--shard", `${i}/2`, "--run", `p${i}`]);
  await prepare(cwd, ["merge", "p1", "p2", "--run", "pool"]);
  expect(manifestOf("here/pool").dataset).toMatchObject({
    source: "d.json + e.jsonl",
    sources: [{ source: "d.json" }, { source: "e.jsonl" }],
  });
  cpSync(cwd, join(folder.path, "there"), { recursive: true });
  renameSync(cwd, join(folder.path, "gone"));
  await prepare(
    join(folder.path, "there"),
    ["select", "--top", "5", "--run", "whole"],
    ["select", "--top", "5", "--run", "pool"],
  );
});

test("a run that is damaged can be replaced by any judge, and replaced rows take their further scores along", async () => {
  await using server = await startModelServer();
  const cwd = folder.path;
  folder.write("d.json", rows("Say", 20));
  folder.write("z.json", rows("Tell", 20));
  const rate = ["rate", "d.json", "--judge", server.judge, "--no-check"];
  await prepare(cwd, rate, ["rate", "d.json", "--judge", "student", "--as", "qq"]);
  const replaced = await alpagasus(["rate", "z.json", "--overwrite"], { cwd });
  expect(replaced.stdout).toMatch(/qq/);
  await prepare(cwd, [...rate, "--overwrite"]);
  truncateSync(join(cwd, "runs/default/run.json"), 300);
  await prepare(cwd, [...rate, "--overwrite"]);
});
