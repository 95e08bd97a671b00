import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readMarks } from "../../src/rubric/read-marks.ts";
import { openRubric } from "../../src/rubric/open-rubric.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import { quoteMarks } from "../../src/run/scores.ts";
import type { Decision } from "../../src/selection/decision.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Marks: several numbers of one reply, or the columns of a file of scores, each a score of its own. */

const rows = Array.from({ length: 8 }, (_, i) => ({
  instruction: `Question ${i}`,
  input: "",
  output: `Answer ${i}`,
  n: i,
}));

async function run<Summary>(folder: TempFolder, args: string[], env: Record<string, string> = {}): Promise<Summary> {
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path, env });
  expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))], stdout).toEqual([0, []]);
  return JSON.parse(stdout) as Summary;
}
const kept = (folder: TempFolder, name = "default") =>
  parseLines<Decision>(readFileSync(`${folder.path}/runs/${name}/arms/selected.decisions.jsonl`, "utf8")).flatMap(
    ({ kept: isKept, index }) => (isKept ? [index] : []),
  );

describe("the marks of a reply", () => {
  test("are those of the rubric's schema, on its scale; others are left out, and a reply without a score has none", async () => {
    const ds2 = await openRubric("ds2");
    const reply = (marks: object) =>
      JSON.stringify({ rarity: 3, complexity: 2, informativeness: 8, overall: 7, ...marks });
    expect(readMarks(reply({}), ds2)).toEqual({ rarity: 3, complexity: 2, informativeness: 8 });
    expect(readMarks(`\`\`\`json\n${reply({ rarity: 11, complexity: "2" })}\n\`\`\``, ds2)).toEqual({
      complexity: 2, // as the score is read
      informativeness: 8,
    });
    expect(readMarks(reply({ rarity: "high" }), ds2)).not.toHaveProperty("rarity");
    expect(readMarks(`{"rarity": 9, ${reply({}).slice(1)}`, ds2)).not.toHaveProperty("rarity"); // given twice
    expect(readMarks(`<thought>Hm.</thought>${reply({})}`, ds2)).toHaveProperty("rarity", 3);
    expect(readMarks(reply({ reason: "It has </think> in it." }), ds2)).toHaveProperty("rarity", 3);
    expect(readMarks(reply({ rarity: 3.5 }), ds2)).not.toHaveProperty("rarity");
    expect(readMarks('{"overall": 7, "__proto__": {"rarity": 4}}', ds2)).toBeUndefined();
    expect(readMarks(reply({}), await openRubric("alpagasus-accuracy"))).toBeUndefined();
  });

  test("are paid for once, and rows are chosen by them", async () => {
    const mark = (text: string) => Number(/Question (\d)/.exec(text)![1]);
    await using server = await startModelServer({
      answer: ({ user }) =>
        JSON.stringify({ rarity: mark(user), complexity: 9 - mark(user), informativeness: 5, overall: 7 }),
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    await prepare(folder.path, ["rate", "rows.json"]);
    const ask = ["rate", "rows.json", "--judge", "openai:gpt-5-mini", "--rubric", "ds2", "--as", "ds2"];
    const first = await run<RateSummary>(folder, ask, server.environment);
    expect(first.marks!["rarity"]).toMatchObject({ rows: 8, mean: 3.5 });
    const asked = server.log.length;
    const line = parseLines<RatingLine>(readFileSync(`${folder.path}/runs/default/scores/ds2.jsonl`, "utf8"))[3]!;
    expect(line).toMatchObject({ score: 7, marks: { rarity: 3, complexity: 6, informativeness: 5 } });
    await run<ArmSummary>(folder, ["select", "--by", "ds2.rarity", "--top", "2"]);
    expect(kept(folder)).toEqual([6, 7]);
    await run<ArmSummary>(folder, ["select", "--by", 'ds2."complexity" - 100 * (ds2 < 7)::int', "--top", "2"]);
    expect(kept(folder)).toEqual([0, 1]);
    await run<ArmSummary>(folder, ["select", "--where", "DS2.Rarity between 3 and 4 or 'ds2.x' = 'y'"]);
    expect(kept(folder)).toEqual([3, 4]);
    expect(server.log.length).toBe(asked);
    const { code, stderr } = await alpagasus(["select", "--by", "ds2.rareness", "--top", "2"], { cwd: folder.path });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("ds2.rarity, ds2.complexity, ds2.informativeness") as string,
    ]);
  });

  test("belong to the run's own score where that is what they stand beside", async () => {
    await using server = await startModelServer({
      answer: ({ user }) =>
        `{"rarity": ${Number(/Question (\d)/.exec(user)![1])}, "complexity": 1, "informativeness": 5, "overall": 7}`,
    });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    await run(
      folder,
      ["rate", "rows.json", "--judge", "openai:gpt-5-mini", "--rubric", "ds2", "--no-check"],
      server.environment,
    );
    await run(folder, ["select", "--by", "score + score.rarity", "--top", "1"]);
    expect(kept(folder)).toEqual([7]);
  });
});

describe("a file of scores comes in whole", () => {
  const scored = rows.map((row, i) => ({
    ...row,
    scores: { deita: i / 2, "LLM-as-Judge": 10 - i, IFD: i === 2 ? null : 0.1 * i },
    tokens: i === 0 ? "many" : 5,
    index: i,
  }));

  test("every column of numbers is a score, joined by index; a row that lacks one is unrated, with its name", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write(
      "scored.jsonl",
      scored
        .toReversed()
        .map((row) => JSON.stringify(row))
        .join("\n"),
    );
    await prepare(folder.path, ["rate", "rows.json"]);
    const summary = await run<RateSummary>(folder, [
      "rate",
      "rows.json",
      "--judge",
      "recorded:scored.jsonl",
      "--as",
      "oda",
    ]);
    expect(Object.keys(summary.marks!).toSorted()).toEqual(["n", "scores.IFD", "scores.LLM-as-Judge", "scores.deita"]);
    expect([summary.coverage, summary.hasOnlyMarks]).toEqual([1, true]);
    await run(folder, ["select", "--by", 'oda."scores.LLM-as-Judge"', "--top", "2"]);
    expect(kept(folder)).toEqual([0, 1]);
    await run(folder, ["select", "--by", "oda.scores.IFD", "--top", "2", "--min-coverage", "0"]);
    expect(kept(folder)).toEqual([6, 7]);
    const decisions = readFileSync(`${folder.path}/runs/default/arms/selected.decisions.jsonl`, "utf8");
    expect(decisions).toContain('"lacks":"no oda.scores.IFD"');
  });

  test("columns with a cell that is no number are left out with a note, and infinite numbers alone", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const cells = rows.map((_, i) => [i, 3, i === 2 ? "1e400" : i, i === 3 ? "N/A" : i, i === 4 ? "bad" : i]);
    folder.write("scored.csv", ["index,score,huge,none,mixed", ...cells.map((row) => row.join(","))].join("\n"));
    await prepare(folder.path, ["rate", "rows.json"]);
    const args = ["rate", "rows.json", "--judge", "recorded:scored.csv", "--as", "n", "--json"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(0);
    const { marks, notes } = JSON.parse(stdout) as RateSummary;
    const counts = Object.entries(marks!).map(([name, { rows: count }]) => [name, count]);
    expect(counts).toEqual([
      ["huge", rows.length - 1],
      ["none", rows.length - 1],
    ]);
    expect(notes.join("\n")).toContain("1 value of huge is infinite, and left out");
    expect(notes.join("\n")).toContain('left out, since not all of their values are numbers: mixed ("bad")');
  });

  test("whole numbers over 2^53, which cannot be told from ids, are left out with a note", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("big.jsonl", rows.map((_, i) => `{"score":1,"n":{"big":11529215046068${i}6976}}`).join("\n"));
    await prepare(folder.path, ["rate", "rows.json"]);
    const summary = await run<RateSummary>(folder, ["rate", "rows.json", "--judge", "recorded:big.jsonl", "--as", "b"]);
    expect(summary.marks).toBeUndefined();
    expect(summary.notes.join("\n")).toContain("n.big: whole numbers over 2^53, or texts of digits, are no scores");
  });

  test("CSV too, whose values are texts; a score beside them stays the score", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write(
      "scored.csv",
      [
        "score,words,answer,sha,ppl",
        ...rows.map((_, i) => `${5 - i / 2},${i},${i === 4 ? "four" : i},0x1${i},${i === 3 ? "inf" : i}`),
      ].join("\n"),
    );
    await prepare(folder.path, ["rate", "rows.json"]);
    const summary = await run<RateSummary>(folder, [
      "rate",
      "rows.json",
      "--judge",
      "recorded:scored.csv",
      "--as",
      "mine",
    ]);
    expect(Object.keys(summary.marks!)).toEqual(["words", "ppl"]);
    expect(summary.marks!["ppl"]!.rows).toBe(7);
    expect(summary.notes.join("\n")).toContain("1 value of ppl is infinite");
    expect([summary.mean, summary.hasOnlyMarks]).toEqual([3.25, undefined]);
    await run(folder, ["select", "--by", "mine + mine.words", "--top", "1"]);
    expect(kept(folder)).toEqual([7]);
  });

  test("what is no number stays none: -1, a failed row, a value off the scale, nan in CSV", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    await prepare(folder.path, ["rate", "rows.json"]);
    const take = async (file: string, content: string, ...args: string[]) => {
      folder.write(file, content);
      const rate = [
        "rate",
        "rows.json",
        "--judge",
        `recorded:${file}`,
        "--as",
        "it",
        "--overwrite",
        "--min-coverage",
        "0",
      ];
      const summary = await run<RateSummary>(folder, [...rate, ...args]);
      return {
        summary,
        lines: parseLines<RatingLine>(readFileSync(`${folder.path}/runs/default/scores/it.jsonl`, "utf8")),
      };
    };
    const lines = (of: (i: number) => object) => rows.map((_, i) => JSON.stringify({ index: i, ...of(i) })).join("\n");
    const minus = await take(
      "minus.jsonl",
      lines((i) => ({ q: i % 2 === 0 ? -1 : i })),
    );
    expect(minus.summary.marks!["q"]).toMatchObject({ rows: 4, mean: 4 });
    expect(minus.summary.notes.join("\n")).toContain("4 values of -1 in q are taken as replies that could not be read");
    const failed = await take(
      "failed.jsonl",
      lines((i) => ({ q: i, state: i === 3 ? "failed" : "scored" })),
    );
    expect(failed.lines[3]).not.toHaveProperty("marks");
    const scaled = await take(
      "scaled.jsonl",
      lines((i) => ({ q: i })),
      "--scale",
      "0..5",
    );
    expect(scaled.summary.marks!["q"]!.rows).toBe(6);
    const csv = await take("nan.csv", ["q", ...rows.map((_, i) => (i === 2 ? "nan" : String(i)))].join("\n"));
    expect(csv.summary.marks!["q"]!.rows).toBe(7);
    const both = await take(
      "both.jsonl",
      lines((i) => ({ score: i, rating: 9 - i })),
    );
    expect([both.summary.mean, both.summary.marks!["rating"]!.mean]).toEqual([3.5, 5.5]);
  });

  test("a column of the data with the score's name is not taken for it", async () => {
    using folder = tempFolder();
    folder.write(
      "rows.json",
      rows.map((row, i) => ({ ...row, oda: { q: -i }, "my oda.q": i })),
    );
    folder.write("scored.jsonl", rows.map((_, i) => JSON.stringify({ index: i, q: i })).join("\n"));
    await prepare(
      folder.path,
      ["rate", "rows.json"],
      ["select", "--by", "oda.q", "--top", "1"],
      ["rate", "rows.json", "--judge", "recorded:scored.jsonl", "--as", "oda"],
      ["select", "--by", '"my oda.q"', "--top", "1"],
    );
    const { code, stderr } = await alpagasus(["select", "--by", "oda.q", "--top", "1"], { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringContaining("the data has a column oda too") as string]);
  });

  test.each([
    ["columns alike but for capitals", [{ index: 0, IFD: 1, ifd: 2 }], /differ by more than capital letters/],
    ["one name for two columns", [{ index: 0, "a.b": 1, a: { b: 2 } }], /a\.b both as a name and as a field/],
    ["an index beyond all", [{ index: 900_000_000_000_000, a: 1 }], /expected an index under/],
    ["no numbers at all", [{ index: 0, a: "x" }], /expected a column of numbers/],
    ["a row that is not in the data", [{ index: 99, a: 1 }], /1 that belong to no row/],
    [
      "an index twice",
      [
        { index: 0, a: 1 },
        { index: 0, a: 2 },
      ],
      /expected each index once/,
    ],
  ])("%s: one line, and nothing is written", async (_, lines, message) => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("scored.json", lines);
    await prepare(folder.path, ["rate", "rows.json"]);
    const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "recorded:scored.json", "--as", "oda"], {
      cwd: folder.path,
    });
    expect([code, stderr]).toEqual([2, expect.stringMatching(message) as string]);
  });
});

test("names of marks are found in SQL, and only there", () => {
  const scores = [
    { name: "ds2", base: "ds2" },
    { name: "ds2.rarity", base: "ds2" },
    { name: "oda.scores.LLM-as-Judge", base: "oda" },
  ];
  for (const [sql, quoted] of [
    ['"my ds2.rarity" + ds2.rarity', '"my ds2.rarity" + "ds2.rarity"'],
    ["ds2 . rarity * 2", '"ds2.rarity" * 2'],
    ['"ds2"."rarity"', '"ds2.rarity"'],
    ["ds2.rarity2 + xds2.rarity + t.ds2.rarity", "ds2.rarity2 + xds2.rarity + t.ds2.rarity"],
    ["'ds2.rarity' || ds2", "'ds2.rarity' || ds2"],
    ['oda."scores.llm-as-judge"', '"oda.scores.LLM-as-Judge"'],
    ["oda.scores.llm-as-judge", "oda.scores.llm-as-judge"], // its signs are SQL's
  ])
    expect(quoteMarks(sql!, scores)).toBe(quoted);
});
