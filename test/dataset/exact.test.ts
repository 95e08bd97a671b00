import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openDuckDb, sqlPath } from "../../src/dataset/duckdb.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { createColumnJudge, createRecordedJudge } from "../../src/judge/recorded.ts";
import type { Judge } from "../../src/judge/judge.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const line = (row: object) => `${JSON.stringify(row)}\n`;

async function armOf(folder: TempFolder, files: string[], options: object): Promise<string> {
  const run = `${folder.path}/run`;
  await rate(await openDataset(files), { run, judge: createColumnJudge("score"), minCoverage: 0, overwrite: true });
  return readFileSync((await select({ run, ...options })).path, "utf8");
}

test("a pool has Parquet's whole numbers with all digits, beside those of JSON", async () => {
  using folder = tempFolder();
  const path = `${folder.path}/big.parquet`;
  await using database = await openDuckDb();
  await database.connection.run(
    `COPY (SELECT 'q' || i AS instruction, 'a' AS output, 1.0 AS score, (9007199254740990 + i)::BIGINT AS n, -0.0::DOUBLE AS z FROM range(1, 4) t(i)) TO ${sqlPath(path)} (FORMAT parquet)`,
  );
  const other = folder.write("b.jsonl", '{"instruction":"z","output":"y","score":1,"n":9007199254740993,"z":0}\n');
  const arm = await armOf(folder, [path, other], { method: "full" });
  expect(arm.match(/"n":\d+/g)).toEqual([1, 2, 3, 3].map((i) => `"n":${9007199254740990n + BigInt(i)}`));
  expect(arm.match(/"z":-0\.0/g)).toHaveLength(3);
});

test("a pool has Parquet's decimals with all digits, and its bytes as Base64", async () => {
  using folder = tempFolder();
  await using database = await openDuckDb();
  await database.connection.run(
    `COPY (SELECT 'a' AS instruction, 'x' AS output, 1 AS score, 12345678901234567.89::DECIMAL(38, 2) AS price, '\\x00\\xFF'::BLOB AS raw UNION ALL SELECT 'b', 'y', 2, 2.5, '\\x41'::BLOB) TO ${sqlPath(`${folder.path}/p.parquet`)}`,
  );
  const other = folder.write("o.jsonl", line({ instruction: "c", output: "z", score: 3 }));
  const arm = await armOf(folder, [`${folder.path}/p.parquet`, other], { method: "full" });
  expect(
    arm
      .split("\n")
      .slice(0, 2)
      .map((text) => JSON.parse(text) as object),
  ).toMatchObject([
    { price: "12345678901234567.89", raw: "AP8=" },
    { price: 2.5, raw: "A" },
  ]);
});

test("a text of JSON that looks like a time or a UUID is a text for SQL, also inside", async () => {
  using folder = tempFolder();
  const uuid = "AB3E4567-E89B-12D3-A456-42661417400";
  const data = folder.write(
    "t.jsonl",
    line({ instruction: "a", output: "1:00:00", score: 1, tm: "1:30:00", u: `${uuid}0`, n: { t: ["2:00:00"] } }) +
      line({ instruction: "b", output: "2:00:00", score: 2, tm: "01:30:00", u: `${uuid}1`, n: { t: ["02:00:00"] } }),
  );
  for (const where of [
    "tm = '1:30:00'",
    "output = '1:00:00'",
    "u like 'AB%' and score = 1",
    "n.t[1] = '2:00:00'",
    "length(tm) = 7",
  ])
    expect((await armOf(folder, [data], { where })).trim().split("\n"), where).toHaveLength(1);
});

test("CSV whose lines end in two ways keeps them, and no value has them", async () => {
  using folder = tempFolder();
  const text = "score,instruction,output\n1,a,o\r\n2,b,p\n";
  const data = folder.write("r.csv", text);
  expect(await armOf(folder, [data], { method: "full" })).toBe(text);
  expect(await armOf(folder, [data], { where: "output = 'o'" })).toBe("score,instruction,output\n1,a,o\r\n");
  const other = folder.write("o.csv", "score,instruction,output\r\n1,a,o\n2,b,p\r\n");
  expect(await armOf(folder, [other], { where: "output in ('o', 'p')" })).toBe(
    "score,instruction,output\n1,a,o\n2,b,p\n",
  );
  const old = folder.write("m.csv", "score,instruction,output\r1,a,o\r2,b,p\r");
  expect(await armOf(folder, [old], { where: "output = 'p'" })).toBe("score,instruction,output\n2,b,p\n");
  const quoted = folder.write("q.csv", 'score,instruction,output\r\n1,a,"o\r"\r\n');
  expect(await armOf(folder, [quoted], { method: "full" })).toBe('score,instruction,output\n1,a,"o\r"\n');
});

test("CSV keeps its byte order mark, by which Excel knows its encoding", async () => {
  using folder = tempFolder();
  const text = "\ufeffinstruction;output;score\na;Küche;1\nb;Bad;2\n";
  const data = folder.write("e.csv", text);
  expect(await armOf(folder, [data], { method: "full" })).toBe(text);
  expect(await armOf(folder, [data], { where: "output = 'Küche'" })).toBe(
    "\ufeffinstruction;output;score\na;Küche;1\n",
  );
});

test("an index without a score is given once, too", async () => {
  using folder = tempFolder();
  for (const scores of [
    [null, 5],
    [5, null],
    [null, null],
  ]) {
    const path = folder.write("s.jsonl", scores.map((score) => line({ index: 0, score })).join(""));
    await expect(createRecordedJudge(path)).rejects.toThrow(/expected each index once, got 0 again/);
  }
});

test("a judge of one's own cannot score beyond its scale", async () => {
  using folder = tempFolder();
  const data = folder.write(
    "d.jsonl",
    line({ instruction: "a", output: "x", s: 50 }) + line({ instruction: "b", output: "x", s: 5 }),
  );
  const column = createColumnJudge("s");
  const judge: Judge = Object.assign(Object.create(column) as Judge, { scale: { min: 0, max: 5 } });
  const { states, mean } = await rate(await openDataset(data), { run: `${folder.path}/r`, judge });
  expect([states, mean]).toEqual([{ unparsable: 1, scored: 1 }, 5]);
  expect(readFileSync(`${folder.path}/r/ratings.jsonl`, "utf8")).toContain("outside of the judge's scale, 0 to 5: 50");
});

test("rows that changed take further scores away, which is said with the command to rate them again", async () => {
  using folder = tempFolder();
  const write = (...names: string[]) =>
    folder.write("d.jsonl", names.map((name) => line({ instruction: name, output: "x", s: 1 })).join(""));
  const run = `${folder.path}/r`;
  const judge = createColumnJudge("s");
  await rate(await openDataset(write("a")), { run, judge });
  await rate(await openDataset(write("a")), { run, judge, as: "b", command: "alpagasus rate d.jsonl --as b" });
  const { notes } = await rate(await openDataset(write("a", "new")), { run, judge });
  expect(notes.join("\n")).toMatch(
    /the data changed since: b is a score of other rows, .*: alpagasus rate d\.jsonl --as b$/m,
  );
});
