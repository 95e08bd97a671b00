import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { TrainSummary } from "../../src/run/records/training.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";

test("SmolLM2 learns from 64 rows by LoRA, is served, and answers five of Vicuna's prompts", async () => {
  using folder = tempFolder();
  const sample = fileURLToPath(new URL("../../samples/alpaca-2000.json", import.meta.url));
  await prepare(folder.path, ["rate", sample], ["select", "--top", "64"]);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path, env: pythonEnvironment });
    expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
    return JSON.parse(stdout) as unknown;
  };
  const trained = (await run("train", "--recipe", "laptop")) as TrainSummary;
  expect([trained.rows, trained.steps]).toEqual([64, 8]);
  expect(trained.checks.filter(({ held }) => !held)).toEqual([]);
  const args = ["--model", "selected", "--tests", "vicuna", "--limit", "5"];
  const answered = (await run("generate", ...args)) as AnswersSummary;
  const answers = parseLines<{ instruction: string; output: string; state: string }>(
    readFileSync(`${folder.path}/runs/default/answers/selected.jsonl`, "utf8"),
  );
  expect(answers).toHaveLength(5);
  for (const { output } of answers) expect(output.length).toBeGreaterThan(20);
  const { server, calls, sets } = answered;
  console.log(
    [
      `base made and trained in ${seconds(trained.wallMs)} s, of it training ${seconds(trained.trainMs)} s on ${trained.tokens} tokens; loss ${trained.lossCurve[0]!.loss.toFixed(3)} to ${trained.finalLoss!.toFixed(3)}`,
      `server ready after ${seconds(server!.startMs)} s; ${calls!.outputTokens} tokens of five answers (${sets[0]!.cut} cut) in ${seconds(answered.wallMs - server!.startMs)} s; ${server!.parity}`,
      ...answers.map(({ instruction, output, state }) => `${instruction} → [${state}] ${output.slice(0, 150)}`),
    ].join("\n"),
  );
});

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
