import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { uvArguments } from "../../src/python/uv.ts";
import type { ExperimentResult } from "../../src/run/records/experiment.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";

const here = fileURLToPath(new URL("./", import.meta.url));

test("a small experiment, killed while it trains and while its servers start, comes to its report", async () => {
  using folder = tempFolder();
  const sample = fileURLToPath(new URL("../../samples/alpaca-2000.json", import.meta.url));
  const rows = JSON.parse(readFileSync(sample, "utf8")) as { instruction: string; input: string }[];
  folder.write("rows.json", rows.slice(0, 120));
  folder.write("heldout.json", rows.slice(115, 135)); // five of them are rows of the data
  folder.write(
    "prompts.json",
    rows.slice(1000, 1006).map(({ instruction, input }, id) => ({ id, set: "six", instruction, input })),
  );
  const lora = { r: 8, alpha: 16, dropout: 0, targets: ["q_proj", "v_proj"] };
  const training = { name: "small", version: 1, description: "for the tests", source: "made up", base: "tiny" };
  const settings = { method: "lora", sharding: "none", template: "alpaca", epochs: 2, learning_rate: 0.001 };
  const shape = {
    global_batch: 4,
    max_length: 512,
    schedule: "cosine",
    warmup: 0.03,
    weight_decay: 0,
    precision: "fp32",
  };
  folder.write(
    "small.yaml",
    stringify({ ...training, ...settings, ...shape, lora, hardware: { gpu: "none", gpus: 0 } }),
  );
  folder.write(
    "recipe.yaml",
    stringify({
      name: "experiment",
      data: "rows.json",
      rate: { judge: "student" },
      arms: { selected: { top: 30 }, random: { method: "random" } },
      train: { recipe: "small.yaml" },
      generate: { tests: ["prompts.json"], max_output_tokens: 20 },
      evaluate: { loss: "heldout.json" },
      compare: { judges: ["student"] },
    }),
  );
  folder.write("tiny-rows.json", rows.slice(0, 40));
  execFileSync("uv", uvArguments(`${here}tiny.py`, ["tiny-rows.json", "tiny"]), {
    cwd: folder.path,
    env: { ...process.env, HF_HUB_OFFLINE: "1" },
    stdio: "ignore",
  });
  const at = (path: string) => `${folder.path}/runs/experiment/${path}`;
  const processesThere = () =>
    readdirSync("/proc").filter((entry) => {
      try {
        return /^\d+$/.test(entry) && readlinkSync(`/proc/${entry}/cwd`).startsWith(folder.path);
      } catch {
        return false; // it has ended, or is somebody else's
      }
    });
  const options = { cwd: folder.path, env: pythonEnvironment };
  const has = (path: string, word: string) => existsSync(at(path)) && readFileSync(at(path), "utf8").includes(word);
  for (const isReached of [
    () => has("models/selected/log.txt", "'loss'"),
    () => existsSync(at("served/selected.log")),
  ]) {
    const running = startAlpagasus(["run", "recipe.yaml"], options);
    await expect.poll(isReached, { timeout: 300_000 }).toBe(true);
    running.kill("SIGKILL");
    await running.ended;
    await expect.poll(processesThere, { timeout: 40_000 }).toEqual([]);
  }
  const { code, stdout, stderr } = await alpagasus(["run", "recipe.yaml", "--json"], options);
  expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
  const { result } = JSON.parse(stdout) as { result: ExperimentResult };
  expect(result.matches).toMatchObject([{ a: "selected", b: "random", pooled: { pairs: 6 } }]);
  expect(result.arms.map(({ arm, rows: size, trainings }) => [arm, size, trainings.length])).toEqual([
    ["selected", 30, 1],
    ["random", 30, 1],
  ]);
  expect(result.losses!.models.map(({ model, items }) => [model, items])).toEqual([
    ["selected", 15],
    ["random", 15],
  ]);
  for (const { loss } of result.losses!.models) expect(loss.value).toBeGreaterThan(0);
  expect(result.losses!.differences).toMatchObject([{ a: "selected", b: "random", items: 15, trainings: 1 }]);
  expect(existsSync(at("report.html"))).toBe(true);
  const again = await alpagasus(["run", "recipe.yaml", "--json"], options);
  expect((JSON.parse(again.stdout) as { result: ExperimentResult }).result).toEqual(result);
  console.log(
    `${result.sentence} ${result.arms.map(({ arm, minutes }) => `${arm} ${minutes!.toFixed(2)} min`).join(", ")}`,
  );
}, 2_400_000); // three starts of a trainer and its servers, on whatever machine
