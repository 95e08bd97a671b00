import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import type { Decision } from "../../src/selection/decision.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { writeStandInMeasurer } from "../helpers/stand-in-measurer.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Experiments over several scores. */

const rows = Array.from({ length: 30 }, (_, i) => ({
  instruction: `Question ${i}`,
  input: "",
  output: `Answer ${"x".repeat(i)}`,
  own: (i * 7) % 30,
}));

const recipe = {
  name: "scores",
  data: "rows.json",
  rate: { judge: "column:own" },
  scores: {
    ds2: { judge: "openai:gpt-5-mini", rubric: "ds2", check: false },
    first: { judge: "student" },
    ifd: { judge: "ifd:model" },
    kept: { judge: "recorded:kept.jsonl" },
  },
  arms: {
    best: { top: 5 },
    rare: { top: 5, by: "ds2.rarity - score / 1000" },
    mixed: { top: 5, by: "zscore(first) + percentile(kept.words) / 100", where: "ifd is not null" },
    random: { method: "random" },
  },
};

function write(folder: TempFolder, changes: object = {}): void {
  folder.write("rows.json", rows);
  folder.write(
    "kept.jsonl",
    rows.map((_, i) => JSON.stringify({ index: i, words: (i * 11) % 30, other: 1 })).join("\n"),
  );
  folder.write("model/config.json", {});
  folder.write("scores.yaml", stringify({ ...recipe, ...changes }));
}

const kept = (folder: TempFolder, arm: string) =>
  parseLines<Decision>(readFileSync(`${folder.path}/runs/scores/arms/${arm}.decisions.jsonl`, "utf8")).flatMap(
    (decision) => (decision.kept ? [decision.index] : []),
  );

test("five scores are planned, priced and run; one that changed is made again alone, with the arms that use it", async () => {
  await using server = await startModelServer({
    answer: ({ user }) =>
      `{"rarity": ${Number(/Question (\d+)/.exec(user)![1]) % 11}, "complexity": 1, "informativeness": 5, "overall": 7}`,
  });
  using folder = tempFolder();
  write(folder);
  const measurer = writeStandInMeasurer(folder);
  const options = { cwd: folder.path, env: { ...server.environment, PATH: `${measurer.path}:${process.env["PATH"]}` } };
  const plan = await alpagasus(["run", "scores.yaml", "--dry-run"], options);
  expect([plan.code, plan.stderr]).toEqual([0, ""]);
  expect(plan.stdout).toMatch(/score ds2 .*30 calls/);
  expect(plan.stdout).toMatch(/\$0\.\d+/);
  expect(server.log).toEqual([]);

  const done = async () => {
    const { code, stdout, stderr } = await alpagasus(["run", "scores.yaml", "--json"], options);
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { results: Record<string, { state: string }> };
    return Object.entries(results).flatMap(([task, { state }]) => (state === "done" ? [task] : []));
  };
  const all = ["rate", ...["ds2", "first", "ifd", "kept"].map((score) => `score ${score}`)];
  const arms = ["best", "rare", "mixed", "random"].map((arm) => `select ${arm}`);
  expect((await done()).toSorted()).toEqual([...all, ...arms, "report"].toSorted());
  expect(server.log).toHaveLength(30);
  expect(measurer.asked()).toHaveLength(30);
  expect(
    kept(folder, "rare")
      .map((index) => index % 11)
      .toSorted((a, b) => b - a),
  ).toEqual([10, 10, 9, 9, 8]);
  expect(await done()).toEqual([]);

  write(folder, { scores: { ...recipe.scores, first: { judge: "column:own" } } });
  expect((await done()).toSorted()).toEqual(["report", "score first", "select mixed"]);
  expect([server.log.length, measurer.asked().length]).toEqual([30, 30]);
});

test.each([
  [{ rate: undefined, arms: undefined }, "scores: expected a rating of the rows beside it"],
  [
    { scores: { length: { judge: "student" } } },
    "scores.yaml:6: scores.length: expected a name that is no word of SQL",
  ],
  [
    { scores: { a: { judge: "student" }, A: { judge: "student" } } },
    "expected names that differ by more than capital letters",
  ],
  [{ scores: { a: { judge: ["student", "column:own"] } } }, "scores.a.judge"],
  [{ scores: { a: { judge: "student", template: "chat" } } }, "scores.a.template: expected perplexity:MODEL"],
  [
    { scores: { a: { judge: "reward:model", template: "chat" } } },
    "scores.a.template: expected perplexity:MODEL, ifd:MODEL or fit:MODEL as",
  ],
  [
    { rate: { judge: "student" }, arms: { best: { by: "score.fit", top: 3 } } },
    "expected a mark of score (fits), got fit",
  ],
  [
    { rate: { judge: "recorded:own.jsonl" }, arms: { best: { by: "score.depth", top: 3 } } },
    "expected a mark of score (it has none), got depth",
  ],
  [{ arms: { best: { by: "first + fist", top: 3 } } }, "arms.best.by: expected columns of the data"],
  [{ arms: { best: { where: "first >>> (", top: 3 } } }, "arms.best.where: "],
  [{ arms: { best: { top: 3 }, Best: { top: 2 } } }, "expected names that differ by more than capitals"],
  [{ arms: { best: { by: "kept.wrods", top: 3 } } }, "arms.best.by: expected a mark of kept (words, other), got wrods"],
  [
    { arms: { best: { by: "score + ds2.rareness", top: 3 } } },
    "a mark of ds2 (rarity, complexity, informativeness), got rareness",
  ],
  [{ arms: { best: { where: "nothing > 1", top: 3 } } }, "arms.best.where: expected columns of the data"],
  [{ arms: { best: { by: "first" } } }, "arms.best: expected min_score, top, quota or rows"],
  [
    { arms: { best: { by: "first", top: 3, method: "random" } } },
    "arms.best.by: goes with the method score, not random",
  ],
])("a recipe's mistake is told with its place: %j", async (changes, message) => {
  using folder = tempFolder();
  write(folder, changes);
  folder.write("own.jsonl", rows.map((_, i) => JSON.stringify({ index: i, score: i, depth: i })).join("\n"));
  const { code, stderr } = await misuse(["run", "scores.yaml"], { cwd: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
});

test("an arm cannot use a score that the recipe no longer has, and scores have the rating's share of unreadable rows", async () => {
  using folder = tempFolder();
  const settings = { rate: { judge: "column:own", max_unreadable: 0.5, min_coverage: 0.5 }, unreadable: "skip" };
  const scores = { kept: { judge: "recorded:kept.jsonl", min_coverage: 0.5 } };
  write(folder, { ...settings, scores, arms: { rare: { top: 5, by: "kept.words" } } });
  folder.write("rows.json", [...rows.slice(0, 27), { text: 1 }, { text: 2 }, { text: 3 }]);
  const run = (...args: string[]) => alpagasus(["run", "scores.yaml", ...args], { cwd: folder.path });
  const first = await run();
  expect([first.code, first.stderr.split("\n").filter((line) => line.startsWith("alpagasus"))]).toEqual([0, []]);
  write(folder, { ...settings, scores: {}, arms: { rare: { top: 5, by: "kept.words" } } });
  folder.write("rows.json", [...rows.slice(0, 27), { text: 1 }, { text: 2 }, { text: 3 }]);
  const second = await run();
  expect([second.code, second.stderr]).toEqual([2, expect.stringContaining("got kept.words") as string]);
});

test("an arm may lack what a score that it uses may lack", async () => {
  using folder = tempFolder();
  const measurer = writeStandInMeasurer(folder);
  const scores = { ifd: { judge: "ifd:model", min_coverage: 0.5 } };
  write(folder, { scores, arms: { best: { top: 5, by: "ifd" }, own: { top: 5 } } });
  const useless = rows.map((row, i) => (i % 3 === 0 ? { ...row, output: `useless prompt ${i}` } : row)); // an IFD over 1
  folder.write("rows.json", useless);
  const { code, stderr } = await alpagasus(["run", "scores.yaml"], {
    cwd: folder.path,
    env: { PATH: `${measurer.path}:${process.env["PATH"]}` },
  });
  expect(code, stderr).toBe(0);
  expect(kept(folder, "best").every((index) => index % 3 !== 0)).toBe(true);
});

test("an arm may use the marks of another run's ratings", async () => {
  using folder = tempFolder();
  write(folder);
  const options = { cwd: folder.path };
  expect((await alpagasus(["rate", "rows.json", "--run", "base"], options)).code).toBe(0);
  write(folder, { rate: { judge: "run:base" }, scores: {}, arms: { best: { top: 5, by: "score.fits" } } });
  const { code, stderr } = await alpagasus(["run", "scores.yaml"], options);
  expect(code, stderr).toBe(0);
  expect(kept(folder, "best")).toHaveLength(5);
});

test("a model that no match names neither answers nor needs a key or a price", async () => {
  using folder = tempFolder();
  write(folder, {
    scores: {},
    arms: {},
    rate: undefined,
    budget_usd: 1,
    models: { left: "openai:unknown-model", a: "http://127.0.0.1:9/v1#a", b: "http://127.0.0.1:9/v1#b" },
    prices: { "http://127.0.0.1:9/v1#a": { input: 0, output: 0 }, "http://127.0.0.1:9/v1#b": { input: 0, output: 0 } },
    generate: { tests: ["vicuna"] },
    compare: { judges: ["student"], matches: [["a", "b"]] },
  });
  const { code, stdout, stderr } = await alpagasus(["run", "scores.yaml", "--dry-run"], { cwd: folder.path });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/generate a .*\n.*generate b /);
  expect(stdout).not.toMatch(/generate left|OPENAI_API_KEY|unknown-model/);
});

test("a model whose files changed measures anew", async () => {
  using folder = tempFolder();
  const measurer = writeStandInMeasurer(folder);
  write(folder, { scores: { ifd: { judge: "ifd:model" } }, arms: { best: { top: 5, by: "ifd" } } });
  folder.write("model/model.safetensors", "x".repeat(2_000_000));
  const run = async () => {
    const { code, stderr } = await alpagasus(["run", "scores.yaml"], {
      cwd: folder.path,
      env: { PATH: `${measurer.path}:${process.env["PATH"]}` },
    });
    expect(code, stderr).toBe(0);
    return measurer.asked().length;
  };
  expect([await run(), await run()]).toEqual([30, 30]);
  folder.write("model/model.safetensors", `${"x".repeat(1_999_999)}y`);
  expect(await run()).toBe(60);
});
