import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { alpagasus } from "../helpers/command-line.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { descendants, killAll } from "../helpers/descendants.ts";
import { freePort } from "../helpers/free-port.ts";
import type { TempFolder } from "../helpers/temp-folder.ts";
import { lossesOf, stepsOf, tinyRun } from "./tiny-run.ts";

/* Several machines, as processes of this one that see one folder: by plain variables, and by Slurm where it is installed. */

let folder: TempFolder;
const at = (model: string) => `${folder.path}/runs/default/models/${model}`;
const environment = { PATH: process.env["PATH"]!, ...pythonEnvironment };

beforeAll(async () => {
  folder = await tinyRun();
});
afterAll(() => folder[Symbol.dispose]());

async function writeFolder(model: string, ...args: string[]): Promise<void> {
  const command = ["train", "--recipe", "sharded.yaml", "--model", model, "--dry-run", ...args];
  const { code, stderr } = await alpagasus(command, { cwd: folder.path, env: pythonEnvironment });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}

interface Machine {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; said: string }>;
}

/** Starts `run.sh` as a machine would. */
function startMachine(place: string, variables: Record<string, string>): Machine {
  const child = spawn("sh", ["run.sh"], { cwd: place, env: { ...environment, ...variables } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (said += text.toString()));
  return { process: child, ended: once(child, "close").then(([code]) => ({ code: code as number | null, said })) };
}

async function startBoth(model: string): Promise<readonly [Machine, Machine]> {
  const shared = { NNODES: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: String(await freePort()) };
  const start = (rank: number) => startMachine(at(model), { ...shared, NODE_RANK: String(rank) });
  return [start(0), start(1)];
}

describe("two machines by run.sh alone", () => {
  test("learn as one does with two processes, step for step", async () => {
    await writeFolder("one", "--processes", "2");
    expect((await startMachine(at("one"), {}).ended).code).toBe(0);
    await writeFolder("two", "--processes", "2", "--nodes", "2");
    const [first, second] = await startBoth("two");
    expect([(await first.ended).code, (await second.ended).code]).toEqual([0, 0]);
    expect(lossesOf(at("two"))).toHaveLength(20);
    expect(lossesOf(at("two"))).toEqual(lossesOf(at("one")));
  });

  test("what they trained is taken as it is: no step is made again, and nothing is installed", async () => {
    const command = ["train", "--recipe", "sharded.yaml", "--processes", "2", "--model", "two", "--json"];
    const { code, stdout } = await alpagasus(command, { cwd: folder.path, env: { PATH: "/usr/bin:/bin" } });
    expect(code).toBe(0);
    const summary = JSON.parse(stdout) as { steps: number; trainMs: number; checks: { held: boolean }[] };
    expect(summary.steps).toBe(20);
    expect(summary.trainMs).toBeGreaterThan(0);
    expect(summary.checks.every(({ held }) => held)).toBe(true);
  });

  test("killed in the middle and started again, they go on from a checkpoint", async () => {
    await writeFolder("killed", "--processes", "2", "--nodes", "2", "--epochs", "40");
    const [first, second] = await startBoth("killed");
    await expect.poll(() => stepsOf(at("killed")).length).toBeGreaterThan(0);
    killAll(descendants(second.process.pid!));
    killAll(descendants(first.process.pid!)); // as a scheduler does; by itself torchrun waits for the others for minutes
    await first.ended;
    const before = stepsOf(at("killed")).at(-1)!;
    expect(before).toBeLessThan(200);
    const again = await startBoth("killed");
    const [{ code, said }] = await Promise.all([again[0].ended, again[1].ended]);
    expect(code).toBe(0);
    expect(lossesOf(at("killed"))).toHaveLength(200);
    expect(said.match(/'loss'/g)!.length).toBeLessThanOrEqual(200 - before); // the others were not made again
    const checks = JSON.parse(readFileSync(`${at("killed")}/checks.json`, "utf8")) as { held: boolean }[];
    expect(checks.every(({ held }) => held)).toBe(true);
  });

  test("folders that are not the same one end it before the first step", async () => {
    await writeFolder("apart", "--processes", "2", "--nodes", "2");
    cpSync(at("apart"), `${folder.path}/elsewhere/apart`, { recursive: true });
    cpSync(`${folder.path}/tiny`, `${folder.path}/elsewhere/tiny`, { recursive: true });
    const shared = { NNODES: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: String(await freePort()) };
    const first = startMachine(at("apart"), { ...shared, NODE_RANK: "0" });
    const second = startMachine(`${folder.path}/elsewhere/apart`, { ...shared, NODE_RANK: "1" });
    const ended = await Promise.all([first.ended, second.ended]);
    expect(ended.every(({ code }) => code !== 0)).toBe(true);
    expect(ended[0].said).toContain("expected the folder on storage that all machines share");
    expect(stepsOf(at("apart"))).toEqual([]);
  });
});

const launch = fileURLToPath(new URL("../../python/launch.py", import.meta.url));

/** What `launch.py` reads from a scheduler's variables. `scontrol` is a stand-in, which tells the names it is asked for. */
function placeBy(variables: Record<string, string>): unknown {
  const bin = `${folder.path}/bin`;
  mkdirSync(bin, { recursive: true });
  writeFileSync(`${bin}/scontrol`, "#!/bin/sh\necho node7\necho node8\n", { mode: 0o755 });
  const code = `import json,sys; sys.path.insert(0, ${JSON.stringify(fileURLToPath(new URL("../../python", import.meta.url)))}); import launch; print(json.dumps(launch.read_place()))`;
  const { status, stdout, stderr } = spawnSync(
    "uv",
    ["run", "--no-project", "--python", "3.11", "python", "-c", code],
    {
      env: { ...environment, PATH: `${bin}:${environment.PATH}`, ...variables },
      encoding: "utf8",
    },
  );
  return status === 0 ? (JSON.parse(stdout) as unknown) : stderr.trim().split("\n").at(-1);
}

describe("a machine's place", () => {
  const slurm = { SLURM_JOB_ID: "41007", SLURM_JOB_NUM_NODES: "2" };
  const step = { SLURM_STEP_ID: "0", SLURM_STEP_NODELIST: "node[7-8]", SLURM_STEP_NUM_NODES: "2", SLURM_NODEID: "1" };
  test.each([
    [{}, [1, 0, "127.0.0.1", 29500, "nothing"]],
    [
      { PET_NNODES: "2", PET_NODE_RANK: "1", PET_MASTER_ADDR: "a-0", PET_MASTER_PORT: "29400" },
      [2, 1, "a-0", 29400, "PET_NNODES"],
    ],
    [
      { SKYPILOT_NUM_NODES: "2", SKYPILOT_NODE_RANK: "1", SKYPILOT_NODE_IPS: "10.0.0.1\n10.0.0.2" },
      [2, 1, "10.0.0.1", 29500, "SKYPILOT_NUM_NODES"],
    ],
    [{ ...slurm, ...step, SLURM_STEP_NUM_TASKS: "2" }, [2, 1, "node7", 21007, "SLURM_STEP_NUM_NODES"]],
    [
      slurm,
      "launch.py: SLURM_JOB_NUM_NODES: expected the script once on each of 2 machines, got it on the first alone; start it with: srun --ntasks-per-node=1 sh run.sh",
    ],
    [
      { ...slurm, ...step, SLURM_STEP_NUM_TASKS: "16" },
      "launch.py: SLURM_STEP_NUM_TASKS: expected one task on each of 2 machines, got 16 in all; start it with: srun --ntasks-per-node=1 sh run.sh",
    ],
    [
      { NNODES: "2", NODE_RANK: "2", MASTER_ADDR: "a" },
      "launch.py: NNODES: expected a rank under the number of machines, 2, got 2; number them from 0",
    ],
    [
      { NNODES: "2", NODE_RANK: "0" },
      "launch.py: NNODES: expected the first machine's address beside 2 machines, got none; set MASTER_ADDR",
    ],
    [{ NNODES: "two" }, "launch.py: NNODES: expected a whole number from 1, got 'two'"],
  ])("%j", (variables, place) => {
    expect(placeBy(variables)).toEqual(place);
  });

  test("another number of machines than can share the processes is one line", async () => {
    await writeFolder("odd", "--processes", "2");
    const { status, stderr } = spawnSync("uv", ["run", "--no-project", "--python", "3.11", "python", launch], {
      cwd: at("odd"),
      env: { ...environment, NNODES: "3", NODE_RANK: "0", MASTER_ADDR: "127.0.0.1" },
      encoding: "utf8",
    });
    expect([status, stderr.trim().split("\n").at(-1)]).toEqual([
      2,
      "launch.py: NNODES: expected machines that 2 processes can be shared among evenly, got 3; start as many as divide 2",
    ]);
  });
});

test("job files are what the schedulers' own packages read", async () => {
  await writeFolder("Paper_7B", "--processes", "4", "--nodes", "2");
  const script = fileURLToPath(new URL("job-files.py", import.meta.url));
  const packages = ["kubeflow-trainer-api==2.3.0", "skypilot==0.10.3", "setuptools<81"].flatMap((name) => [
    "--with",
    name,
  ]);
  const command = [
    "run",
    "--no-progress",
    "--no-project",
    "--python",
    "3.11",
    ...packages,
    "python",
    script,
    at("Paper_7B"),
  ];
  const told = JSON.parse(
    execFileSync("uv", command, { encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "ignore"] }),
  ) as {
    lost: string[];
    trainer: { numNodes: number; numProcPerNode: number };
    task: { num_nodes: number };
  };
  expect(told).toMatchObject({ lost: [], trainer: { numNodes: 2, numProcPerNode: 2 }, task: { num_nodes: 2 } });
  const { status } = spawnSync("bash", ["-n", "job.sbatch"], { cwd: at("Paper_7B") });
  expect(status).toBe(0);
});

const slurmPrograms = ["munged", "slurmctld", "slurmd", "sbatch"];
const hasSlurm = slurmPrograms.every(
  (name) => spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin command -v ${name}`]).status === 0,
);

test.skipIf(!hasSlurm || process.getuid?.() !== 0)("job.sbatch trains under a Slurm of one machine", async () => {
  await using slurm = await startSlurm(`${folder.path}/slurm`);
  await writeFolder("batch", "--processes", "2");
  const { status, stderr } = spawnSync("sbatch", ["--wait", "job.sbatch"], {
    cwd: at("batch"),
    env: { ...environment, ...slurm.variables },
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(lossesOf(at("batch"))).toHaveLength(20);
  expect(readFileSync(`${at("batch")}/slurm.log`, "utf8")).toContain("alpagasus: done");
});

/** Starts munge, Slurm's controller and its daemon on this machine, on ports of their own. */
async function startSlurm(place: string): Promise<AsyncDisposable & { readonly variables: Record<string, string> }> {
  const name = hostname().split(".")[0]!;
  for (const part of ["spool", "state", "munge"]) mkdirSync(`${place}/${part}`, { recursive: true });
  writeFileSync(`${place}/munge/key`, "k".repeat(64), { mode: 0o600 });
  const socket = `${place}/munge/socket`;
  const settings = [
    "ClusterName=test",
    `SlurmctldHost=${name}(127.0.0.1)`,
    "AuthType=auth/munge",
    `AuthInfo=socket=${socket}`,
    "SlurmUser=root",
    `StateSaveLocation=${place}/state`,
    `SlurmdSpoolDir=${place}/spool`,
    `SlurmctldPidFile=${place}/slurmctld.pid`,
    `SlurmdPidFile=${place}/slurmd.pid`,
    `SlurmctldPort=${await freePort()}`,
    `SlurmdPort=${await freePort()}`,
    "ProctrackType=proctrack/linuxproc",
    "TaskPlugin=task/none",
    "SelectType=select/cons_tres",
    "MailProg=/bin/true",
    `SlurmctldLogFile=${place}/slurmctld.log`,
    `SlurmdLogFile=${place}/slurmd.log`,
    `NodeName=${name} NodeAddr=127.0.0.1 CPUs=2`,
    "PartitionName=all Nodes=ALL Default=YES State=UP",
  ];
  writeFileSync(`${place}/slurm.conf`, `${settings.join("\n")}\n`);
  const variables = { SLURM_CONF: `${place}/slurm.conf`, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const started: ChildProcess[] = [];
  const start = (command: string, ...args: string[]) =>
    started.push(spawn(command, args, { env: { ...environment, ...variables }, stdio: "ignore" }));
  start(
    "munged",
    "--foreground",
    "--force",
    `--key-file=${place}/munge/key`,
    `--socket=${socket}`,
    `--pid-file=${place}/munge/pid`,
    `--seed-file=${place}/munge/seed`,
    `--log-file=${place}/munge/log`,
  );
  start("slurmctld", "-D");
  start("slurmd", "-D");
  const isIdle = () =>
    spawnSync("sinfo", ["-h", "-o", "%T"], { env: { ...environment, ...variables }, encoding: "utf8" }).stdout.trim();
  await expect.poll(isIdle).toBe("idle");
  return {
    variables,
    async [Symbol.asyncDispose]() {
      for (const child of started.toReversed()) {
        if (child.exitCode !== null) continue;
        child.kill("SIGTERM");
        await once(child, "exit");
      }
    },
  };
}
