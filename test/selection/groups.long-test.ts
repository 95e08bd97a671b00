import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseQuota } from "../../src/cli/options.ts";
import type { Decision } from "../../src/selection/decision.ts";
import { nthHighest } from "../../src/selection/pick.ts";
import type { ArmSummary } from "../../src/run/records/arm.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const rows = [
  ...Array.from({ length: 40 }, (_, i) => ({ instruction: `a ${i}`, output: "x", g: i % 2 ? "A" : "a,b", s: 5 })),
  ...Array.from({ length: 40 }, (_, i) => ({ instruction: `b ${i}`, output: "x", g: "B", s: 1 + i / 20 })),
];

test("ties within groups are told, and are no full quotas", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows);
  const cwd = folder.path;
  await prepare(cwd, ["rate", "rows.json", "--judge", "column:s"]);
  const select = async (...choice: string[]) => {
    const { code, stdout } = await alpagasus(["select", ...choice, "--json"], { cwd });
    expect(code).toBe(0);
    return JSON.parse(stdout) as ArmSummary;
  };
  const shared = await select("--top", "20", "--per", "g");
  expect(shared.alarms).toEqual([
    "40 rows tied at the cuts of their groups (g); 10 of them picked at random (seed 42)",
  ]);
  const quota = await select("--quota", 'g=A:10,"a,b":25%,B:40');
  expect(quota.alarms).toEqual(["40 rows tied at the cuts of their groups (g); 15 of them picked at random (seed 42)"]);
  expect(quota.reasons).toEqual({ kept: 55, "not drawn": 25 });
  expect((await select("--quota", "g=B:10", "--arm", "clear")).alarms).toEqual([]); // none tied
  const status = await alpagasus(["status"], { cwd });
  expect(status.stdout).toMatch(/ALARM: selected: 40 rows tied/);
  const report = await alpagasus(["report", "--format", "md"], { cwd });
  expect(report.stdout).toContain("- **alarm**: selected: 40 rows tied");
});

test("a recipe's arms take quotas, and what it finds wrong with them is told before anything is rated", async () => {
  using folder = tempFolder();
  folder.write("rows.json", rows);
  const cwd = folder.path;
  const recipe = (quota: string) =>
    folder.write(
      "r.yaml",
      `name: r\ndata: rows.json\nrate: { judge: "column:s" }\narms:\n  best: { quota: ${quota} }\n  random: { method: random }\n  drawn: { method: random, quota: { g: { B: 3 } } }\n`,
    );
  for (const [quota, message] of [
    ["{ g: { C: 3 } }", 'arms.best.quota: expected values of the column g (a,b, A, B), got "C", which no row has'],
    ["{ other: { C: 3 } }", 'arms.best.quota: expected a column of the data, got "other", which no row has'],
    ["{ g: { A: 3x } }", 'arms.best.quota.g.A: expected a share such as "10%", got "3x"'],
    ["{ g: { A: 3 }, h: { B: 1 } }", "arms.best.quota: expected one column, and for each of its values how many rows"],
  ] as const) {
    recipe(quota);
    const { code, stderr } = await misuse(["run", "r.yaml"], { cwd });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  }
  recipe('{ g: { A: 10, "a,b": 25% } }');
  const { code, stdout } = await alpagasus(["run", "r.yaml"], { cwd });
  expect(code).toBe(0);
  expect(stdout).toMatch(/ALARM: best: 40 rows tied at the cuts of their groups \(g\); 15 of them picked at random/);
  const kept = (arm: string) =>
    parseLines<Decision>(readFileSync(`${cwd}/runs/r/arms/${arm}.decisions.jsonl`, "utf8")).filter((one) => one.kept);
  expect([kept("best").length, kept("random").length, kept("drawn").length]).toEqual([15, 15, 3]);
  folder.write("runs/r/arms/old.decisions.jsonl", "");
  const again = await alpagasus(["run", "r.yaml"], { cwd });
  expect(again.stderr).toContain("arms: old in runs/r/arms is none of this recipe's arms");
});

test("a text is another group than a value that is written like it; absent and null are one", async () => {
  using folder = tempFolder();
  const values = ["null", null, undefined, "", 1, "1", "B"];
  folder.write(
    "rows.json",
    values.map((g, i) => ({ instruction: `q ${i}`, output: "x", g, s: i })),
  );
  const cwd = folder.path;
  await prepare(cwd, ["rate", "rows.json", "--judge", "column:s"], ["select", "--quota", 'g="":1,B:1']);
  const { stderr } = await misuse(["select", "--quota", "g=1:1"], { cwd });
  expect(stderr).toContain('expected one value of the column g that is written "1", got a text and another');
  const { stdout } = await alpagasus(["select", "--top", "7", "--per", "g", "--json"], { cwd });
  expect((JSON.parse(stdout) as ArmSummary).rows).toBe(7);
});

test("a quota's values may be quoted", () => {
  expect([...parseQuota('g="a,b":2,"":5,c:10%,"say ""x""":1').keep]).toEqual([
    ["a,b", 2],
    ["", 5],
    ["c", { share: 0.1 }],
    ['say "x"', 1],
  ]);
});

test("the n-th highest key is found however far keys are apart", () => {
  const keys = Float64Array.of(1e308, 1.2e308, 0.5, -1.1e308, 1.1e308, NaN);
  expect([1, 2, 3, 4, 5].map((n) => nthHighest(keys, n))).toEqual([1.2e308, 1.1e308, 1e308, 0.5, -1.1e308]);
});
