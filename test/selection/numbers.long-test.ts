import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openDuckDb, sqlPath } from "../../src/dataset/duckdb.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { Decision } from "../../src/selection/decision.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* What a number is for --where and --by: as rows are read, so that nothing that is no number is the highest. */

async function keptBy(folder: TempFolder, ...choice: string[]): Promise<{ rows: number[]; summary: ArmSummary }> {
  const args = ["select", ...choice, "--min-coverage", "0", "--json"];
  const { code, stdout, stderr } = await alpagasus(args, { cwd: folder.path });
  expect([code, stderr]).toEqual([0, ""]);
  const decisions = readFileSync(`${folder.path}/runs/default/arms/selected.decisions.jsonl`, "utf8");
  const rows = parseLines<Decision>(decisions).flatMap(({ kept, index }) => (kept ? [index] : []));
  return { rows, summary: JSON.parse(stdout) as ArmSummary };
}

test("Parquet's NaN and infinity are null, in columns, structs and lists", async () => {
  using folder = tempFolder();
  await using database = await openDuckDb();
  const value = "(CASE WHEN i % 5 = 0 THEN 'nan' WHEN i = 1 THEN 'inf' ELSE i::VARCHAR END)::DOUBLE";
  await database.connection.run(
    `COPY (SELECT 'Do ' || i AS instruction, '' AS input, 'Out' AS output, ${value} AS v, {'a': ${value}::FLOAT, 'b': 'x'} AS s, [0, ${value}] AS l, 1 AS own FROM range(30) t(i)) TO ${sqlPath(`${folder.path}/rows.parquet`)}`,
  );
  await prepare(folder.path, ["rate", "rows.parquet", "--judge", "column:own"]);
  for (const of of ["v", "s.a", "l[2]"]) {
    expect((await keptBy(folder, "--where", `${of} > 25`)).rows).toEqual([26, 27, 28, 29]);
    expect((await keptBy(folder, "--where", `${of} IS NULL`)).rows).toEqual([0, 1, 5, 10, 15, 20, 25]);
    for (const by of [of, `rank(${of})`, `percentile(${of})`, `zscore(${of})`]) {
      const { rows, summary } = await keptBy(folder, "--by", by, "--top", "3");
      expect(rows, by).toEqual([27, 28, 29]);
      expect(summary.reasons["unrated"], by).toBe(7);
    }
  }
});

test("a number of JSON that is too large for one is null", async () => {
  using folder = tempFolder();
  const line = (i: number) =>
    `{"instruction":"Do ${i}","input":"","output":"Out","own":1,"v":${i === 3 ? "1e999" : i}}`;
  folder.write("rows.jsonl", Array.from({ length: 10 }, (_, i) => line(i)).join("\n"));
  await prepare(folder.path, ["rate", "rows.jsonl", "--judge", "column:own"]);
  expect((await keptBy(folder, "--where", "v > 7")).rows).toEqual([8, 9]);
  expect((await keptBy(folder, "--by", "rank(v)", "--top", "2")).rows).toEqual([8, 9]);
});

test("text that holds a number is that number, also in rank, percentile and zscore", async () => {
  using folder = tempFolder();
  const values = Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? i : String(i)));
  folder.write(
    "rows.json",
    values.map((v, i) => ({
      instruction: `Do ${i}`,
      input: "",
      output: "Out",
      mixed: v,
      text: String(i),
      own: 1,
      day: `2026-01-${String(i + 1).padStart(2, "0")}`,
    })),
  );
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]);
  for (const by of ["text", "mixed", "rank(text)", "percentile(mixed)", "zscore(text) + rank(mixed)"])
    expect((await keptBy(folder, "--by", by, "--top", "4")).rows, by).toEqual([26, 27, 28, 29]);
  for (const by of ["rank(day)", "percentile(day)", "rank(text::INTEGER > 25)"])
    expect((await keptBy(folder, "--by", by, "--top", "4")).rows, by).toEqual([26, 27, 28, 29]);
  const { code, stderr } = await alpagasus(["select", "--by", "rank(instruction)", "--top", "4"], { cwd: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^alpagasus: --by: .*'Do 0' to DOUBLE/)]);
});

test("the cut that is printed keeps the same rows", async () => {
  using folder = tempFolder();
  folder.write(
    "rows.json",
    Array.from({ length: 40 }, (_, i) => ({ instruction: `Do ${i}`, input: "", output: "Out", own: Math.sqrt(i) })),
  );
  await prepare(folder.path, ["rate", "rows.json", "--judge", "column:own"]);
  for (const by of [[], ["--by", "zscore(score)"]]) {
    const { stdout } = await alpagasus(["select", ...by, "--top", "11"], { cwd: folder.path });
    const [, cut] = /cut at (\S+): 11 rows kept/.exec(stdout)!;
    expect((await keptBy(folder, ...by, "--min-score", cut!)).rows).toHaveLength(11);
  }
});
