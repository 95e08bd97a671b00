import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { pythonFolder } from "../../src/python/uv.ts";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { ExperimentResult } from "../../src/run/records/experiment.ts";
import type { TrainSummary } from "../../src/run/records/training.ts";
import { alpagasus, alpagasusPath, startAlpagasus } from "../helpers/command-line.ts";
import { freePort } from "../helpers/free-port.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import type { TempFolder } from "../helpers/temp-folder.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { commandOf, startRay, type RayOfTwo } from "./ray-of-two.ts";
import { lossesOf, stepsOf, tinyRun } from "./tiny-run.ts";

let folder: TempFolder;
let cluster: RayOfTwo | undefined;
const at = (model: string) => `${folder.path}/runs/default/models/${model}`;

beforeAll(async () => {
  folder = await tinyRun();
  copyFileSync(`${pythonFolder}/alpaca.jinja`, `${folder.path}/tiny/chat_template.jinja`);
  folder.write(
    "tests.json",
    Array.from({ length: 3_000 }, (_, i) => ({ instruction: `Name thing ${i}.` })),
  );
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
    cpSync(`${folder.path}/tiny`, `${folder.path}/broken`, { recursive: true });
    rmSync(`${folder.path}/broken/model.safetensors`);
    const { code, stderr } = await alpagasus(command("broken", "--base", "broken"), options());
    expect(code).toBe(1);
    expect(stderr.trim().split("\n").at(-1)).toMatch(
      /log\.txt: the job alpagasus-\S+ on http\S+ .*ray_train\.py: the training failed: /,
    );
    expect(stderr).not.toContain("a machine was lost");
  });

  test("what cannot be is one line, and starts nothing", async () => {
    await using other = await startModelServer();
    const lines = async (on: string, ...more: string[]) => {
      const training = ["train", "--recipe", "sharded.yaml", "--nodes", "2", "--model", "none", "--json", "--on", on];
      const { code, stderr } = await alpagasus([...training, ...more], options());
      return [code, stderr.trim()];
    };
    const two = ["--processes", "2"];
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await lines(`ray:${nobody}`, ...two)).toEqual([
      2,
      expect.stringContaining(`${nobody}: expected a Ray cluster's dashboard, none answers (connect ECONNREFUSED`),
    ]);
    expect(await lines(`ray:${other.origin}`, ...two)).toEqual([2, expect.stringContaining(other.origin)]);
    expect(await lines("127.0.0.1:8265", ...two)).toEqual([2, expect.stringContaining("as in ray:http://head:8265")]);
    expect(await lines(`ray:${cluster!.address}`, "--processes", "8", "--global-batch", "8")).toEqual([
      2,
      "alpagasus: --on: expected a cluster with 8 CPUs, one for each process, got 4 on 2 machines; take --processes 4, or a larger cluster",
    ]);
  });
});

const generate = (...more: string[]) => {
  const asked = ["generate", "--model", "tiny", "--tests", "tests.json", "--max-output-tokens", "8", "--json"];
  return [...asked, "--on", `ray:${cluster!.address}`, ...more];
};

/** Model servers of this machine that this test's model has. */
function servers(): string[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes("transformers serve") && line.includes("alpagasus-models"));
}

/** Rows of a table in one of the stores of the working folder. */
function countRows(store: string, table: string): number {
  const path = `${folder.path}/.alpagasus/${store}.sqlite`;
  if (!existsSync(path)) return 0;
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()!["n"]);
  } catch {
    return 0; // it is being made
  } finally {
    database.close();
  }
}

const answersInStore = () => countRows("calls", "calls");

async function expectNoServers(): Promise<void> {
  await expect.poll(servers).toEqual([]);
  const running = async () => {
    const jobs = (await (await fetch(`${cluster!.address}/api/jobs/`)).json()) as { status: string }[];
    return jobs.filter(({ status }) => status === "RUNNING" || status === "PENDING").length;
  };
  await expect.poll(running).toBe(0);
}

describe("a model served on a Ray cluster", () => {
  test("answers by two servers; found again after kill -9, and with one machine lost, no prompt is left out or asked twice", async () => {
    const started = startAlpagasus(generate("--replicas", "2"), options());
    await expect.poll(answersInStore).toBeGreaterThan(0);
    started.kill("SIGKILL");
    await started.ended;
    const again = startAlpagasus(generate("--replicas", "2"), options());
    const before = answersInStore();
    await expect.poll(answersInStore).toBeGreaterThan(before + 50);
    cluster!.killSecond();
    const { code, stdout } = await again.ended;
    expect(code).toBe(0);
    const { sets, calls } = JSON.parse(stdout) as AnswersSummary;
    expect(sets).toMatchObject([{ prompts: 3_000, failed: 0, refused: 0, pending: 0 }]);
    expect(calls!.made).toBeLessThan(3_000); // what the first command got is in the store
    const log = readFileSync(`${folder.path}/runs/default/served/tiny.log`, "utf8");
    expect(new Set(log.match(/job alpagasus-serve-[\w-]+/g)).size).toBe(1);
    await expectNoServers();
    await cluster!.startSecond();
  });

  test("judges, by serve -- COMMAND, whose exit code it returns; nothing is left", async () => {
    folder.write("few.json", [{ instruction: "Say hi", input: "", output: "hi" }]);
    const inside = `"$NODE" "$ALPAGASUS" rate few.json --judge "$ALPAGASUS_SERVED" --run runs/judged --no-check --max-output-tokens 4`;
    const { code, stderr } = await alpagasus(
      ["serve", "tiny", "--on", `ray:${cluster!.address}`, "--", "sh", "-c", `${inside}; echo "ended with $?"; exit 7`],
      { ...options(), env: { ...pythonEnvironment, NODE: process.execPath, ALPAGASUS: alpagasusPath } },
    );
    expect(stderr).toContain("as a judge: --judge");
    expect(code).toBe(7);
    const ratings = readFileSync(`${folder.path}/runs/judged/ratings.jsonl`, "utf8");
    expect(ratings).toMatch(/"state":"(unparsable|truncated)"/); // asked and answered: it is no judge
    await expectNoServers();
  });

  test("measures rows on two machines, one of them lost, as this machine does", async () => {
    folder.write(
      "many.json",
      Array.from({ length: 2_000 }, (_, i) => ({
        instruction: `Name thing ${i} that is red.`,
        input: "",
        output: "A red hat and so on ".repeat(1 + (i % 9)),
      })),
    );
    const rate = (run: string, ...more: string[]) =>
      startAlpagasus(["rate", "many.json", "--judge", "perplexity:tiny", "--run", run, ...more], options());
    const started = rate("runs/far", "--on", `ray:${cluster!.address}`, "--replicas", "2");
    await expect.poll(() => countRows("likelihoods", "likelihoods")).toBeGreaterThan(0);
    cluster!.killSecond();
    expect(await started.ended).toMatchObject({ code: 0 });
    rmSync(`${folder.path}/.alpagasus/likelihoods.sqlite`); // what was measured there
    expect(await rate("runs/near").ended).toMatchObject({ code: 0 });
    const scores = (run: string) =>
      readFileSync(`${folder.path}/${run}/ratings.jsonl`, "utf8")
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { score: number }).score);
    const near = scores("runs/near");
    expect(near).toHaveLength(2_000);
    for (const [row, score] of scores("runs/far").entries()) expect(score).toBeCloseTo(near[row]!, 3);
    await expectNoServers();
    await cluster!.startSecond();
  });

  test("an experiment trains its arms side by side there, and lets them answer", async () => {
    folder.write("training.yaml", stringify({ ...tinyRecipe, template: "alpaca" }));
    folder.write(
      "experiment.yaml",
      stringify({
        name: "far-arms", // runs/far holds ratings of the test before
        on: { ray: cluster!.address, storage: `${folder.path}/shared` },
        data: "rows.json",
        rate: { judge: "student" },
        scores: { surprise: { judge: "perplexity:tiny" } },
        arms: { surprising: { top: 8, by: "surprise" }, random: { method: "random" } },
        train: { recipe: "training.yaml" },
        generate: { tests: ["six.json"], max_output_tokens: 8 },
        compare: { judges: ["student"] },
      }),
    );
    folder.write(
      "six.json",
      Array.from({ length: 6 }, (_, i) => ({ id: i, set: "six", instruction: `Tell colour ${i}` })),
    );
    const planned = await alpagasus(["run", "experiment.yaml", "--dry-run"], options());
    expect([planned.code, planned.stderr]).toEqual([0, ""]);
    expect(planned.stdout).toMatch(/train random +due +\d+ steps, 1 CPU /);
    expect(planned.stdout).toContain("up to 4 CPUs at a time: 5 tasks, each as soon as it has room");
    const { code, stdout, stderr } = await alpagasus(["run", "experiment.yaml", "--json"], options());
    expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
    const begun = (task: string) => stderr.indexOf(`${task}: started (`);
    const done = (task: string) => stderr.indexOf(`${task}: done in`);
    expect(begun("train random")).toBeLessThan(done("train surprising")); // side by side
    const { result } = JSON.parse(stdout) as { result: ExperimentResult };
    expect(result.arms.map(({ arm, trainings }) => [arm, trainings.length])).toEqual([
      ["surprising", 1],
      ["random", 1],
    ]);
    expect(result.matches.map(({ pooled }) => pooled.pairs)).toEqual([6]);
    await expectNoServers();
  });

  test("what cannot be is one line, and leaves nothing", async () => {
    const lastLine = async (...args: string[]) => {
      const { code, stderr } = await alpagasus(args, options());
      return [code, stderr.trim().split("\n").at(-1)];
    };
    expect(await lastLine("serve", "tiny", "--on", `ray:${cluster!.address}`, "--replicas", "9")).toEqual([
      2,
      "alpagasus: --on: expected a cluster with 9 CPUs for 9 servers, got 4 on 2 machines; take --replicas 4, or a larger cluster",
    ]);
    expect(await lastLine("generate", "--model", "tiny", "--replicas", "2")).toEqual([
      2,
      "alpagasus: --replicas: expected --on with it, got none; --on ray:http://HEAD:8265",
    ]);
    folder.write("damaged/config.json", { model_type: "llama" });
    const [code, line] = await lastLine("serve", "damaged", "--on", `ray:${cluster!.address}`);
    expect([code, line]).toEqual([1, expect.stringMatching(/ray_serve\.py: the server could not be started: |Error/)]);
    await expectNoServers();
  });
});
