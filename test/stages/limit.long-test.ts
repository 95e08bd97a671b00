import { expect, test } from "vitest";
import type { RateSummary } from "../../src/run/records/rating.ts";
import type { CallPlan } from "../../src/stages/plan-calls.ts";
import { alpagasus, misuse } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { rateRows } from "../helpers/rating.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

test("rate --limit rates some rows for a try; more go on with them, and nothing is paid twice", async () => {
  using folder = tempFolder();
  await using server = await startModelServer();
  const rows = Array.from({ length: 203 }, (_, i) => ({ instruction: `Ask ${i}`, input: "", output: `Say ${i}` }));
  folder.write("rows.json", rows);
  const args = (...more: string[]) => rateRows(server.judge, ...more);
  const rated = async (...more: string[]) => {
    const { code, stdout, stderr } = await alpagasus(args(...more, "--json"), { cwd: folder.path });
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout) as RateSummary;
  };
  const plan = await alpagasus(args("--limit", "20", "--dry-run", "--json"), { cwd: folder.path });
  expect((JSON.parse(plan.stdout) as CallPlan).items).toBe(20);

  const first = await rated("--limit", "20");
  expect(first).toMatchObject({ limit: { rows: 20, of: 203 }, states: { scored: 20 }, coverage: 20 / 203 });
  expect(first.notes[0]).toMatch(
    /^20 of 203 rows were rated, drawn at random; the same command without --limit goes on with the other 183, for about \$0\.0\d+$/,
  );
  expect(server.log.length).toBe(20);
  const select = await alpagasus(["select", "--top", "5"], { cwd: folder.path });
  expect([select.code, select.stdout]).toEqual([3, expect.stringContaining("9.8 % of the rows have a score")]);

  expect((await rated("--limit", "50")).calls).toMatchObject({ made: 30, stored: 20 });
  const fewer = await misuse(args("--limit", "20"), { cwd: folder.path });
  expect([fewer.code, fewer.stderr]).toEqual([
    2,
    expect.stringContaining("runs/default: holds scores of 30 rows that --limit would leave out") as string,
  ]);
  const all = await rated();
  expect([all.limit, all.coverage, all.calls?.made]).toEqual([undefined, 1, 153]);
  expect(server.log.length).toBe(203);

  // also of a rating that was stopped: of its scores, none is dropped
  const other = await startModelServer();
  await using _ = other;
  const stop = args("--run", "runs/stopped", "--budget", "0.002", "--concurrency", "1").with(3, other.judge);
  const stopped = await alpagasus([...stop, "--json"], { cwd: folder.path });
  const { scored = 0 } = (JSON.parse(stopped.stdout) as RateSummary).states;
  expect([stopped.code, scored > 0, scored < 100]).toEqual([4, true, true]);
  const refused = await misuse([...stop, "--limit", "100"], { cwd: folder.path });
  expect(refused.stderr).toMatch(/runs\/stopped: holds scores of \d+ rows? that --limit would leave out/);
});
