import { isOfRows } from "../../src/stages/rating-tally.ts";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import { createColumnJudge } from "../../src/judge/recorded.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import { status } from "../../src/stages/status.ts";
import { misuse } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

test("a control is stale when its arm is chosen anew: of another size, or from other candidates", async () => {
  using folder = tempFolder();
  const rows = Array.from({ length: 40 }, (_, i) => ({
    instruction: `q ${i}`,
    input: "",
    output: "a",
    category: i % 2 === 0 ? "even" : "odd",
    mark: i % 7,
  }));
  const run = `${folder.path}/run`;
  await rate(await openDataset(folder.write("rows.json", rows)), { run, judge: createColumnJudge("mark") });
  await expect(select({ run, method: "random", arm: "selected" })).rejects.toThrow(
    /--method random: expected a control to have another name than the arm whose size it takes, got selected for both/,
  );
  const stale = async () => (await status(run)).arms.filter(({ isStale }) => isStale).map(({ arm }) => arm);
  await select({ run, top: 5, where: "category = 'even'" });
  await select({ run, method: "random" });
  expect(await stale()).toEqual([]);
  await select({ run, top: 5, per: "category" }); // as many rows, but of all
  expect(await stale()).toEqual(["random"]);
  await select({ run, method: "random" });
  await select({ run, method: "random", quota: { column: "category", keep: new Map([["even", 3]]) }, arm: "by-quota" });
  expect(await stale()).toEqual([]);
  await select({ run, top: 6, per: "category" });
  expect(await stale()).toEqual(["random"]); // a quota says how many itself
  await expect(select({ run, top: 6, arm: "Selected" })).rejects.toThrow(/differs from selected by more than capital/);
});

test("decisions that were edited are named, and no figure is made of them", async () => {
  using folder = tempFolder();
  folder.write(
    "rows.json",
    Array.from({ length: 40 }, (_, i) => ({ instruction: `Say ${i}`, output: `It is ${i}` })),
  );
  const run = (...args: string[]) => misuse(args, { cwd: folder.path });
  await run("rate", "rows.json");
  await run("select", "--top", "10");
  await run("select", "--method", "random");
  const figures = async () =>
    JSON.parse((await run("report", "--format", "json")).stdout) as { overlaps: object[]; problems: string[] };
  expect(await figures()).toMatchObject({ overlaps: [{ a: "selected", b: "random", ofA: 10, ofB: 10 }], problems: [] });
  const path = `${folder.path}/runs/default/arms/selected.decisions.jsonl`;
  writeFileSync(
    path,
    readFileSync(path, "utf8").replaceAll(/"kept":false,"reason":"[^"]+"/g, '"kept":true,"reason":"kept"'),
  );
  const { overlaps, problems } = await figures();
  expect([overlaps, problems]).toEqual([
    [],
    [expect.stringMatching(/selected\.decisions\.jsonl: the decisions have changed since selected was selected/)],
  ]);
  cpSync(`${folder.path}/runs/default`, `${folder.path}/runs/copy`, { recursive: true });
  const told = await run("status", "--run", "runs/copy", "--json");
  expect((JSON.parse(told.stdout) as { arms: { path: string }[] }).arms[0]!.path).toBe("runs/copy/arms/selected.json");
});

test("a rating tells which answers no training learns", async () => {
  using folder = tempFolder();
  const messages = [
    { role: "user", content: "Do it" },
    { role: "assistant", content: "done", weight: 0 },
  ];
  folder.write("rows.json", [{ messages }]);
  const { stdout } = await misuse(["rate", "rows.json"], { cwd: folder.path });
  expect(stdout).toContain("1 row has an answer that trainings do not learn (weight 0, or train false)");
  expect(isOfRows(/note: (.*weight 0.*)/.exec(stdout)![1]!)).toBe(true); // told once of merged shards
});

test("a training that does not fit its rows leaves the folder as it is", async () => {
  using folder = tempFolder();
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
  const messages = [
    { role: "user", content: "Do it" },
    { role: "assistant", content: "done" },
    { role: "user", content: "Thanks" },
  ];
  folder.write("rows.json", [{ tools, messages }]);
  const run = (...args: string[]) => misuse(args, { cwd: folder.path, env: { PATH: "/nowhere" } });
  const rated = await run("rate", "rows.json");
  expect(rated.stdout).toContain("1 row has turns after the last answer, which neither judges nor trainings see");
  await run("select", "--top", "1");
  const args = ["train", "--base", "nobody/nothing", "--dry-run", "--model", "m"];
  expect((await run(...args, "--recipe", "laptop")).code).toBe(0);
  const settings = `${folder.path}/runs/default/models/m/sft.yaml`;
  const before = readFileSync(settings, "utf8");
  const failed = await run(...args, "--recipe", "paper-7b");
  expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining("expected rows without tools")]);
  expect(readFileSync(settings, "utf8")).toBe(before);
});
