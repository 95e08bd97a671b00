import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { withoutProviderKeys } from "../../src/keys.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { startModelServer, type ModelServer } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const main = fileURLToPath(new URL("../../dist/bin/alpagasus.js", import.meta.url));

function writeRows(folder: TempFolder, count: number): void {
  folder.write(
    "rows.json",
    Array.from({ length: count }, (_, i) => ({ instruction: `Instruction ${i}`, input: "", output: `Output ${i}` })),
  );
}

const ratingsIn = (folder: TempFolder) =>
  readFileSync(join(folder.path, "runs/default/ratings.jsonl"), "utf8").trim().split("\n");

/** Runs a command through a shell; `$cli` is the command line. */
function shell(script: string, folder: TempFolder): Promise<number | null> {
  const child = spawn("sh", ["-c", script], {
    cwd: folder.path,
    env: { PATH: process.env["PATH"], NO_COLOR: "1", cli: `${process.execPath} ${main}` },
    stdio: "ignore",
  });
  return new Promise((resolve) => child.on("close", resolve));
}

const asked = async (server: ModelServer, count: number) => {
  while (server.log.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("only keys are read from .env: it cannot send them, or the rows, to another server", async () => {
  await using own = await startModelServer();
  await using others = await startModelServer();
  using folder = tempFolder();
  writeRows(folder, 3);
  folder.write(".env", `\ufeffOPENAI_API_KEY=sk-of-the-file\nOPENAI_BASE_URL=${others.origin}/v1\nDATABASE_URL=x\n`);
  const { OPENAI_API_KEY: _, ...env } = own.environment;
  const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "openai:gpt-4o-mini"], {
    cwd: folder.path,
    env,
  });
  expect(code).toBe(0);
  expect([own.log.length, others.log.length]).toEqual([3, 0]);
  expect(stderr).toContain("OPENAI_API_KEY read from .env");
  expect(stderr).toContain("OPENAI_BASE_URL in .env ignored");
  expect(stderr).not.toContain("DATABASE_URL");
  expect(stderr).not.toContain("sk-of-the-file");
});

test("programs that are started get no keys of providers", () => {
  const given = { OPENAI_API_KEY: "a", ALPAGASUS_API_KEY_HOST: "b", GEMINI_API_KEY: "c", HF_TOKEN: "d", PATH: "e" };
  expect(withoutProviderKeys(given)).toEqual({ HF_TOKEN: "d", PATH: "e" });
});

test("a hang-up stops as a termination does: what is in flight is kept", async () => {
  await using server = await startModelServer({ latencyMs: () => 80 });
  using folder = tempFolder();
  writeRows(folder, 200);
  const args = ["rate", "rows.json", "--judge", server.judge, "--concurrency", "8"];
  const running = startAlpagasus(args, { cwd: folder.path });
  await asked(server, 20);
  running.kill("SIGHUP");
  expect((await running.ended).code).toBe(129);
  const before = server.log.length;
  expect((await alpagasus(args, { cwd: folder.path })).code).toBe(0);
  expect(server.log.length).toBe(200); // nothing was asked twice
  expect(before).toBeLessThan(200);
});

test("a termination waits for --grace seconds alone, and books what may come after", async () => {
  await using server = await startModelServer({ answer: () => ({ kind: "hang" }) });
  using folder = tempFolder();
  writeRows(folder, 20);
  const args = ["rate", "rows.json", "--judge", server.judge, "--concurrency", "4", "--grace", "0.2", "--no-check"];
  const running = startAlpagasus([...args, "--price", "1/1", "--json"], { cwd: folder.path });
  await asked(server, 4);
  running.kill("SIGTERM");
  const { code, stdout } = await running.ended;
  expect(code).toBe(143);
  expect(JSON.parse(stdout)).toMatchObject({ states: { pending: 20 }, calls: { stopped: "interrupted" } });
  expect((JSON.parse(stdout) as { calls: { runPerhapsPaidUsd: number } }).calls.runPerhapsPaidUsd).toBeGreaterThan(0);
});

test("a reader that closes the pipe ends no run", async () => {
  await using server = await startModelServer({ latencyMs: () => 40 });
  using folder = tempFolder();
  writeRows(folder, 120);
  await shell(`$cli rate rows.json --judge ${server.judge} --concurrency 2 2>&1 | true`, folder);
  await asked(server, 120);
  const path = join(folder.path, "runs/default/ratings.jsonl");
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ratingsIn(folder)).toHaveLength(120);
});
