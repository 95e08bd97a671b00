import {
  cpSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  closeSync,
  existsSync,
  readFileSync,
} from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RunReport } from "../../src/page/contract.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { alpagasus, misuse, startAlpagasus } from "../helpers/command-line.ts";
import { startModelServer, type ModelServer } from "../helpers/model-server.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* What a run has paid is known, whatever happens to the store that counts it. */

let folder: TempFolder;
let server: ModelServer;
beforeEach(async () => {
  folder = tempFolder();
  server = await startModelServer({ latencyMs: () => 20 });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const rows = Array.from({ length: 200 }, (_, i) => ({ instruction: `Ask ${i}`, input: "", output: `Say ${i}` }));
const rating = (...more: string[]) => rateRows(server.judge, ...more);

test("a store that is gone is missed after check-judge too, and --forget-spent counts anew", async () => {
  const cwd = folder.path;
  const check = ["check-judge", "--judge", server.judge, "--price", "1/1"];
  await alpagasus(check, { cwd });
  const asked = server.log.length;
  rmSync(`${cwd}/.alpagasus`, { recursive: true });
  const refused = await misuse(check, { cwd });
  expect(refused.stderr).toMatch(
    /this run may have paid for replies in .*calls\.sqlite, which is gone or was made anew/,
  );
  expect(server.log.length).toBe(asked);
  await alpagasus([...check, "--forget-spent"], { cwd });
  const again = await alpagasus(check, { cwd });
  expect(again.stderr).not.toContain("may have paid");
});

test("a run that was brought without its store says so, and --forget-spent goes on", async () => {
  folder.write("rows.json", rows.slice(0, 5));
  const cwd = folder.path;
  await alpagasus(rating("--store", "away/calls.sqlite"), { cwd });
  rmSync(`${cwd}/away`, { recursive: true });
  const refused = await misuse(rating(), { cwd });
  expect(refused.stderr).toMatch(/recorded in away\/calls\.sqlite, which is not there; .* --forget-spent/);
  const { code, stdout } = await alpagasus(rating("--forget-spent", "--json"), { cwd });
  expect([code, (JSON.parse(stdout) as RateSummary).states]).toEqual([0, { scored: 5 }]);
  expect((await alpagasus(rating(), { cwd })).code).toBe(0);
});

test("replies of unknown price are told beside what is paid", async () => {
  folder.write("rows.json", rows.slice(0, 5));
  const cwd = folder.path;
  await alpagasus(rating(), { cwd });
  const other = server.judge.replace("#test-model", "#other-model");
  await alpagasus(["rate", "rows.json", "--judge", other, "--no-check", "--as", "other"], { cwd });
  const { stdout } = await alpagasus(["status"], { cwd });
  expect(stdout).toMatch(/paid for this run's calls; 5 replies of unknown price are not in it/);
  await alpagasus(["report", "--out", "page.html"], { cwd });
  const { money } = JSON.parse(readFileSync(`${cwd}/page.json`, "utf8")) as RunReport;
  expect(money).toMatchObject({ unpricedCalls: 5 });
  expect(money!.paidUsd).toBeGreaterThan(0);
});

test("a store that was moved is named by --store, and knows what the run has paid", async () => {
  folder.write("rows.json", rows.slice(0, 5));
  const cwd = folder.path;
  const first = JSON.parse((await alpagasus(rating("--json"), { cwd })).stdout) as RateSummary;
  renameSync(`${cwd}/.alpagasus`, `${cwd}/moved`);
  const { code, stdout } = await alpagasus(rating("--store", "moved/calls.sqlite", "--json"), { cwd });
  const { calls } = JSON.parse(stdout) as RateSummary;
  expect([code, calls?.made, calls?.runPaidUsd]).toEqual([0, 0, first.calls!.runPaidUsd]);
});

test("a record of the spending that cannot be read, and a damaged store, are one line each", async () => {
  folder.write("rows.json", rows);
  const cwd = folder.path;
  await alpagasus(rating(), { cwd });
  const store = `${cwd}/.alpagasus/calls.sqlite`;
  const file = openSync(store, "r+");
  writeSync(file, Buffer.alloc(statSync(store).size - 8192, 0x55), 0, undefined, 8192);
  closeSync(file);
  expect((await misuse(rating(), { cwd })).stderr).toMatch(/the call store is damaged \(.*\); bring back a copy of it/);
  rmSync(`${cwd}/runs/default/purse.json`);
  mkdirSync(`${cwd}/runs/default/purse.json`);
  expect((await misuse(rating("--store", "new.sqlite"), { cwd })).stderr).toMatch(
    /purse\.json: expected this run's spending record, got one that cannot be read/,
  );
});

test("a store that is removed while a command runs stops it, and its replies are written again", async () => {
  folder.write("rows.json", rows);
  const cwd = folder.path;
  await using slow = await startModelServer({ latencyMs: () => 400 });
  const args = rating("--concurrency", "10", "--json").with(3, slow.judge);
  const { ended } = startAlpagasus(args, { cwd });
  await expect.poll(() => slow.log.length).toBeGreaterThan(10);
  rmSync(`${cwd}/.alpagasus`, { recursive: true });
  const { code, stdout } = await ended;
  const first = JSON.parse(stdout) as RateSummary;
  expect([code, first.calls?.failure]).toEqual([1, expect.stringContaining("the call store was removed")]);
  const scored = first.states.scored!;
  expect(scored).toBeLessThan(200);
  expect(scored).toBe(slow.log.length); // none is lost
  const { calls } = JSON.parse((await alpagasus(args, { cwd })).stdout) as RateSummary;
  expect([calls?.stored, calls?.made]).toEqual([scored, 200 - scored]);
});

test("merge counts each shard's money once: of copies of a run, killed, repeated, and of no shard's own folder", async () => {
  const at = (name: string) => `${folder.path}/${name}`;
  const shard = async (name: string, index: number) => {
    folder.write(`${name}/rows.json`, rows);
    const { stdout } = await alpagasus(rating("--shard", `${index}/2`, "--run", "runs/s", "--json"), { cwd: at(name) });
    return (JSON.parse(stdout) as RateSummary).calls!.paidUsd!;
  };
  mkdirSync(at("a/runs/s"), { recursive: true });
  await alpagasus(["check-judge", "--judge", server.judge, "--price", "1/1", "--run", "runs/s"], { cwd: at("a") });
  cpSync(at("a/runs"), at("b/runs"), { recursive: true }); // one purse in two stores
  mkdirSync(at("b/.alpagasus"), { recursive: true });
  cpSync(at("a/.alpagasus"), at("b/.alpagasus"), { recursive: true });
  const checked = paidIn(at("a/.alpagasus/calls.sqlite"));
  const paid = (await shard("a", 1)) + (await shard("b", 2));
  const merge = (...more: string[]) =>
    alpagasus(["merge", "a/runs/s", "b/runs/s", "--run", "runs/all", "--store", "all.sqlite", ...more], {
      cwd: folder.path,
    });
  expect((await merge()).code).toBe(0);
  const merged = paidIn(at("all.sqlite"));
  expect(merged).toBeCloseTo(2 * checked + paid, 9); // the copy of the store has the check again: rather too much than too little
  expect((await merge("--overwrite")).code).toBe(0);
  expect(paidIn(at("all.sqlite"))).toBe(merged);
  renameSync(at("b"), at("moved")); // a store is the same wherever it lies
  renameSync(at("moved"), at("b2"));
  const moved = await alpagasus(
    ["merge", "a/runs/s", "b2/runs/s", "--run", "runs/all", "--store", "all.sqlite", "--overwrite"],
    { cwd: folder.path },
  );
  expect([moved.code, paidIn(at("all.sqlite"))]).toEqual([0, merged]);
  renameSync(at("b2"), at("b"));
  const itself = await misuse(["merge", "a/runs/s", "b/runs/s", "--run", "a/runs/s", "--overwrite"], {
    cwd: folder.path,
  });
  expect(itself.stderr).toContain("expected another run for what the shards become, got one of them");
  expect(existsSync(at("runs/all/merged.json"))).toBe(false);
});

/** What all purses of a store have paid, in US dollars. */
function paidIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare("select total(paid) as paid from purses").get()!["paid"]) / 1e9;
  } finally {
    database.close();
  }
}
