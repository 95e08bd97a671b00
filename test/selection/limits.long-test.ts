import { existsSync, readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* SQL of the user's that DuckDB cannot be stopped in: one value that takes all memory, or minutes. */

async function ratedFolder() {
  const folder = tempFolder();
  folder.write("rows.json", [{ instruction: "Say it", input: "", output: "it" }]);
  await alpagasus(["rate", "rows.json", "--run", "r"], { cwd: folder.path });
  return folder;
}

test("ends with one line when it takes too much memory", { timeout: 120_000 }, async () => {
  using folder = await ratedFolder();
  const args = ["select", "--run", "r", "--where", "length(repeat('a', 3000000000)) > 0"];
  const { code, stderr } = await alpagasus(args, { cwd: folder.path });
  expect([code, stderr]).toEqual([
    2,
    "alpagasus: --where: expected SQL that takes at most 2 GB of memory, got one that takes more: length(repeat('a', 3000000000)) > 0\n",
  ]);
  expect(existsSync(`${folder.path}/r/arms`) ? readdirSync(`${folder.path}/r/arms`) : []).toEqual([]);
});

test("ends when it is told to, not an hour later", { timeout: 120_000 }, async () => {
  using folder = await ratedFolder();
  const sql = "levenshtein(repeat('a', 2000000), repeat('b', 2000000)) > 0"; // takes over an hour
  const selecting = startAlpagasus(["select", "--run", "r", "--where", sql], { cwd: folder.path });
  await setTimeout(3000);
  selecting.kill("SIGTERM");
  expect((await selecting.ended).code).toBe(143);
});
