import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openDuckDb, sqlPath } from "../../src/dataset/duckdb.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { Decision } from "../../src/selection/decision.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Several named scores a row, and rows chosen by an expression over them. */

const random = createRandom(7);
const rows = Array.from({ length: 120 }, (_, i) => ({
  instruction: `Question ${i}`,
  input: "",
  output: `Answer ${i} ${"x".repeat(i % 11)}`,
  own: Math.round(random() * 50) / 10,
  quality: random() < 0.1 ? null : Math.round(random() * 8) / 2,
  complexity: random() < 0.1 ? null : random() * 6 - 1,
  topic: ["a", "b", "c"][i % 3],
}));

async function rated(): Promise<TempFolder> {
  const folder = tempFolder();
  folder.write("rows.json", rows);
  const low = ["--min-coverage", "50%"];
  await prepare(
    folder.path,
    ["rate", "rows.json", "--judge", "column:own"],
    ["rate", "rows.json", "--judge", "column:quality", "--as", "good", ...low],
    ["rate", "rows.json", "--judge", "column:complexity", "--as", "complex", ...low],
  );
  return folder;
}

async function select(folder: TempFolder, ...args: string[]): Promise<ArmSummary> {
  const { code, stdout, stderr } = await alpagasus(["select", ...args, "--min-coverage", "0", "--json"], {
    cwd: folder.path,
  });
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as ArmSummary;
}

const decisionsOf = (folder: TempFolder, arm: string) =>
  parseLines<Decision>(readFileSync(`${folder.path}/runs/default/arms/${arm}.decisions.jsonl`, "utf8"));

describe("select --by", () => {
  test("orders rows by what DuckDB makes of the expression over all of them, run by hand", async () => {
    using folder = await rated();
    const z = (x: string) => `(${x} - (SELECT avg(${x}) FROM t)) / (SELECT stddev_pop(${x}) FROM t)`;
    const ties = (x: string) =>
      `(SELECT count(*) FROM t u WHERE u.${x} < t.${x}) + ((SELECT count(*) FROM t u WHERE u.${x} = t.${x}) + 1) / 2`;
    const expressions: [by: string, byHand: string][] = [
      ["good * complex", "quality * complexity"],
      ["0.5*zscore(good) - complex", `0.5 * ${z("quality")} - complexity`],
      [
        "rank(good) + rank(complex)",
        `CASE WHEN quality IS NULL OR complexity IS NULL THEN NULL ELSE ${ties("quality")} + ${ties("complexity")} END`,
      ],
      [
        "percentile(good)",
        "CASE WHEN quality IS NULL THEN NULL ELSE 100.0 * (SELECT count(*) FROM t u WHERE u.quality <= t.quality) / (SELECT count(quality) FROM t) END",
      ],
      ["score - output_length / 10.0", "own - length(output) / 10.0"],
      ["good / complex", "quality / complexity"],
      ["CASE topic WHEN 'a' THEN good ELSE -score END", "CASE topic WHEN 'a' THEN quality ELSE -own END"],
    ];
    await using database = await openDuckDb();
    const { connection } = database;
    await connection.run(
      `CREATE TABLE t AS SELECT *, row_number() OVER () - 1 AS i FROM read_json(${sqlPath(`${folder.path}/rows.json`)}, sample_size = -1)`,
    );
    for (const [k, [by, byHand]] of expressions.entries()) {
      const arm = await select(folder, "--by", by, "--top", "20", "--arm", `arm${k}`);
      const found = (await connection.runAndReadAll(`SELECT (${byHand})::DOUBLE FROM t ORDER BY i`)).getRows();
      const expected = found.map(([value]) =>
        typeof value === "number" && Number.isFinite(value) ? value : undefined,
      );
      const decisions = decisionsOf(folder, `arm${k}`);
      for (const { index, score, reason } of decisions) {
        if (expected[index] === undefined)
          expect([by, index, score, reason]).toEqual([by, index, undefined, "unrated"]);
        else expect(score! - expected[index]).toBeCloseTo(0, 9);
      }
      const kept = decisions.filter((decision) => decision.kept);
      const best = expected.filter((value) => value !== undefined).toSorted((a, b) => b - a);
      expect(
        kept
          .map(({ score }) => score!)
          .toSorted((a, b) => b - a)
          .map((value) => value.toFixed(9)),
      ).toEqual(best.slice(0, 20).map((value) => value.toFixed(9)));
      expect(arm).toMatchObject({ rows: 20, by, choice: `the 20 best by ${by}` });
      expect(arm.cut!).toBeCloseTo(best[19]!, 9);
      expect(arm.histogram!.reduce((sum, { count }) => sum + count, 0)).toBe(best.length);
      expect(arm.histogram!.at(-1)!.to).toBeGreaterThanOrEqual(best[0]!);
    }
  });

  test("names what a row lacks, and takes thresholds, conditions and groups", async () => {
    using folder = await rated();
    const both = rows.filter(({ quality, complexity }) => quality !== null && complexity !== null);
    const arm = await select(folder, "--by", "good + complex", "--min-score", "3");
    expect(arm.rows).toBe(both.filter(({ quality, complexity }) => quality! + complexity! >= 3).length);
    expect(arm.notes).toContain(
      `${rows.length - both.length} rows have no value of good + complex and could not be kept`,
    );
    for (const { index, lacks } of decisionsOf(folder, "selected")) {
      const { quality, complexity } = rows[index]!;
      const names = [quality === null && "no good", complexity === null && "no complex"].filter(Boolean);
      expect(lacks).toBe(names.length > 0 ? names.join(", ") : undefined);
    }
    const where = await select(folder, "--where", "good >= 3 and score < 2", "--arm", "where");
    expect(where.rows).toBe(rows.filter(({ own, quality }) => (quality ?? 0) >= 3 && own < 2).length);
    const per = await select(folder, "--by", "complex", "--top", "9", "--per", "topic", "--arm", "per");
    expect(per.rows).toBe(9);
    for (const topic of ["a", "b", "c"])
      expect(decisionsOf(folder, "per").filter(({ kept, index }) => kept && rows[index]!.topic === topic)).toHaveLength(
        3,
      );
  });

  test("makes an arm stale when one of its scores changes, and only then", async () => {
    using folder = await rated();
    await select(folder, "--by", "good", "--top", "5");
    await select(folder, "--by", "complex", "--top", "5", "--arm", "other");
    await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own", "--as", "good", "--overwrite"]);
    const { stdout } = await alpagasus(["status", "--json"], { cwd: folder.path });
    const { arms, scores } = JSON.parse(stdout) as {
      arms: { arm: string; isStale: boolean }[];
      scores: { name: string; judge: string }[];
    };
    expect(arms.map(({ arm, isStale }) => [arm, isStale])).toEqual([
      ["selected", true],
      ["other", false],
    ]);
    expect(scores.map(({ name, judge }) => [name, judge])).toEqual([
      ["good", "column:own"],
      ["complex", "column:complexity"],
    ]);
  });

  test.each([
    [["select", "--by", "qualty * 2", "--top", "5"], /--by: .*qualty/],
    [["select", "--by", "good); DROP TABLE rows; (1", "--top", "5"], /--by: /],
    [["select", "--by", "topic", "--top", "5"], /--by: .*convert/i],
    [["select", "--by", "good", "--top", "5", "--method", "random"], /--by: goes with --method score, not random/],
    [["select", "--by", " ", "--top", "5"], /--by: expected an expression, got nothing/],
    [["rate", "rows.json", "--judge", "column:own", "--as", "two words"], /--as: expected a name of letters/],
    [["rate", "rows.json", "--judge", "column:own", "--as", "length"], /--as: expected a name that is no word of SQL/],
    [
      ["select", "--by", "score + random()", "--top", "5"],
      /--by: expected an expression with the same value every time/,
    ],
    [["select", "--by", "unnest([score, 1])", "--top", "5"], /--by: expected one value a row, got several/],
    [["rate", "rows.json", "--judge", "column:own", "--as", "Good"], /differs from good by more than capital letters/],
    [
      ["rate", "rows.json", "--judge", "column:own", "--as", "order"],
      /a name that is no word of SQL and no column of --by and --where/,
    ],
    [
      ["rate", "rows.json", "--judge", "column:own", "--as", "true"],
      /a name that is no word of SQL and no column of --by and --where/,
    ],
    [
      ["rate", "rows.json", "--judge", "column:own", "--as", "data_x"],
      /a name that is no word of SQL and no column of --by and --where/,
    ],
    [
      ["rate", "rows.json", "--judge", "column:own", "--as", "good"],
      /holds the score good by column:quality, not by column:own/,
    ],
    [
      ["rate", "rows.json", "--judge", "student", "--judge", "column:own", "--scale", "0..5", "--as", "x"],
      /--as x: expected one judge/,
    ],
  ])("%j is refused", async (args, message) => {
    using folder = await rated();
    const { code, stderr } = await alpagasus(args, { cwd: folder.path });
    expect([code === 0, stderr]).toEqual([false, expect.stringMatching(message)]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

test("signs and differences of lengths are numbers, and conditions are about the run's own score", async () => {
  using folder = await rated();
  await select(folder, "--by", "-output_length", "--top", "10");
  const shortest = rows.map(({ output }) => output.length).toSorted((a, b) => a - b);
  expect(
    decisionsOf(folder, "selected")
      .filter(({ kept }) => kept)
      .map(({ score }) => -score!)
      .toSorted((a, b) => a - b),
  ).toEqual(shortest.slice(0, 10));
  await select(folder, "--by", "output_length - instruction_length", "--top", "10", "--arm", "b");
  const both = await select(folder, "--by", "-output_length", "--where", "score >= 4", "--top", "100", "--arm", "c");
  expect(both.rows).toBe(rows.filter(({ own }) => own >= 4).length);
});

test("a row says everything that it lacks, however much that is", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows.slice(0, 3));
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]);
  folder.write("one.json", [{ index: 0, score: 1 }]);
  const names = Array.from({ length: 34 }, (_, i) => `n${i}`);
  for (const name of names)
    await alpagasus(["rate", "rows.json", "--judge", "recorded:one.json", "--as", name], { cwd: folder.path });
  await select(folder, "--by", names.join(" + "), "--top", "1");
  expect(decisionsOf(folder, "selected")[1]!.lacks).toBe(names.map((name) => `no ${name}`).join(", "));
}, 600_000);

test("a named score with the name of a column is told from it, and outlives another judge of the same rows", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows);
  const low = ["--min-coverage", "0"];
  await prepare(
    folder.path,
    ["rate", "rows.json", "--judge", "column:own"],
    ["rate", "rows.json", "--judge", "column:complexity", "--as", "quality", ...low],
    ["rate", "rows.json", "--judge", "column:complexity", "--overwrite", ...low],
  );
  const best = (column: "quality" | "complexity") =>
    rows
      .map((row, index) => ({ index, value: row[column] }))
      .filter(({ value }) => value !== null && value >= 3)
      .map(({ index }) => index);
  for (const [by, column] of [
    ["data_quality", "quality"],
    ["rating_quality", "complexity"],
    ["data_quality + 0 * rating_quality", "both"],
  ] as const) {
    const arm = await select(folder, "--by", by, "--min-score", "3", "--arm", "arm");
    const kept = decisionsOf(folder, "arm").flatMap(({ kept: isKept, index }) => (isKept ? [index] : []));
    expect(kept).toEqual(
      column === "both" ? best("quality").filter((row) => rows[row]!.complexity !== null) : best(column),
    );
    expect(Object.keys(arm.scoreHashes ?? {})).toEqual(by === "data_quality" ? [] : ["quality"]);
  }
  const unclear = await alpagasus(["select", "--by", "quality", "--top", "3"], { cwd: folder.path });
  expect(unclear.stderr).toMatch(/write data_quality or rating_quality/);
});

test("functions over the dataset leave rows out that cannot be read, and decisions keep a row's own state", async () => {
  using folder = tempFolder();
  const lines = rows.slice(0, 40).map((row) => JSON.stringify(row));
  folder.write("rows.jsonl", [...lines.slice(0, 20), "{", ...lines.slice(20)].join("\n"));
  const skip = ["--unreadable", "skip", "--max-unreadable", "10%", "--min-coverage", "0"];
  await prepare(folder.path, ["rate", "rows.jsonl", "--judge", "column:quality", ...skip]);
  await select(folder, "--by", "score - output_length", "--top", "5");
  const decisions = decisionsOf(folder, "selected");
  expect(decisions[20]).toMatchObject({ reason: "unreadable", state: "unreadable" });
  const lacking = decisions.find(({ reason }) => reason === "unrated")!;
  expect(lacking).toMatchObject({ state: "pending", lacks: "no score" });
  await select(folder, "--by", "percentile(output_length)", "--top", "40", "--arm", "lengths");
  const shortest = Math.min(...rows.slice(0, 40).map(({ output }) => output.length));
  const share = rows.slice(0, 40).filter(({ output }) => output.length === shortest).length / 40;
  expect(Math.min(...decisionsOf(folder, "lengths").flatMap(({ score }) => score ?? []))).toBeCloseTo(100 * share, 9);
});

test("an arm has the alarms of the scores that it was chosen by, and of no others", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]);
  folder.write(
    "some.json",
    rows.slice(0, 30).map(({ own }, index) => ({ index, score: own })),
  );
  await alpagasus(["rate", "rows.json", "--judge", "recorded:some.json", "--as", "part"], { cwd: folder.path });
  const arm = await select(folder, "--by", "part", "--top", "5");
  expect(arm.alarms.join("\n")).toMatch(/^part: 25\.0 % of the rows have a score/m);
  expect((await select(folder, "--top", "5", "--arm", "own")).alarms).toEqual([]);
});

test("a named score needs rated rows, and the same ones", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows);
  const early = await alpagasus(["rate", "rows.json", "--judge", "column:own", "--as", "good"], { cwd: folder.path });
  expect([early.code, early.stderr]).toEqual([2, expect.stringMatching(/rate them first without --as/)]);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]);
  folder.write("rows.json", [...rows.slice(1), rows[0]]);
  const moved = await alpagasus(["rate", "rows.json", "--judge", "column:own", "--as", "good"], { cwd: folder.path });
  expect([moved.code, moved.stderr]).toEqual([
    2,
    expect.stringMatching(/expected the rows that were rated, got others/),
  ]);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]); // the run's own ratings still stand
});

test("a model's named score is paid for once, with the run's budget", async () => {
  await using server = await startModelServer({ answer: () => "4" });
  using folder = tempFolder();
  folder.write("rows.json", rows.slice(0, 10));
  const args = ["--judge", server.judge, "--price", "1/1", "--no-check"];
  await prepare(folder.path, ["rate", "rows.json", ...args]);
  await prepare(folder.path, ["rate", "rows.json", ...args, "--rubric", "alpagasus-helpfulness", "--as", "helpful"]);
  expect(server.log).toHaveLength(20);
  await prepare(folder.path, ["rate", "rows.json", ...args, "--rubric", "alpagasus-helpfulness", "--as", "helpful"]);
  expect(server.log).toHaveLength(20);
  const { stdout } = await alpagasus(["status", "--json"], { cwd: folder.path });
  expect(JSON.parse(stdout)).toMatchObject({ spent: { calls: 20 }, scores: [{ name: "helpful" }] });
});
