import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/* What a rating leaves of what was there, and where it sends the user next. */

const rows = Array.from({ length: 20 }, (_, i) => ({
  instruction: `question ${i}`,
  output: `answer ${i}`,
  topic: "x",
}));

describe("ratings that are replaced", () => {
  test("keep the arms of the same data, which are stale, and name those of other data", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    folder.write("others.json", rows.slice(1));
    folder.write(
      "scores.json",
      rows.map((_, i) => i % 5),
    );
    const rate = (data: string, ...more: string[]) => ["rate", data, "--judge", "student", "--overwrite", ...more];
    await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "5", "--arm", "near"], rate("rows.json"));
    const status = async () =>
      JSON.parse((await alpagasus(["status", "--json"], { cwd: folder.path })).stdout) as object;
    expect(await status()).toMatchObject({ arms: [{ arm: "near", rows: 5, isStale: false }] }); // the same scores
    await prepare(folder.path, ["rate", "rows.json", "--judge", "recorded:scores.json", "--overwrite"]);
    expect(await status()).toMatchObject({ arms: [{ arm: "near", rows: 5, isStale: true }] });
    const other = await alpagasus(rate("others.json"), { cwd: folder.path });
    expect(other.stdout).toMatch(/note: .*near/);
  });
});

describe("a next step", () => {
  test("of a further score without scores names its replies, and they are shown", async () => {
    await using server = await startModelServer({ answer: () => "no number here" });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    await prepare(folder.path, ["rate", "rows.json", "--run", "runs/a b"]);
    const run = ["--run", "runs/a b"];
    const rated = await alpagasus([...rateRows(server.judge), "--as", "quality", ...run], { cwd: folder.path });
    expect(rated.stdout).toContain("alpagasus replies --state unparsable --as quality --run 'runs/a b' shows them");
    const { stdout } = await alpagasus(["replies", "--state", "unparsable", "--as", "quality", "--json", ...run], {
      cwd: folder.path,
    });
    expect(stdout.trim().split("\n")).toHaveLength(20);
    expect(stdout).toContain("no number here");
    const wrong = await alpagasus(["replies", "--as", "other", ...run], { cwd: folder.path });
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/--as: expected a further score of runs\/a b \(quality\), got "other"/),
    ]);
  });

  test("where no row has a score is no selection", async () => {
    await using server = await startModelServer({ answer: () => "no number here" });
    using folder = tempFolder();
    folder.write("rows.json", rows);
    expect((await alpagasus(rateRows(server.judge), { cwd: folder.path })).code).toBe(3);
    const { stdout } = await alpagasus(["status"], { cwd: folder.path });
    expect(stdout).toMatch(/next {2}alpagasus replies, since no row has a score/);
  });

  test("of a column without numbers is another column", async () => {
    using folder = tempFolder();
    folder.write("rows.json", rows);
    const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "column:topic"], { cwd: folder.path });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(
        /rows\.json:\d+ \(row 1\): expected topic to be a number for --judge column:topic, got "x", and no number in any row/,
      ),
    ]);
    expect(() => readFileSync(`${folder.path}/runs/default/ratings.jsonl`)).toThrow(/ENOENT/);
  });
});
