import { existsSync, readFileSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* What a recipe would lose or could not do is told before its first task. */

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
  folder.write("rows.json", rows);
});
afterEach(() => folder[Symbol.dispose]());

const rows = Array.from({ length: 20 }, (_, i) => ({ instruction: `Ask ${i}`, input: "", output: `Say ${i}` }));
const recipe = (more: string) => `name: r\ndata: rows.json\nrate: { judge: student }\n${more}`;
const run = (...args: string[]) => alpagasus(["run", "r.yaml", ...args], { cwd: folder.path });

test("ratings that a command made by hand are not replaced, and --from goes on from them", async () => {
  folder.write(
    "scores.json",
    rows.map((_, i) => i % 5),
  );
  folder.write("r.yaml", recipe("arms: { a: { top: 5 } }"));
  await prepare(folder.path, ["rate", "rows.json", "--judge", "recorded:scores.json", "--run", "runs/r"]);
  const ratings = () => readFileSync(`${folder.path}/runs/r/ratings.jsonl`, "utf8");
  const before = ratings();
  for (const args of [[], ["--dry-run"]]) {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(
        /runs\/r: expected a folder of the recipe's own, got a run whose "rate" this recipe did not/,
      ),
    ]);
  }
  expect(ratings()).toBe(before);
  expect((await run("--from", "select")).code).toBe(0);
  expect(ratings()).toBe(before);
});

test("an experiment whose record of tasks was removed, as a damaged one has to be, begins again", async () => {
  folder.write("r.yaml", recipe("arms: { a: { top: 5 } }"));
  expect((await run()).code).toBe(0);
  rmSync(`${folder.path}/runs/r/experiment.json`);
  expect((await run()).code).toBe(0);
});

test("an experiment's results are not replaced by those of other data", async () => {
  folder.write("other.json", rows.slice(0, 5));
  folder.write("r.yaml", recipe("arms: { a: { top: 5 } }"));
  expect((await run()).code).toBe(0);
  const { code, stderr } = await run("--data", "other.json");
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/runs\/r: holds results of \S*rows\.json, not of other\.json; .* --run DIR, .* --force rate/),
  ]);
  expect((await run("--data", "other.json", "--run", "runs/other")).code).toBe(0);
  expect((await run("--data", "./other.json", "--run", "runs/other")).code).toBe(0);
  const back = await run("--run", "runs/other");
  expect([back.code, back.stderr]).toEqual([2, expect.stringContaining("holds results of other.json, not of")]);
  folder.write("copy.json", rows.slice(0, 5)); // the same rows, elsewhere
  expect((await run("--data", "copy.json", "--run", "runs/other")).code).toBe(0);
  rmSync(`${folder.path}/runs/other/experiment.json`);
  expect((await run("--run", "runs/other")).code).toBe(2);
  expect((await run("--run", "runs/other", "--force", "rate")).code).toBe(0);
});

describe("before anything is rated", () => {
  test.each<[string, string, RegExp]>([
    [
      "positions beyond the data",
      "arms: { a: { rows: listed.json } }",
      /r\.yaml:4.* positions from 0 to 19 .*, got 20/,
    ],
    [
      "a condition that no row meets",
      'arms: { a: { top: 2, where: "instruction_length > 1000" } }',
      /r\.yaml:4.* arms\.a\.where: expected a condition that some row meets/,
    ],
    [
      "recorded scores for fewer rows",
      'scores: { q: { judge: "recorded:few.json" } }\narms: { a: { by: q, top: 2 } }',
      /r\.yaml:4.* scores\.q\.judge: .*one score for each row/,
    ],
    [
      "the score of a file that has marks alone",
      'scores: { q: { judge: "recorded:marks.jsonl" } }\narms: { a: { by: q, top: 2 } }',
      /r\.yaml:5.* arms\.a\.by: expected a mark of q \(q\.deep, q\.wide\), which has no score of its own, got q/,
    ],
    [
      "held-out rows that are all in the data",
      "arms: { a: { top: 5 } }\ntrain: { recipe: laptop }\nevaluate: { loss: held.json }",
      /r\.yaml:6.* evaluate\.loss: .*whose prompts are all in/,
    ],
    [
      "a least score off the scale",
      "arms: { a: { min_score: 77 } }",
      /r\.yaml:4.* arms\.a\.min_score: .*scale, 0 to 5, got 77/,
    ],
    [
      "a least score off a rubric's scale",
      'scores: { q: { judge: "http://127.0.0.1:9/v1#m", rubric: ultrafeedback } }\narms: { a: { by: q, min_score: 45 } }',
      /r\.yaml:5.* arms\.a\.min_score: .*scale, 1 to 5, got 45/,
    ],
    ["a model that is not there", "models: { base: smollm3 }", /r\.yaml:4.* models\.base: expected a model/],
    ["a shape of no name", "shape: alpca", /r\.yaml:4: shape: expected one of .*alpaca, dolly/],
    [
      "recorded scores that are not there",
      'scores: { q: { judge: "recorded:no.json" } }',
      /r\.yaml:4.* scores\.q\.judge: no\.json: no such file/,
    ],
    [
      "held-out rows that are not there",
      "train: { recipe: laptop }\nevaluate: { loss: no.jsonl }\narms: { a: { top: 5 } }",
      /r\.yaml:5.* evaluate\.loss: .*no\.jsonl: no such file/,
    ],
  ])("%s", async (_, more, message) => {
    folder.write("listed.json", [1, 20]);
    folder.write("few.json", [1, 2, 3]);
    folder.write("held.json", rows.slice(3, 6));
    folder.write("marks.jsonl", rows.map((__, i) => JSON.stringify({ deep: i, wide: 1 })).join("\n"));
    folder.write("r.yaml", recipe(more));
    const { stderr } = await misuse(["run", "r.yaml", "--dry-run"], { cwd: folder.path });
    expect(stderr).toMatch(message);
    expect((await run()).code).toBe(2);
    expect(existsSync(`${folder.path}/runs/r/ratings.jsonl`)).toBe(false);
  });
});

test("a list of one judge is that judge; columns to map are told as the recipe has them", async () => {
  folder.write("r.yaml", "name: r\ndata: rows.json\nrate: { judge: [student] }\narms: { a: { top: 5 } }");
  expect((await run()).code).toBe(0);
  folder.write("odd.json", [{ ask: "a", say: "b" }]);
  folder.write("r.yaml", "name: r\ndata: odd.json\nrate: { judge: student }\narms: { a: { top: 1 } }");
  const { stderr } = await misuse(["run", "r.yaml", "--dry-run", "--run", "runs/odd"], { cwd: folder.path });
  expect(stderr).toContain("map: { instruction: COLUMN, output: COLUMN } in the recipe");
});

test("tasks that are forced say so, and stages that the recipe lacks are refused", async () => {
  folder.write("r.yaml", recipe("arms: { a: { top: 5 } }"));
  expect((await run()).code).toBe(0);
  const { stdout } = await run("--force", "select", "--dry-run");
  expect(stdout).toMatch(/select a +due .*--force does it again/);
  for (const option of ["--only", "--from", "--force"]) {
    const { stderr } = await misuse(["run", "r.yaml", option, "train"], { cwd: folder.path });
    expect(stderr).toMatch(
      new RegExp(`${option}: expected stages of the recipe \\(rate, select, report\\), got train`),
    );
  }
});
