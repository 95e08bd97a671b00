import { hash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp } from "node:fs/promises";
import { basename, isAbsolute, join, resolve } from "node:path";
import { followJob, type EndedJob } from "../cluster/follow-job.ts";
import { mostSentBytes, packFiles, readFiles } from "../cluster/package.ts";
import { RayCluster } from "../cluster/ray.ts";
import type { RayJob } from "../cluster/ray-job.ts";
import { PythonError, RunError, UsageError } from "../errors.ts";
import { listFiles } from "../files/list-files.ts";
import { formatCount } from "../format.ts";
import { describeFailure } from "../python/failure.ts";
import { openPhaseReader } from "../python/uv.ts";
import { shellWord } from "../shell-word.ts";
import { trainerAdvice } from "./advice.ts";
import { readMetrics } from "./metrics.ts";
import type { TrainingPlan } from "./plan-training.ts";
import { isTrained, type RunTrainingOptions } from "./run-training.ts";
import type { TrainingFolder } from "./training-folder.ts";

export interface RunOnRayOptions extends RunTrainingOptions {
  /** The address of the cluster's dashboard. */
  readonly address: string;
  /** A folder on storage that the cluster's machines share; the training's own folder when left out. */
  readonly storage?: string | undefined;
  /** Asked when the user interrupts: whether the job is stopped, too. It goes on when left out. */
  readonly shouldStop?: (() => Promise<boolean>) | undefined;
  /** Called with what happens to the job, a line each. */
  readonly onNote?: ((note: string) => void) | undefined;
}

const notSent = new Set([
  "output",
  "tokens",
  "log.txt",
  "attempts.json",
  "checks.json",
  "rows.json",
  "runtime.json",
  "training.pid",
  "slurm.log",
  ".ray",
]);

/**
 * Trains a folder as a job of a Ray cluster. A job of the same training that runs there, or has ended well, is taken for it.
 *
 * @throws RunError when the cluster cannot be asked or is too small, or the model was written where this machine does not see it;
 *   PythonError with the error from the log when the training fails
 */
export async function runOnRay(
  folder: TrainingFolder,
  plan: TrainingPlan,
  trainingHash: string,
  options: RunOnRayOptions,
): Promise<void> {
  if (options.storage !== undefined && (!isAbsolute(options.storage) || /^\w+:\/\//.test(options.storage)))
    throw new UsageError(
      `--storage: expected the absolute path of a folder that all machines of the cluster see, got ${JSON.stringify(options.storage)}`,
    );
  const cluster = await RayCluster.open(options.address, options.signal);
  const name = basename(folder.folder);
  const storage =
    options.storage === undefined
      ? resolve(folder.folder)
      : join(options.storage, `${name}-${trainingHash.slice(0, 12)}`);
  const metadata = { alpagasus: "train", hash: trainingHash, storage };
  const isSame = ({ metadata: theirs }: RayJob) =>
    Object.entries(metadata).every(([key, value]) => theirs[key] === value);
  const jobs = (await cluster.jobs()).filter(isSame);
  const job = jobs.find(({ state }) => state === "running" || state === "waiting");
  const isElsewhere = options.storage !== undefined && !existsSync(join(storage, "training.json"));
  const isDone = jobs[0]?.state === "succeeded" && (isElsewhere || isTrained(storage));
  let id = job?.id ?? (isDone ? jobs[0]!.id : undefined);
  if (job) options.onNote?.(`following the job ${job.id}, which trains it on ${options.address} already`);
  if (id === undefined) {
    await expectRoom(cluster, plan);
    const workingDir = await cluster.send(pack(folder));
    id = await cluster.submit({
      id: `alpagasus-${hash("sha256", JSON.stringify(metadata)).slice(0, 12)}-${jobs.length + 1}`,
      entrypoint: `python ray_train.py ${shellWord(storage)}`,
      workingDir,
      metadata,
    });
    options.onNote?.(`started the job ${id} on ${options.address}`);
  }
  const ended = await followTraining(cluster, id, folder, options);
  if (ended.state !== "succeeded") {
    const what = `${folder.log}: the job ${id} on ${options.address}`;
    if (ended.state === "stopped")
      throw new RunError(`${what} was stopped by somebody; the same command starts it again, from its last checkpoint`);
    if (ended.said.length === 0) throw new PythonError(`${what} failed: ${ended.message || "Ray says nothing more"}`);
    throw describeFailure(what, 1, ended.said, trainerAdvice);
  }
  await bringBack(folder, storage, options.address);
}

async function expectRoom(cluster: RayCluster, { gpus, processes }: TrainingPlan): Promise<void> {
  const has = await cluster.resources();
  const [wanted, found, what] = gpus > 0 ? [gpus, has.gpus, "GPUs"] : [processes, has.cpus, "CPUs"];
  if (found < wanted)
    throw new RunError(
      `--on: expected a cluster with ${wanted} ${what}, one for each process, got ${formatCount(found)} on ${has.machines} ${has.machines === 1 ? "machine" : "machines"}; ${found > 0 ? `take ${gpus > 0 ? "--gpus" : "--processes"} ${found}, or` : "take"} a larger cluster`,
    );
}

/** The folder as a package: all that the training takes. Data that is too large to be sent has to be on shared storage. */
function pack({ folder }: TrainingFolder): Uint8Array {
  const files = readFiles(
    folder,
    listFiles(folder, (first) => notSent.has(first)),
  );
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  if (bytes > mostSentBytes) for (const path of files.keys()) if (path.startsWith("data")) files.delete(path);
  return packFiles(files);
}

async function followTraining(
  cluster: RayCluster,
  id: string,
  folder: TrainingFolder,
  options: RunOnRayOptions,
): Promise<EndedJob> {
  const readPhase = openPhaseReader();
  try {
    return await followJob(cluster, id, { log: folder.log, onLine: (line) => tell(line, readPhase(line), options) });
  } catch (cause) {
    if (!options.signal?.aborted) throw cause;
    const hint = `the same command follows it; stop it with: ray job stop --address ${options.address} ${id}`;
    if (!(await options.shouldStop?.())) options.onNote?.(`the job ${id} goes on; ${hint}`);
    else {
      const again = await RayCluster.open(options.address);
      await again.stop(id);
      options.onNote?.(`stopped the job ${id}; the same command goes on from its last checkpoint`);
    }
    throw cause;
  }
}

/** Whether a line was progress, which is told. */
function tell(line: string, phase: string | undefined, { onPhase, onStep, stepsPerEpoch }: RunOnRayOptions): boolean {
  if (phase !== undefined) onPhase?.(phase);
  const metrics = readMetrics(line, stepsPerEpoch());
  if (metrics) onStep?.(metrics);
  return phase !== undefined || metrics !== undefined || line.trim() === "" || /\d+%\|/.test(line);
}

async function bringBack(folder: TrainingFolder, storage: string, address: string): Promise<void> {
  if (!isTrained(storage) && resolve(storage) === resolve(folder.folder))
    throw new RunError(
      `${storage}: the job has ended well, and its model is not in this folder: the machines of ${address} do not share it; name a folder that they and this machine share with --storage`,
    );
  if (!isTrained(storage))
    throw new RunError(
      `${storage}: the model was trained there, on the machines of ${address}, and this machine does not see that folder; copy its output, rows.json, runtime.json and checks.json to ${folder.folder}, and run the same command without --on`,
    );
  if (resolve(storage) === resolve(folder.folder)) return;
  for (const name of ["rows.json", "runtime.json", "output", "checks.json"])
    await cp(join(storage, name), join(folder.folder, name), { recursive: true });
}
