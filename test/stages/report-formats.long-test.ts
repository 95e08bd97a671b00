import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "csv-parse/sync";
import { checkCondition, readCondition, type Figure } from "../../src/page/figures.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

let folder: TempFolder;

beforeAll(async () => {
  folder = tempFolder();
  folder.write(
    "rows.json",
    Array.from({ length: 20 }, (_, i) => ({ instruction: `Say ${i}`, input: "", output: "x".repeat(i), own: i % 6 })),
  );
  await prepare(
    folder.path,
    ["rate", "rows.json", "--judge", "column:own"],
    ["select", "--top", "5"],
    ["select", "--method", "random"],
  );
});
afterAll(() => folder[Symbol.dispose]());

const report = (...args: string[]) => alpagasus(["report", ...args], { cwd: folder.path });

describe("a report in other formats", () => {
  test("csv has a line a figure, which a reader of CSV reads back", async () => {
    const { code, stdout } = await report("--format", "csv");
    expect(code).toBe(0);
    const rows = parse(stdout, { columns: true }) as Record<string, string>[];
    expect(rows.find(({ figure, of }) => figure === "rows" && of === "selected")).toMatchObject({
      part: "arm",
      value: "5",
    });
    expect(rows.find(({ figure }) => figure === "coverage")).toMatchObject({ value: "1", n: "20" });
  });

  test("md and json say what the page says; --out writes the file", async () => {
    const { stdout } = await report("--format", "md", "--title", "Mine <b>|*");
    expect(stdout).toContain("# Mine \\<b\\>\\|\\*");
    expect(stdout).toContain("- held: rate rows.json: coverage: 100.0 % of the rows have a score");
    expect(stdout).toContain("| selected | rows | 5 |  |  |  |");
    await report("--format", "json", "--out", "figures.json");
    const { arms } = JSON.parse(readFileSync(`${folder.path}/figures.json`, "utf8")) as { arms: { arm: string }[] };
    expect(arms.map(({ arm }) => arm)).toEqual(["selected", "random"]);
  });

  test("junit has a case a gate, and one a condition", async () => {
    const { code, stdout, stderr } = await report(
      "--format",
      "junit",
      "--fail-on",
      "selected: rows < 6",
      "coverage < 1",
    );
    expect(code).toBe(3);
    expect(stderr).toBe('alpagasus: --fail-on "selected: rows < 6": rows of selected is 5\n');
    expect(stdout).toContain('tests="6" failures="1"');
    expect(stdout).toContain(
      '<testcase classname="fail-on" name="selected: rows &lt; 6"><failure message="rows of selected is 5"/></testcase>',
    );
    expect(stdout).toContain('<testcase classname="fail-on" name="coverage &lt; 1"/>');
  });

  test("a file that is no such report is not written over", async () => {
    folder.write("precious.csv", "mine,all mine");
    const { code, stderr } = await report("--format", "csv", "--out", "precious.csv");
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("precious.csv: expected no file or an older report there"),
    ]);
    expect((await report("--format", "csv", "--out", "figures.md")).stderr).toContain(
      "expected a name that ends in .csv",
    );
    for (const format of ["csv", "md", "json", "junit"]) {
      const out = `new/figures.${format === "junit" ? "xml" : format}`;
      for (let times = 0; times < 2; times++) expect((await report("--format", format, "--out", out)).code).toBe(0);
    }
  });

  test.each([
    ["winning < 1", "--fail-on: expected one of the run's figures (coverage, mean_score, rows, share), got winning"],
    ["other: rows < 1", '--fail-on: expected a rows of "other", the run has it of selected; random'],
    ["rows is 5", '--fail-on: expected a figure, < or >, and a number, as in "winning_score < 1"'],
  ])("%s is one line", async (condition, line) => {
    const { code, stderr } = await report("--fail-on", condition);
    expect([code, stderr.trim()]).toEqual([2, expect.stringContaining(line)]);
  });
});

describe("a condition", () => {
  const figures: Figure[] = [
    {
      part: "comparison",
      of: "a against b by j (all)",
      figure: "winning_score",
      value: 1.2,
      low: 0.98,
      high: 1.4,
      p: 0.07,
    },
    { part: "comparison", of: "a against b by j (koala)", figure: "winning_score", value: null },
  ];
  const met = (text: string) => checkCondition(readCondition(text), figures).met.map(({ of }) => of);

  test("is about the value, an end of the interval, or p; a figure that is not known never passes", () => {
    expect(met("(all): winning_score < 1")).toEqual([]);
    expect(met("(all): winning_score.low < 1")).toEqual(["a against b by j (all)"]);
    expect(met("(all): winning_score.p > 0.05")).toEqual(["a against b by j (all)"]);
    expect(met("winning_score < 1")).toEqual(["a against b by j (koala)"]);
  });
});
