import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TrainSummary } from "../../src/run/records/training.ts";
import { alpagasus, startAlpagasus } from "../helpers/command-line.ts";
import { freePort } from "../helpers/free-port.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { startModelServer } from "../helpers/model-server.ts";
import type { TempFolder } from "../helpers/temp-folder.ts";
import { commandOf, startRay, type RayOfTwo } from "./ray-of-two.ts";
import { lossesOf, stepsOf, tinyRun } from "./tiny-run.ts";

let folder: TempFolder;
let cluster: RayOfTwo | undefined;
const at = (model: string) => `${folder.path}/runs/default/models/${model}`;

beforeAll(async () => {
  folder = await tinyRun();
  cluster = await startRay(folder.path);
});
afterAll(async () => {
  await cluster?.stop();
  folder[Symbol.dispose]();
});

const command = (model: string, ...more: string[]) => {
  const training = ["train", "--recipe", "sharded.yaml", "--processes", "2", "--nodes", "2", "--model", model];
  return [...training, "--on", `ray:${cluster!.address}`, "--json", ...more];
};
const options = () => ({ cwd: folder.path, env: pythonEnvironment });

async function expectTrained(model: string, ...more: string[]): Promise<TrainSummary & { said: string }> {
  const { code, stdout, stderr } = await alpagasus(command(model, ...more), options());
  expect([code, stderr.split("\n").filter((line) => /expected|failed/.test(line))]).toEqual([0, []]);
  return { ...(JSON.parse(stdout) as TrainSummary), said: stderr };
}

/** The workers that train, on either machine. */
function workers(): number[] {
  return cluster!.processes().filter((pid) => /ray::(RayTrainWorker|train)/.test(commandOf(pid)));
}

describe("train --on ray:", () => {
  test("trains on two machines as a job, and brings the model here", async () => {
    const summary = await expectTrained("whole");
    expect(summary.steps).toBe(20);
    expect(summary.checks.every(({ held }) => held)).toBe(true);
    expect(summary.said).toMatch(/started the job alpagasus-[0-9a-f]{12}-1 on http/);
    expect(lossesOf(at("whole"))).toHaveLength(20);
    expect(await expectTrained("whole")).toMatchObject({ said: "already trained; showing that training's results\n" });
  });

  test("the same command finds its job again after kill -9, and a lost machine costs no more than the last steps", async () => {
    const storage = `${folder.path}/shared`;
    const args = command("lost", "--epochs", "60", "--storage", storage);
    const started = startAlpagasus(args, options());
    const place = () => readdirSync(storage).find((name) => name.startsWith("lost-"));
    await expect
      .poll(() => existsSync(storage) && place() !== undefined && stepsOf(`${storage}/${place()}`).length)
      .toBeGreaterThan(0);
    started.kill("SIGKILL");
    await started.ended;
    cluster!.killSecond();
    const { code, stdout, stderr } = await alpagasus(args, options());
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/following the job alpagasus-[0-9a-f]{12}-1, which trains it/),
    ]);
    const summary = JSON.parse(stdout) as TrainSummary;
    expect(summary.steps).toBe(300);
    expect(lossesOf(at("lost"))).toHaveLength(300);
    expect(readFileSync(`${at("lost")}/log.txt`, "utf8")).toMatch(/a machine was lost; going on after step [1-9]/);
    await expect.poll(workers).toEqual([]);
    await cluster!.startSecond();
  });

  test("a training that fails says why, and is no machine that was lost", async () => {
    rmSync(`${folder.path}/tiny/model.safetensors`);
    const { code, stderr } = await alpagasus(command("broken"), options());
    expect(code).toBe(1);
    expect(stderr.trim().split("\n").at(-1)).toMatch(
      /log\.txt: the job alpagasus-\S+ on http\S+ .*ray_train\.py: the training failed: /,
    );
    expect(stderr).not.toContain("a machine was lost");
  });

  test("what cannot be is one line, and starts nothing", async () => {
    await using other = await startModelServer();
    const lines = async (...more: string[]) => {
      const { code, stderr } = await alpagasus([...command("none"), ...more], options());
      return [code, stderr.trim()];
    };
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await lines("--on", `ray:${nobody}`)).toEqual([
      2,
      expect.stringContaining(`${nobody}: expected a Ray cluster's dashboard, none answers (connect ECONNREFUSED`),
    ]);
    expect(await lines("--on", `ray:${other.origin}`)).toEqual([2, expect.stringContaining(other.origin)]);
    expect(await lines("--on", "127.0.0.1:8265")).toEqual([2, expect.stringContaining("as in ray:http://head:8265")]);
    expect(await lines("--processes", "8", "--global-batch", "8")).toEqual([
      2,
      "alpagasus: --on: expected a cluster with 8 CPUs, one for each process, got 4 on 2 machines; take --processes 4, or a larger cluster",
    ]);
  });
});
