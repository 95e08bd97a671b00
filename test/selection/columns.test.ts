import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { openDuckDb } from "../../src/dataset/duckdb.ts";
import { createColumnJudge } from "../../src/judge/recorded.ts";
import { createStudentJudge } from "../../src/judge/student.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import { WhatIfTable } from "../../src/selection/what-if.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* Columns as SQL of the user's sees them: by their values, whatever the file's format makes of them. */

async function keptBy(files: Readonly<Record<string, string>>, options: object): Promise<number[]> {
  using folder = tempFolder();
  const paths = Object.entries(files).map(([name, text]) => folder.write(name, text));
  const run = `${folder.path}/run`;
  await rate(await openDataset(paths), { run, judge: await createStudentJudge() });
  const { decisionsPath } = await select({ run, ...options });
  return (await openValues(decisionsPath)).filter(({ kept }) => kept).map(({ index }) => index);
}

async function openValues(path: string): Promise<{ kept: boolean; index: number }[]> {
  const { readFile } = await import("node:fs/promises");
  return (await readFile(path, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { kept: boolean; index: number });
}

const csv =
  "instruction,output,zip,flag,k\na,As an AI I cannot,01234,true,1\nb,4,12345,false,2.5\nc,hello,99999,TRUE,3\n";
const lines = (...rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

describe("SQL over columns", () => {
  test.each([
    ["output not like 'As an AI%'", [1, 2]],
    ["output = 'hello'", [2]],
    ["output = '4'", [1]],
    ["zip like '0%'", [0]],
    ["k > 2 and flag", [2]],
  ])("of CSV: %s", async (where, rows) => {
    expect(await keptBy({ "a.csv": csv }, { where })).toEqual(rows);
  });

  const mixed = lines(
    { instruction: "a", output: "x", cat: "abc", d: "2023-1-5", tags: ["p"] },
    { instruction: "b", output: "2024-02-03", cat: 12, d: "2024-01-06", tags: ["q", "r"] },
  );

  test.each([
    ["cat = 'abc'", [0]],
    ["cat = '12'", [1]],
    ["length(cat) = 3", [0]],
    ["d like '2024%'", [1]],
    ["d || '' = '2023-1-5'", [0]],
    ["date(d) > date '2023-06-01'", [1]],
    ["len(tags) = 2", [1]],
    ["length(output) < 1e400 and output like '2024%'", [1]],
  ])("of JSON Lines, of several kinds and like dates: %s", async (where, rows) => {
    expect(await keptBy({ "a.jsonl": mixed }, { where })).toEqual(rows);
  });

  test("orders by texts that are times", async () => {
    expect(await keptBy({ "a.jsonl": mixed }, { by: "rank(d)", top: 1 })).toEqual([1]);
  });

  test.each([
    [{ "a.jsonl": mixed, "b.csv": csv }],
    [{ "b.csv": csv, "a.jsonl": mixed }],
    [{ "a.jsonl": mixed, "c.json": JSON.stringify([{ instruction: "e", output: "f", cat: "abc" }], null, 1) }],
  ])("of a pool: %j", async (files) => {
    const all = Object.values(files).join("").includes("01234") ? 5 : 3;
    expect(await keptBy(files as Record<string, string>, { where: "score >= 0" })).toHaveLength(all);
    expect(await keptBy(files as Record<string, string>, { where: "cat = '12'" })).toHaveLength(1);
  });

  test.each([
    "greatest(*COLUMNS('^[kj]$')) > 5",
    "rows.k + rows.j > 5",
    "to_json(rows)::VARCHAR like '%needle%'",
    "(select max(x) from (values (k), (j)) t(x)) > 5",
    "output_length * output_length > 30",
  ])("that are told in other ways than by their names: %s", async (where) => {
    const rows = lines(
      { instruction: "a", output: "short", k: 1, j: 2 },
      { instruction: "b", output: "a needle", k: 1, j: 7 },
    );
    expect(await keptBy({ "a.jsonl": rows }, { where })).toEqual([1]);
  });

  test("of a score alone: a name that the data has too is told from it", async () => {
    const rows = lines({ instruction: "a", output: "x", Score: 1 }, { instruction: "b", output: "y", Score: 2 });
    await expect(keptBy({ "a.jsonl": rows }, { by: "score", top: 1 })).rejects.toThrow(/data_score or rating_score/);
    expect(await keptBy({ "a.jsonl": rows }, { by: "rating_score - rating_score - index", top: 1 })).toEqual([0]);
    expect(await keptBy({ "a.jsonl": rows }, { by: "data_score", top: 1 })).toEqual([1]);
    await expect(keptBy({ "a.jsonl": rows }, { by: "scor", top: 1 })).rejects.toThrow(
      /expected columns .*data_score.*got scor/s,
    );
  });

  test("of a pool with rows that cannot be read", async () => {
    using folder = tempFolder();
    const paths = [folder.write("a.jsonl", mixed), folder.write("b.jsonl", `${mixed}[1]\n`)];
    const run = `${folder.path}/run`;
    const dataset = await openDataset(paths, { unreadable: "keep" });
    await rate(dataset, { run, judge: await createStudentJudge(), maxUnreadable: 1 });
    expect((await select({ run, where: "source = 'b' and cat = '12'" })).rows).toBe(1);
  });

  test("of rows with half a character, or a field twice", async () => {
    const text = '{"instruction":"a","output":"x \\ud800","k":1}\n{"instruction":"b","output":"y","k":2,"k":3}\n';
    expect(await keptBy({ "a.jsonl": text }, { where: "k = 3" })).toEqual([1]);
  });

  test("refuses a name that several columns have but for capital letters", async () => {
    const text = lines({ instruction: "a", output: "x", Lang: "en", lang: "de" });
    await expect(keptBy({ "a.jsonl": text }, { where: "lang = 'en'" })).rejects.toThrow(/several columns lang/);
    expect(await keptBy({ "a.jsonl": text }, { where: "output = 'x'" })).toEqual([0]);
  });

  test("of Parquet, whatever its columns are called", async () => {
    using folder = tempFolder();
    const path = `${folder.path}/rows.parquet`;
    await using database = await openDuckDb();
    await database.connection.run(
      `COPY (SELECT 'q' || i AS instruction, 'o' AS output, 3 - i AS alpagasus_index, i AS alpagasus_row FROM range(4) t(i)) TO '${path}' (FORMAT parquet)`,
    );
    const run = `${folder.path}/run`;
    await rate(await openDataset(path), { run, judge: createColumnJudge("alpagasus_row") });
    const { path: arm } = await select({ run, top: 2 });
    const kept = await database.connection.runAndReadAll(`SELECT instruction, alpagasus_index::INT FROM '${arm}'`);
    expect(kept.getRows()).toEqual([
      ["q2", 1],
      ["q3", 0],
    ]);
    const { rows } = await select({ run, where: "alpagasus_index = 3", arm: "one" });
    expect(rows).toBe(1);
    const two = `${folder.path}/two.parquet`;
    await database.connection.run(
      `COPY (SELECT 'q' AS instruction, 'o' AS output, 1 AS Name_1, 2 AS name_2) TO '${two}' (FORMAT parquet)`,
    );
    expect((await openDataset(two)).unused).toEqual(["Name_1", "name_2"]);
    const renamed = readFileSync(two, "latin1").replaceAll("name_2", "name_1"); // DuckDB writes none that differ by capitals
    await expect(openDataset(folder.write("other.parquet", Buffer.from(renamed, "latin1")))).rejects.toThrow(
      /other\.parquet: expected columns whose names differ by more than capital letters/,
    );
  });
});

test("a table of thresholds counts what a threshold keeps, however many scores there are", () => {
  const table = new WhatIfTable();
  const scores = Array.from({ length: 30_000 }, (_, i) => 1 + (i % 2 === 0 ? -1 : 1) * (i + 1) * 1e-9);
  const example = {
    index: 0,
    instruction: "",
    input: "",
    output: "",
    row: {},
    text: "",
    place: { path: "", format: "json" as const, line: 0, ordinal: 0 },
  };
  for (const score of [...scores, 4.5, 5]) table.add(example, score);
  expect(table.atLeast(1).rows).toBe(scores.filter((score) => score >= 1).length + 2);
  expect(table.atLeast(4.5).rows).toBe(2);
  for (const score of [9.99996, -5.00004, 0]) table.add(example, score);
  expect(table.atLeast(9.999).rows).toBe(1);
  expect(table.atLeast(10).rows).toBe(0);
  expect(table.atLeast(-5).rows).toBe(30_004);
  expect(table.atLeast(5).rows).toBe(2);
  for (const [from, to] of [
    [1000, 1022.5],
    [8, 8.023],
    [-1022, -1000],
    [1400, 1424],
  ] as const) {
    const others = Array.from({ length: 30_000 }, (_, i) => from + ((to - from) * i) / 29_999);
    const parts = [new WhatIfTable(), new WhatIfTable()];
    for (const [i, score] of others.entries()) parts[i % 2]!.add(example, score);
    const joined = new WhatIfTable(); // as of threads that counted a part each
    for (const part of parts) joined.addCounts(part.counts());
    const listed = joined.thresholds();
    expect(listed.length).toBeGreaterThan(2);
    for (const { threshold, rows } of listed)
      expect([threshold, rows]).toEqual([threshold, others.filter((score) => score >= threshold).length]);
  }
});
