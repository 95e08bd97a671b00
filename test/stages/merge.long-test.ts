import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { createRandom } from "../../src/stats/random.ts";
import type { MergeSummary } from "../../src/stages/merge.ts";
import { alpagasus, misuse, prepare, startAlpagasus } from "../helpers/command-line.ts";
import { startModelServer, type ModelServer } from "../helpers/model-server.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* A rating in parts, on machines of their own, put together. */

let folder: TempFolder;
let server: ModelServer;
beforeEach(async () => {
  folder = tempFolder();
  server = await startModelServer({ latencyMs: () => 5 });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const rows = Array.from({ length: 203 }, (_, i) => ({
  instruction: `Ask ${i % 190}`,
  input: "",
  output: `Say ${i % 190}`,
}));
const bytes = (path: string) => readFileSync(`${folder.path}/${path}`);

/** A machine: a folder with the data, and a store of its own. */
function machine(name: string, data: object = rows): string {
  mkdirSync(`${folder.path}/${name}`, { recursive: true });
  folder.write(`${name}/rows.json`, data);
  return `${folder.path}/${name}`;
}
const rating = (...more: string[]) => rateRows(server.judge, ...more);

test("shards that were killed at random become what one machine writes, byte for byte; nothing is paid twice", async () => {
  const random = createRandom(7);
  const of = 5;
  await Promise.all(
    Array.from({ length: of }, async (_, i) => {
      const cwd = machine(`m${i + 1}`);
      const args = rating("--shard", `${i + 1}/${of}`, "--run", "runs/s", "--concurrency", "3");
      const killed = startAlpagasus(args, { cwd });
      setTimeout(() => killed.kill("SIGKILL"), 400 + 600 * random());
      await killed.ended;
      const { code, stderr } = await alpagasus(args, { cwd });
      expect(code, stderr).toBe(0);
      await prepare(cwd, [
        "rate",
        "rows.json",
        "--judge",
        "student",
        "--as",
        "small",
        "--shard",
        `${i + 1}/${of}`,
        "--run",
        "runs/s",
      ]);
    }),
  );
  const made = server.log.length;
  const runs = Array.from({ length: of }, (_, i) => `m${i + 1}/runs/s`).toReversed(); // in any order
  const merged = await alpagasus(["merge", ...runs, "--run", "runs/all", "--json"], { cwd: folder.path });
  expect(merged.code, merged.stderr).toBe(0);
  const { rate, scores, replies } = JSON.parse(merged.stdout) as MergeSummary;
  expect([rate.states, rate.coverage, scores]).toEqual([{ scored: rows.length }, 1, ["small"]]);
  expect(rate.shard).toBeUndefined();
  expect(rate.calls!.paidUsd).toBeGreaterThan(0);
  expect(server.log.length).toBe(made);

  folder.write("rows.json", rows);
  const whole = await alpagasus(rating("--run", "runs/one", "--store", "one.sqlite"), { cwd: folder.path });
  expect(whole.code, whole.stderr).toBe(0);
  await prepare(folder.path, ["rate", "rows.json", "--judge", "student", "--as", "small", "--run", "runs/one"]);
  expect(bytes("runs/all/ratings.jsonl").equals(bytes("runs/one/ratings.jsonl"))).toBe(true);
  expect(bytes("runs/all/scores/small.jsonl").equals(bytes("runs/one/scores/small.jsonl"))).toBe(true);

  // the merged run goes on like any other: its replies are in the store, its spending is known, and rows are selected from it
  folder.write("m1/rows.json", rows);
  const again = await alpagasus(["rate", "m1/rows.json", ...rating("--run", "runs/all", "--json").slice(2)], {
    cwd: folder.path,
  });
  const { calls } = JSON.parse(again.stdout) as RateSummary;
  expect([calls!.made, calls!.stored]).toEqual([0, 203]);
  expect(replies).toBeGreaterThanOrEqual(190);
  expect(calls!.runPaidUsd!).toBeGreaterThan(0.9 * rate.calls!.paidUsd!);
  await prepare(folder.path, ["select", "--top", "20", "--dedup", "exact", "--run", "runs/all"]);
  await prepare(folder.path, ["select", "--top", "20", "--dedup", "exact", "--run", "runs/one"]);
  expect(bytes("runs/all/arms/selected.json").equals(bytes("runs/one/arms/selected.json"))).toBe(true);
});

test("a shard tells its own part: coverage, states, plan and progress; it is no run to select from", async () => {
  const cwd = machine("m1");
  const plan = await alpagasus(rating("--shard", "2/4", "--dry-run", "--json"), { cwd });
  expect((JSON.parse(plan.stdout) as { items: number }).items).toBe(51);
  const { code, stdout } = await alpagasus(rating("--shard", "2/4", "--json"), { cwd });
  const { states, coverage, shard } = JSON.parse(stdout) as RateSummary;
  expect([code, states, coverage, shard]).toEqual([0, { scored: 51 }, 1, { index: 2, of: 4 }]);
  const selected = await misuse(["select", "--top", "3"], { cwd });
  expect([selected.code, selected.stderr]).toEqual([
    2,
    expect.stringContaining("holds shard 2 of 4 of a rating; put the shards together first: alpagasus merge") as string,
  ]);
});

describe("what cannot be put together is refused in a line", () => {
  beforeEach(async () => {
    const cwd = machine("m");
    for (const i of [1, 2, 3])
      await prepare(cwd, ["rate", "rows.json", "--judge", "student", "--shard", `${i}/3`, "--run", `runs/s${i}`]);
    await prepare(cwd, ["rate", "rows.json", "--judge", "student", "--run", "runs/whole"]);
    await prepare(cwd, ["rate", "rows.json", "--judge", "student", "--shard", "1/2", "--run", "runs/half"]);
    await prepare(machine("other", rows.slice(1)), [
      "rate",
      "rows.json",
      "--judge",
      "student",
      "--shard",
      "3/3",
      "--run",
      "runs/s3",
    ]);
  });
  test.each<[string[], string]>([
    [["runs/s1", "runs/s3"], "expected all 3 shards, got 2; missing: 2/3"],
    [["runs/s1", "runs/s2", "runs/s2"], "runs/s2: expected each shard once, got shard 2 of 3 again"],
    [
      ["runs/s1", "runs/s2", "runs/whole"],
      "runs/whole: expected a shard of a rating (rate --shard 1/4), found a whole rating",
    ],
    [["runs/s1", "runs/s2", "runs/half"], "runs/half: expected a shard of 3, as runs/s1 is, got one of 2"],
    [["runs/s1", "runs/s2", "../other/runs/s3"], "expected a shard of the rows of runs/s1, got one of others"],
    [["runs/s1", "runs/s2", "runs/none"], "runs/none: expected a shard of a rating"],
    [["runs/s1", "runs/s2", "runs/s3", "--run", "runs/whole"], "runs/whole: expected a run without ratings"],
  ])("%j", async (args, message) => {
    const { code, stderr } = await misuse(["merge", ...args], { cwd: `${folder.path}/m` });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
  });
});

test.each<[string[], string]>([
  [["--shard", "0/3"], "Expected a part and their number: 3/16."],
  [["--shard", "4/3"], "Expected a part and their number"],
  [["--judge", "recorded:scores.json", "--shard", "1/3"], "--shard: expected a judge that looks at a row by itself"],
  [
    ["--judge", "student", "--judge", "column:x", "--rescale", "--scale", "0..5", "--shard", "1/3"],
    "--shard: expected",
  ],
])("rate %j is refused in a line", async (args, message) => {
  const cwd = machine("m");
  folder.write(
    "m/scores.json",
    rows.map(() => 1),
  );
  const { code, stderr } = await misuse(["rate", "rows.json", ...args], { cwd });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
});

test("a run holds one part, and not another one", async () => {
  const cwd = machine("m");
  await prepare(cwd, ["rate", "rows.json", "--judge", "student", "--shard", "1/3"]);
  const { code, stderr } = await misuse(["rate", "rows.json", "--judge", "student", "--shard", "2/3"], { cwd });
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("holds ratings of shard 1 of 3, not of shard 2 of 3") as string,
  ]);
});

describe("what was paid and what was rated stay true", () => {
  const few = rows.slice(0, 24);
  beforeEach(async () => {
    for (const i of [1, 2]) await prepare(machine(`m${i}`, few), rating("--shard", `${i}/2`, "--run", "runs/s"));
  });
  const merge = (...more: string[]) =>
    alpagasus(["merge", "m1/runs/s", "m2/runs/s", "--run", "runs/all", ...more], { cwd: folder.path });
  const paid = async (run = "runs/all") =>
    (
      JSON.parse((await alpagasus(["status", "--run", run, "--json"], { cwd: folder.path })).stdout) as {
        spent: { paidUsd: number };
      }
    ).spent.paidUsd;

  test("data that changed since is refused", async () => {
    folder.write("m1/rows.json", few.toReversed());
    const { code, stderr } = await merge();
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("expected the rows that were rated, got others") as string,
    ]);
    expect(existsSync(`${folder.path}/runs/all`)).toBe(false);
  });

  test("ratings that were changed are refused", async () => {
    const path = `${folder.path}/m2/runs/s/ratings.jsonl`;
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(/"score":[\d.]+/g, '"score":5'));
    const { code, stderr } = await merge();
    expect([code, stderr]).toEqual([2, expect.stringContaining("got a changed file") as string]);
  });

  test("a store that was left behind is named, and a wrong one leaves nothing", async () => {
    const wrong = await merge("--store", "m1/rows.json");
    expect(wrong.code).toBe(2);
    expect(existsSync(`${folder.path}/runs/all/purse.json`)).toBe(false);
    renameSync(`${folder.path}/m1/.alpagasus`, `${folder.path}/elsewhere`);
    const { code, stderr } = await merge();
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/m1\/.*calls\.sqlite: expected the call store with a shard's replies/) as string,
    ]);
  });

  test("money is added up once, however often it is merged", async () => {
    expect((await merge()).code).toBe(0);
    const once = await paid();
    expect(once).toBeGreaterThan(0);
    folder.write("other.json", [{ instruction: "One more", input: "", output: "row" }]);
    const more = ["rate", "other.json", ...rating("--run", "runs/all", "--overwrite").slice(2)];
    expect((await alpagasus(more, { cwd: folder.path })).code).toBe(0);
    const both = await paid();
    expect(both).toBeGreaterThan(once);
    expect((await merge("--overwrite")).code).toBe(0);
    expect(await paid()).toBeCloseTo(both, 12);
  });

  test("a reply takes the place of a call that failed, also one that another run paid for", async () => {
    const calls = server.log.length;
    for (const i of [1, 2])
      await alpagasus(rating("--shard", `${i}/2`, "--run", "runs/t"), { cwd: `${folder.path}/m${i}` });
    expect(server.log.length).toBe(calls); // the other run's replies
    await server[Symbol.asyncDispose]();
    folder.write("rows.json", few);
    await alpagasus(rating("--run", "runs/failed", "--max-attempts", "1"), { cwd: folder.path });
    const merged = await alpagasus(["merge", "m1/runs/t", "m2/runs/t", "--run", "runs/all"], { cwd: folder.path });
    expect(merged.code, merged.stderr).toBe(0);
    const again = await alpagasus(["rate", "m1/rows.json", ...rating("--run", "runs/all", "--json").slice(2)], {
      cwd: folder.path,
    });
    const { states, calls: made } = JSON.parse(again.stdout) as RateSummary;
    expect([states, made!.made]).toEqual([{ scored: 24 }, 0]);
  });

  test("status of a shard leads to merge", async () => {
    const { stdout } = await alpagasus(["status", "--run", "m1/runs/s"], { cwd: folder.path });
    expect(stdout).toContain("next  alpagasus merge");
  });
});
