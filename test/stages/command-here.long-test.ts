import { mkdirSync, realpathSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runFolder } from "../../src/run/run-folder.ts";
import { commandHere, withoutOnly } from "../../src/run/command-here.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* The commands that `status` proposes belong to the run, wherever it lies and whoever asks from where. */

let folder: TempFolder;
let before: string;
beforeEach(() => {
  folder = tempFolder();
  before = process.cwd();
  process.chdir(folder.path);
});
afterEach(() => {
  process.chdir(before);
  folder[Symbol.dispose]();
});

test.each([
  ["runs/default", "alpagasus rate d.json --budget 1", "alpagasus rate d.json --budget 1"],
  ["runs/renamed", "alpagasus rate d.json --budget 1", "alpagasus rate d.json --budget 1 --run runs/renamed"],
  ["runs/a b", "alpagasus rate d.json --run runs/a --price 1/1", "alpagasus rate d.json --price 1/1 --run 'runs/a b'"],
  ["runs/a b", "alpagasus rate d.json --run 'runs/a b'", "alpagasus rate d.json --run 'runs/a b'"],
  ["runs/b", "alpagasus rate d.json --run=runs/a", "alpagasus rate d.json --run runs/b"],
  [
    "runs/b",
    "alpagasus select --where 'it'\\''s a --run b' --top 2",
    "alpagasus select --where 'it'\\''s a --run b' --top 2 --run runs/b",
  ],
])("in %s: %s", (run, command, told) => {
  expect(commandHere(command, runFolder(run), "../..")).toBe(told);
  mkdirSync("elsewhere");
  process.chdir("elsewhere");
  expect(commandHere(command, runFolder(join("..", run)), "../..")).toBe(`cd .. && ${told}`);
});

test("a choice of stages is left out", () => {
  expect(withoutOnly("alpagasus run r.yaml --only rate select --budget 1")).toBe("alpagasus run r.yaml --budget 1");
  expect(withoutOnly("alpagasus run 'a --only b c.yaml'")).toBe("alpagasus run 'a --only b c.yaml'");
  expect(withoutOnly("alpagasus run r.yaml --only rate select contamination")).toBe("alpagasus run r.yaml");
});

test("a run finds its data at a new path, and says that they are missing meanwhile", async () => {
  const cwd = realpathSync(folder.path);
  await using server = await startModelServer();
  const rows = (word: string) => Array.from({ length: 8 }, (_, i) => ({ instruction: `${word} ${i}`, output: "Yes." }));
  folder.write("rows.json", rows("Say"));
  folder.write("others.json", rows("Tell"));
  const rate = (data: string) => ["rate", data, "--judge", server.judge, "--no-check"];
  await prepare(cwd, rate("rows.json"), ["select", "--top", "4"]);
  mkdirSync("data");
  renameSync("rows.json", "data/rows.json");
  const missing = await alpagasus(["status"], { cwd });
  expect(missing.stdout).toContain("missing");
  expect(missing.stdout).toContain("with the path that rows.json has now");
  expect(missing.stdout).not.toContain("stale");
  const other = await alpagasus(rate("others.json"), { cwd });
  expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("holds ratings of rows.json")]);
  const moved = await alpagasus(rate("data/rows.json"), { cwd });
  expect(moved.code, moved.stderr).toBe(0);
  expect(server.log).toHaveLength(8); // the same rows: nothing is asked again
  const found = await alpagasus(["status"], { cwd });
  expect(found.stdout).not.toMatch(/missing|stale/);
  expect((await alpagasus(["status", "--run", "runs/none"], { cwd })).stderr).toContain("no such run");
});
