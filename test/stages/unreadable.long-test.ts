import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* Rows that cannot be read are a state: counted, listed, never asked about, in no arm. */

const good = (n: number) => JSON.stringify({ instruction: `question ${n}`, output: `answer ${n}` });
const lines = [
  good(0),
  "not json",
  good(1),
  '{"instruction":"a","output":5}',
  "[1]",
  good(2),
  '{"instruction":"a"}', // the last row
];
const states = ["scored", "unreadable", "scored", "unreadable", "unreadable", "scored", "unreadable"];
const skip = ["--unreadable", "skip", "--max-unreadable", "80%", "--min-coverage", "0"];

const ratingsOf = (folder: { path: string }, run = "runs/default") =>
  parseLines<RatingLine>(readFileSync(`${folder.path}/${run}/ratings.jsonl`, "utf8"));

describe("rows that cannot be read", () => {
  test("stop a rating, with how many there are", async () => {
    using folder = tempFolder();
    folder.write("rows.jsonl", lines.join("\n"));
    const { code, stderr } = await alpagasus(["rate", "rows.jsonl"], { cwd: folder.path });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /rows\.jsonl:2: expected one JSON object a line: .*; 4 of 7 rows cannot be read; .*--unreadable skip/,
    );
  });

  test("are counted over the first 10,000 rows of large data", async () => {
    using folder = tempFolder();
    folder.write("rows.jsonl", [...lines, ...Array.from({ length: 12_000 }, (_, n) => good(n)), "no"].join("\n"));
    const { stderr } = await alpagasus(["rate", "rows.jsonl"], { cwd: folder.path });
    expect(stderr).toContain("4 of the first 10,000 rows cannot be read");
  });

  test("count among the rows of their shard, and merge takes the share that is allowed", async () => {
    using folder = tempFolder();
    const bad = (n: number) => (n < 2 ? '{"instruction":"a","output":5}' : good(n));
    folder.write("rows.jsonl", Array.from({ length: 40 }, (_, n) => bad(n)).join("\n"));
    const run = (...args: string[]) => alpagasus([...args, "--json"], { cwd: folder.path });
    const limits = ["--unreadable", "skip", "--max-unreadable", "5%", "--min-coverage", "0"];
    const shards = [];
    for (const k of [1, 2, 3, 4])
      shards.push(await run("rate", "rows.jsonl", ...limits, "--shard", `${k}/4`, "--run", `runs/${k}`));
    const counts = shards.map(({ code, stdout }) => [code, (JSON.parse(stdout) as RateSummary).states.unreadable ?? 0]);
    expect(counts.every(([code, count]) => code === (count! > 0 ? 3 : 0))).toBe(true); // 1 of 10 is a tenth
    const told = shards.flatMap(({ stdout }) => (JSON.parse(stdout) as RateSummary).notes).join("\n");
    expect(told.match(/rows\.jsonl:\d+/g)?.toSorted()).toEqual(["rows.jsonl:1", "rows.jsonl:2"]);
    const all = ["runs/1", "runs/2", "runs/3", "runs/4"];
    expect((await run("merge", ...all, "--run", "runs/all")).code).toBe(3);
    const merged = await run("merge", ...all, "--run", "runs/whole", "--max-unreadable", "5%");
    expect([merged.code, merged.stderr]).toEqual([0, ""]);
    const { notes } = (JSON.parse(merged.stdout) as { rate: RateSummary }).rate;
    expect(notes.filter((note) => /cannot be read/.test(note))).toEqual([
      expect.stringMatching(/^2 rows cannot be read/),
    ]);
  });

  test.each([
    ["the student", () => ["--judge", "student"]],
    ["scores in order", () => ["--judge", "recorded:scores.json"]],
    ["a panel", () => ["--judge", "student", "--judge", "recorded:scores.json", "--scale", "0..5"]],
  ])("get a state under %s, and are in no arm", async (_, judge) => {
    using folder = tempFolder();
    folder.write("rows.jsonl", lines.join("\n"));
    folder.write("scores.json", [1, 2, 3, 4, 5, 5, 4]);
    const rated = await alpagasus(["rate", "rows.jsonl", ...judge(), ...skip, "--json"], { cwd: folder.path });
    expect([rated.code, rated.stderr]).toEqual([0, ""]);
    const summary = JSON.parse(rated.stdout) as RateSummary;
    expect(summary.states).toEqual({ scored: 3, unreadable: 4 });
    expect(summary.notes.join()).toContain(
      "4 rows cannot be read and are in no arm: rows.jsonl:2: expected one JSON object",
    );
    expect(ratingsOf(folder).map(({ state }) => state)).toEqual(states);
    for (const args of [
      ["--method", "full"],
      ["--method", "random", "--top", "3"],
      ["--method", "longest", "--top", "3"],
      ["--min-score", "0"],
      ["--top", "3", "--dedup", "near"],
      ["--top", "3", "--where", "output_length >= 0"],
    ]) {
      const run = await alpagasus(["select", ...args, "--arm", "x", "--min-coverage", "0", "--json"], {
        cwd: folder.path,
      });
      expect([run.code, run.stderr]).toEqual([0, ""]);
      const { rows, reasons } = JSON.parse(run.stdout) as ArmSummary;
      expect([args, rows, reasons["unreadable"]]).toEqual([args, 3, 4]);
      expect(readFileSync(`${folder.path}/runs/default/arms/x.jsonl`, "utf8").trim().split("\n")).toEqual([
        good(0),
        good(1),
        good(2),
      ]);
    }
    const page = await alpagasus(["report"], { cwd: folder.path });
    expect([page.code, page.stderr]).toEqual([0, ""]);
  });

  test("are not asked about, and too many of them fail a gate", async () => {
    await using server = await startModelServer({ answer: () => "4" });
    using folder = tempFolder();
    folder.write("rows.jsonl", lines.join("\n"));
    const { code, stdout, stderr } = await alpagasus(
      ["rate", "rows.jsonl", "--judge", server.judge, "--unreadable", "skip", "--min-coverage", "0", "--json"],
      { cwd: folder.path },
    );
    expect([code, stderr]).toEqual([3, expect.anything()]);
    const summary = JSON.parse(stdout) as RateSummary;
    expect(summary.gates.map(({ name, held }) => [name, held])).toEqual([
      ["coverage", true],
      ["readable", false],
    ]);
    expect(ratingsOf(folder).map(({ state }) => state)).toEqual(states);
    expect(server.log).toHaveLength(3);
  });

  test("may come first, and an edited one is found", async () => {
    using folder = tempFolder();
    folder.write("rows.jsonl", ["oops", good(1), good(2)].join("\n"));
    const { code } = await alpagasus(["rate", "rows.jsonl", ...skip], { cwd: folder.path });
    expect(code).toBe(0);
    folder.write("rows.jsonl", ["OOPS", good(1), good(2)].join("\n"));
    const { stderr } = await alpagasus(["select", "--method", "full"], { cwd: folder.path });
    expect(stderr).toContain("rows.jsonl:1: expected the row that was rated, got another");
  });

  test("--escalate is refused beside them", async () => {
    using folder = tempFolder();
    folder.write("rows.jsonl", lines.join("\n"));
    const { code, stderr } = await alpagasus(
      ["rate", "rows.jsonl", "--escalate", "2", "--to", "recorded:scores.json", ...skip],
      { cwd: folder.path },
    );
    expect([code, stderr]).toEqual([2, expect.stringContaining("--unreadable skip: expected one judge or a panel")]);
  });
});

test("the embedded student says which rows are unlike what it was trained on", async () => {
  using folder = tempFolder();
  folder.write(
    "rows.jsonl",
    [
      good(0),
      '{"instruction":"解释光合作用。","output":"植物利用阳光制造养分。"}',
      '{"instruction":"Qu\'est-ce que l\'été ?","output":"Une saison."}',
      JSON.stringify({ instruction: "Write.", output: "word ".repeat(2_000) }),
    ].join("\n"),
  );
  const { stdout } = await alpagasus(["rate", "rows.jsonl", "--json"], { cwd: folder.path });
  expect((JSON.parse(stdout) as RateSummary).notes.join()).toContain(
    "2 of 4 rows are unlike the short English instructions it was trained on (1 in another script than Latin, 1 longer than 8,000 characters): do not rely on their scores",
  );
  const refused = await alpagasus(
    ["rate", "rows.jsonl", "--unlike", "refuse", "--min-coverage", "40%", "--json", "--run", "runs/refused"],
    { cwd: folder.path },
  );
  expect((JSON.parse(refused.stdout) as RateSummary).states).toEqual({ scored: 2, refused: 2 });
  const rated = readFileSync(`${folder.path}/runs/refused/ratings.jsonl`, "utf8").trim().split("\n");
  expect(JSON.parse(rated[1]!)).toMatchObject({
    state: "refused",
    detail: "unlike what the student was trained on: in another script than Latin",
  });
  const other = await alpagasus(["rate", "rows.jsonl", "--unlike", "refuse", "--judge", "column:x"], {
    cwd: folder.path,
  });
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("--unlike: goes with --judge student")]);
});
