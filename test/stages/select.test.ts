import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { openJudge } from "../../src/judge/open.ts";
import { createColumnJudge, createRecordedJudge } from "../../src/judge/recorded.ts";
import type { Decision } from "../../src/selection/decision.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import type { SelectOptions } from "../../src/stages/select/plan.ts";
import { status } from "../../src/stages/status.ts";
import { prepare } from "../helpers/command-line.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { someOf } from "../helpers/long.ts";

const rows = [
  { instruction: "a", input: "", output: "one", category: "x", score: 5 },
  { instruction: "b", input: "", output: "two, longer", category: "x", score: 4 },
  { instruction: "c", input: "", output: "three", category: "x", score: 3 },
  { instruction: "d", input: "", output: "four, longest of all", category: "y", score: 2 },
  { instruction: "e", input: "", output: "one", category: "y", score: 0 },
  { instruction: "a", input: "", output: "one", category: "y", score: null },
];

async function ratedRun(folder: TempFolder, data: readonly object[] = rows): Promise<string> {
  const path = folder.write("data.jsonl", data.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const run = `${folder.path}/run`;
  await rate(await openDataset(path), { run, judge: createColumnJudge("score") });
  return run;
}

function decisionsOf(run: string, arm = "selected"): Decision[] {
  return readFileSync(`${run}/arms/${arm}.decisions.jsonl`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Decision);
}

async function keptBy(options: Omit<SelectOptions, "run">): Promise<{ kept: number[]; reasons: string[] }> {
  using folder = tempFolder();
  const run = await ratedRun(folder);
  const { arm } = await select({ run, ...options });
  const decisions = decisionsOf(run, arm);
  return {
    kept: decisions.filter((row) => row.kept).map((row) => row.index),
    reasons: decisions.map((row) => row.reason),
  };
}

describe("select", () => {
  it("keeps rows at or above a threshold, and a score of 0 is a score", async () => {
    expect(await keptBy({ minScore: 3 })).toEqual({
      kept: [0, 1, 2],
      reasons: ["kept", "kept", "kept", "below cut", "below cut", "unrated"],
    });
    expect((await keptBy({ minScore: 0 })).kept).toEqual([0, 1, 2, 3, 4]);
  });

  it("takes rows with other tools for other rows", async () => {
    using folder = tempFolder();
    const tools = [[{ name: "look" }], [], [{ name: "remove" }], [{ name: "look" }]];
    const run = await ratedRun(
      folder,
      tools.map((some) => ({ instruction: "a", output: "b", score: 3, tools: some })),
    );
    const { arm } = await select({ run, method: "full", dedup: "exact" });
    expect(
      decisionsOf(run, arm)
        .map(({ reason }) => reason)
        .toSorted(),
    ).toEqual(["duplicate", "kept", "kept", "kept"]);
  });

  it("keeps the best by number or by share of all rows", async () => {
    expect((await keptBy({ top: 2 })).kept).toEqual([0, 1]);
    expect((await keptBy({ top: { share: 0.5 } })).kept).toEqual([0, 1, 2]);
  });

  it("shares the places out over a column, so that no group is emptied", async () => {
    expect((await keptBy({ top: 2, per: "category" })).kept).toEqual([0, 3]);
  });

  it("rows that tie with the last one kept of their group lost a draw, and are not below the cut", async () => {
    using folder = tempFolder();
    const scored = [5, 5, 5, 4, 4, 1].map((score, i) => ({
      instruction: `Say ${i}`,
      output: "Yes.",
      score,
      category: i < 3 ? "a" : "b",
    }));
    folder.write("tied.json", scored);
    const tied = ["rate", "tied.json", "--judge", "column:score", "--scale", "0..5"];
    await prepare(folder.path, tied, ["select", "--top", "2", "--per", "category"]);
    const reasons = decisionsOf(join(folder.path, "runs/default")).map(({ reason }) => reason);
    expect(reasons.slice(0, 3).toSorted()).toEqual(["kept", "not drawn", "not drawn"]);
    expect(reasons.slice(3, 5).toSorted()).toEqual(["kept", "not drawn"]);
    expect(reasons[5]).toBe("below cut");
  });

  it("a column named like one of ours is not silently taken for it in --where: both have names", async () => {
    using folder = tempFolder();
    const scored = [1, 2, 3, 4].map((score) => ({
      instruction: `Say ${score}`,
      input: "",
      output: "Yes.",
      score,
      index: 9,
    }));
    folder.write("rows.json", scored);
    const run = join(folder.path, "run");
    await rate(await openDataset(join(folder.path, "rows.json")), { run, judge: await openJudge("student") });
    await expect(select({ run, where: "score >= 3" })).rejects.toThrow(
      "--where: score is a column of the data and of the rating; write data_score or rating_score",
    );
    expect((await select({ run, where: "data_score >= 3" })).rows).toBe(2);
    expect((await select({ run, where: "rating_score >= 0 and output_length = 4" })).rows).toBe(4);
    expect((await select({ run, where: "instruction <> 'score'" })).rows).toBe(4); // a text is no name
  });

  it("filters by SQL over columns, score and lengths", async () => {
    expect((await keptBy({ where: "category = 'x' and output_length > 3 and score < 5" })).kept).toEqual([1, 2]);
    expect(
      await keptBy({ minScore: 1, where: "state = 'scored' and length(instruction) = 1 and category in ('y')" }),
    ).toMatchObject({ kept: [3] });
  });

  it("leaves out duplicates of better rows", async () => {
    expect((await keptBy({ method: "full", dedup: "exact" })).reasons).toContain("duplicate");
  });

  it("leaves out rows that overlap test prompts, and says with what", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await select({ run, top: 3, decontaminate: [{ set: "t", id: "9", instruction: "B", input: "" }] });
    expect(decisionsOf(run)[1]).toMatchObject({
      kept: false,
      reason: "contaminated",
      test: "t",
      prompt: "9",
      words: "b",
    });
  });

  it("draws controls of the size of the selected arm", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await select({ run, minScore: 4 });
    expect((await select({ run, method: "longest" })).rows).toBe(2);
    expect(
      decisionsOf(run, "longest")
        .filter((row) => row.kept)
        .map((row) => row.index),
    ).toEqual([1, 3]);
    const random = await select({ run, method: "random", seed: 3 });
    expect(random).toMatchObject({ arm: "random", rows: 2, seed: 3 });
    const first = readFileSync(random.path, "utf8");
    await select({ run, method: "random", seed: 3 });
    expect(readFileSync(random.path, "utf8")).toBe(first);
    expect((await select({ run, method: "full" })).rows).toBe(6);
    expect((await status(run)).arms.map((arm) => arm.arm)).toEqual(["selected", "longest", "random", "full"]);
  });

  it("says what each threshold would keep", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const { whatIf, full, notes } = await select({ run, minScore: 3, fullTraining: { minutes: 60, usd: 12 } });
    expect(whatIf.map((line) => [line.threshold, line.rows])).toEqual([
      [0, 5],
      [2, 4],
      [3, 3],
      [4, 2],
      [5, 1],
    ]);
    expect(whatIf[2]).toMatchObject({
      share: 0.5,
      trainingMinutes: 30,
      trainingUsd: 6,
      meanPromptLength: 1,
      categories: [{ category: "x", rows: 3, share: 1 }],
    });
    expect(full).toMatchObject({ rows: 6, share: 1 });
    expect(notes).toEqual(["1 rows have no score and could not be kept"]);
  });

  it("holds a gate on coverage, and writes the arm all the same", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const { gates, path } = await select({ run, minScore: 3, minCoverage: 0.9 });
    expect(gates).toEqual([
      { name: "coverage", held: false, message: "83.3 % of the rows have a score; at least 90.0 % are wanted" },
    ]);
    expect(readFileSync(path, "utf8").trimEnd().split("\n")).toHaveLength(3);
  });

  it("keeps each row's text as it was, in order", async () => {
    using folder = tempFolder();
    const lines = [
      '{"output" : "x", "instruction":"\\u0061",   "score":2}',
      '{"instruction":"b","output":"y","score":1}',
      '{"score":2e0,"instruction":"c","output":"z"}',
    ];
    const run = `${folder.path}/run`;
    await rate(await openDataset(folder.write("data.jsonl", lines.join("\n"))), {
      run,
      judge: createColumnJudge("score"),
    });
    const { path } = await select({ run, minScore: 2 });
    expect(readFileSync(path, "utf8")).toBe(`${lines[0]}\n${lines[2]}\n`);
  });

  it.each<[string, Omit<SelectOptions, "run">, RegExp]>([
    ["no choice at all", {}, /expected a choice: --min-score/],
    [
      "a threshold above everything, with the histogram",
      { minScore: 6 },
      /--min-score 6: .* above everything the judge gave \(rows by score: 0: 1, 2: 1, 3: 1, 4: 1, 5: 1\)/,
    ],
    ["more rows than there are", { top: 7 }, /--top 7: expected at most the 6 rows/],
    ["a control without a size", { method: "random" }, /--method random: expected --top N, or an arm "selected"/],
    ["SQL that cannot be read", { where: "nonsense >" }, /^--where: syntax error/],
    [
      "SQL over a column that is not there",
      { where: "nonsense > 1" },
      /^--where: expected columns of the data.*got nonsense/,
    ],
    [
      "SQL that reaches for files",
      { where: "score > (select count(*) from read_text('/etc/hostname'))" },
      /^--where: /,
    ],
    ["a group column that is not there", { top: 2, per: "topic" }, /--per: expected a column of the data, got "topic"/],
    [
      "a choice that keeps none",
      { where: "score > 100" },
      /keeps none \(5 filtered, 1 unrated\)|keeps none \(6 filtered\)/,
    ],
    ["a listed row outside the data", { rows: [1, 6] }, /--rows: expected positions from 0 to 5, got 6/],
    ["a name with two dots", { minScore: 3, arm: "a..b" }, /--arm: expected a name/],
    ["a name that begins like an option", { minScore: 3, arm: "-x" }, /--arm: expected a name/],
    ["a name that every object has", { minScore: 3, arm: "constructor" }, /--arm: expected another name/],
    ["a name that is an object's kind", { minScore: 3, arm: "__proto__" }, /--arm: expected another name/],
    ["a name too long for a file", { minScore: 3, arm: "x".repeat(300) }, /--arm: expected a name/],
    ["a name of a file beside it", { minScore: 3, arm: "x.decisions" }, /--arm: expected another name/],
    ["a name that leaves the folder", { minScore: 3, arm: "../x" }, /--arm: expected a name/],
  ])("refuses %s", async (_title, options, message) => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await expect(select({ run, ...options })).rejects.toThrow(message);
    expect(readdirSync(run).filter((name) => name !== "arms")).toEqual(["ratings.jsonl", "run.json"]);
  });

  it("refuses a threshold outside the judge's scale", async () => {
    using folder = tempFolder();
    const path = folder.write("data.jsonl", '{"instruction":"a","output":"b","score":3}\n');
    const run = `${folder.path}/run`;
    await rate(await openDataset(path), { run, judge: createColumnJudge("score", { scale: { min: 0, max: 5 } }) });
    await expect(select({ run, minScore: 45 })).rejects.toThrow(
      "--min-score 45: expected a score on the judge's scale, 0 to 5",
    );
  });

  it.each<[string, (lines: string[]) => string[], RegExp]>([
    [
      "fewer rows",
      (lines) => lines.slice(0, -1),
      /expected ratings of the data's 5 rows, got more; rate the data again/,
    ],
    ["more rows", (lines) => [...lines, lines[0]!], /data.jsonl:7: expected only the 6 rows that were rated, got more/],
    [
      "rows in another order",
      (lines) => lines.toReversed(),
      /data.jsonl:2: expected the row that was rated, got another/,
    ],
    [
      "an edited row",
      (lines) => lines.map((line, i) => (i === 2 ? line.replace("three", "3") : line)),
      /data.jsonl:3: expected the row that was rated, got another/,
    ],
  ])("refuses ratings that do not belong to the data: %s", async (_title, change, message) => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const path = `${folder.path}/data.jsonl`;
    writeFileSync(path, `${change(readFileSync(path, "utf8").trimEnd().split("\n")).join("\n")}\n`);
    for (const options of [{ minScore: 3 }, { top: 2 }, { top: 2, per: "category" }]) {
      await expect(select({ run, ...options })).rejects.toThrow(message);
    }
    expect(readdirSync(run)).not.toContain("selected.jsonl");
  });

  it("refuses a run without ratings", async () => {
    using folder = tempFolder();
    await expect(select({ run: folder.path, minScore: 3 })).rejects.toThrow(
      /expected a run with ratings, found none; rate the data first/,
    );
  });

  it("refuses damaged ratings and a damaged manifest", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const ratings = readFileSync(`${run}/ratings.jsonl`, "utf8");
    writeFileSync(`${run}/ratings.jsonl`, ratings.slice(0, -5));
    await expect(select({ run, minScore: 3 })).rejects.toThrow(
      /ratings.jsonl:6: the file ends in the middle of a line/,
    );
    writeFileSync(`${run}/ratings.jsonl`, ratings.replace('"score":4', '"score":"4"'));
    await expect(select({ run, minScore: 3 })).rejects.toThrow(/ratings.jsonl:2: expected "score" to be a number/);
    writeFileSync(`${run}/run.json`, "{}");
    await expect(select({ run, minScore: 3 })).rejects.toThrow(/run.json: expected the manifest of a run/);
  });

  it("refuses ratings that somebody changed since", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const path = `${run}/ratings.jsonl`;
    writeFileSync(path, readFileSync(path, "utf8").replace('"score":2', '"score":5'));
    for (const options of [{ minScore: 3 }, { top: 1 }])
      await expect(select({ run, ...options })).rejects.toThrow(
        /ratings.jsonl: expected the ratings that were written, got a changed file/,
      );
  });

  it("calls the lowest kept score a cut only where the score alone decided", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    expect(await select({ run, top: 2 })).toMatchObject({ cut: 4 });
    expect(await select({ run, top: 2, per: "category" })).toMatchObject({
      cut: null,
      whatIf: [],
      categories: [
        { category: "x", rows: 1 },
        { category: "y", rows: 1 },
      ],
    });
  });

  it("gives a control the size of another arm", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await select({ run, minScore: 4, arm: "strict" });
    expect((await select({ run, method: "random", like: "strict" })).rows).toBe(2);
  });

  it("draws a control from the rows that the other arm could have kept", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    const clean = await select({ run, top: 2, where: "score < 4", arm: "clean" });
    const control = await select({ run, method: "random", like: "clean" });
    expect(control.rows).toBe(2);
    expect(control.reasons["filtered"]).toBe(clean.reasons["filtered"]);
    expect(control.notes.join()).toContain("drawn from the same rows as clean");
    expect((await select({ run, method: "random", top: 2 })).reasons["filtered"]).toBeUndefined();
  });

  it("makes an arm stale when the data is rated anew", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await select({ run, minScore: 3 });
    await rate(await openDataset(`${folder.path}/data.jsonl`), {
      run,
      judge: createColumnJudge("score", { scale: { min: 0, max: 4 } }),
    });
    expect((await status(run)).arms[0]).toMatchObject({ arm: "selected", isStale: true });
  });

  it("stops on a signal and leaves the arm as it was", async () => {
    using folder = tempFolder();
    const run = await ratedRun(folder);
    await select({ run, minScore: 3 });
    const before = readdirSync(`${run}/arms`);
    await expect(select({ run, minScore: 4, signal: AbortSignal.abort() })).rejects.toThrow("aborted");
    expect(readdirSync(`${run}/arms`)).toEqual(before);
    expect(decisionsOf(run).filter((row) => row.kept)).toHaveLength(3);
  });
});

describeWithSharedData("published selections of Alpaca-52k", () => {
  interface AlpacaRow {
    instruction: string;
    input: string;
    output: string;
  }

  it(
    "keeps 9,131 rows at 3 and 1,114 at 4 of GPT-4o-mini's scores, equal to the input's rows, in order",
    { timeout: 120_000 },
    async () => {
      using folder = tempFolder();
      const run = `${folder.path}/run`;
      const alpaca = readSharedJson("alpaca/alpaca_data.json") as AlpacaRow[];
      const scores = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
      const judge = await createRecordedJudge(sharedData("alpaca/ratings.gpt-4o-mini.json"));
      const summary = await rate(await openDataset(sharedData("alpaca/alpaca_data.json")), { run, judge });
      expect(summary).toMatchObject({ coverage: 1, alarms: [], states: { scored: 52_002 } });
      for (const [minScore, count] of [
        [3, 9131],
        [4, 1114],
      ] as const) {
        const { path, rows: kept } = await select({ run, minScore });
        expect(kept).toBe(count);
        expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(alpaca.filter((_, i) => scores[i]! >= minScore));
      }
    },
  );

  it.each(
    someOf([
      ["claude_accuracy_at_least_4.5", 5305],
      ["random_9229", 9229],
    ] as const),
  )("round-trips the list %s", { timeout: 120_000 }, async (name, count) => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const list = readSharedJson(`alpaca/${name}.indices.json`) as number[];
    await rate(await openDataset(sharedData("alpaca/alpaca_data.json")), {
      run,
      judge: await createRecordedJudge(sharedData("alpaca/ratings.gpt-4o-mini.json")),
    });
    expect((await select({ run, rows: list })).rows).toBe(count);
    expect(
      decisionsOf(run)
        .filter((row) => row.kept)
        .map((row) => row.index),
    ).toEqual([...list].sort((a, b) => a - b));
  });

  it("keeps the paper's 9,229 of 52,002 rows by its own histogram", async () => {
    using folder = tempFolder();
    const scores = Object.entries({ 2.5: 172, 3: 1550, 3.5: 10811, 4: 30240, 4.5: 9218, 5: 11 }).flatMap(
      ([score, rowsWithIt]) => Array<number>(rowsWithIt).fill(Number(score)),
    );
    const run = `${folder.path}/run`;
    await rate(await openDataset(sharedData("alpaca/alpaca_data.json")), {
      run,
      judge: await createRecordedJudge(folder.write("paper.json", scores)),
    });
    const { rows: kept, whatIf } = await select({ run, minScore: 4.5, fullTraining: { minutes: 80, usd: 27.31 } });
    expect(kept).toBe(9229);
    const line = whatIf.find(({ threshold }) => threshold === 4.5)!;
    expect(line.trainingMinutes!.toFixed(0)).toBe("14"); // the paper's own: 14 minutes, 4.78 USD
    expect(line.trainingUsd).toBeCloseTo(4.85, 2);
  });
});
