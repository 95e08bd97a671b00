import { mkdirSync, symlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const rows = Array.from({ length: 30 }, (_, i) => ({ instruction: `Ask ${i}`, output: `Say ${i}`, s: i % 5 }));

test("a dry run tells what is certain from what may be, and what was paid in all", async () => {
  using folder = tempFolder();
  await using server = await startModelServer();
  folder.write("rows.json", rows);
  const cwd = folder.path;
  const recipe = (rubric: string) =>
    folder.write(
      "r.yaml",
      `name: r
data: rows.json
rate: { judge: "${server.judge}", rubric: ${rubric}, check: false }
scores: { other: { judge: "${server.judge}", rubric: ${rubric}, check: false } }
prices: { "${server.judge}": { input: 1, output: 1 } }
arms: { best: { top: 5, by: score + other } }
`,
    );
  recipe("alpagasus-accuracy");
  expect(await alpagasus(["run", "r.yaml"], { cwd })).toMatchObject({
    code: 0,
    stdout: expect.not.stringContaining("in all") as string,
  });
  recipe("alpagasus-helpfulness");
  const plan = await alpagasus(["run", "r.yaml", "--dry-run", "--json"], { cwd });
  const { tasks } = JSON.parse(plan.stdout) as { tasks: { task: string; state: { state: string } }[] };
  expect(tasks.map(({ task, state }) => [task, state.state])).toEqual([
    ["rate", "due"],
    ["score other", "due"], // its own question has changed
    ["select best", "waits"],
    ["report", "due"],
  ]);
  const only = await alpagasus(["run", "r.yaml", "--only", "select", "--dry-run"], { cwd });
  expect(only.stdout).toMatch(/rate +left out/);
  const end = await alpagasus(["run", "r.yaml"], { cwd });
  expect([end.code, end.stdout]).toEqual([0, expect.stringMatching(/money .*; this run has paid \$\d\.\d+ in all/)]);
  const report = await alpagasus(["report", "--run", "runs/r", "--format", "json"], { cwd });
  const { stages } = JSON.parse(report.stdout) as { stages: { stage: string; name: string; paidUsd?: number }[] };
  expect(stages.filter(({ stage }) => stage === "rate").map(({ name }) => name)).toEqual(["rows.json", "other"]);
});

test("a run that is reached by a link finds its data from everywhere", async () => {
  using folder = tempFolder();
  const cwd = folder.path;
  mkdirSync(`${cwd}/deep/a/b`, { recursive: true });
  symlinkSync("deep/a/b", `${cwd}/link`);
  folder.write("rows.json", rows);
  await prepare(cwd, ["rate", "rows.json", "--judge", "column:s", "--run", "link/run"]);
  for (const [run, at] of [
    ["link/run", cwd],
    [`${cwd}/deep/a/b/run`, "/"],
    ["run", `${cwd}/link`],
  ] as const) {
    await prepare(at, ["select", "--top", "3", "--run", run]);
    const { stdout } = await alpagasus(["status", "--run", run], { cwd: at });
    expect(stdout).not.toContain("missing");
  }
});
