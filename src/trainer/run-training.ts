import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { TrainerError } from "../errors.ts";
import { isProcessAlive } from "../is-process-alive.ts";
import { adviseOn, readMetrics, type StepMetrics } from "./metrics.ts";
import type { TrainingFolder } from "./training-folder.ts";

export interface RunTrainingOptions {
  readonly stepsPerEpoch: number;
  readonly signal?: AbortSignal;
  /** Told of what is being done: counting tokens, training, checking. */
  readonly onPhase?: (phase: string) => void;
  readonly onStep?: (metrics: StepMetrics) => void;
}

const killMs = 10_000; // for a process to end by itself
const lastLines = 12; // of the log, in the error

/**
 * Runs a training folder's `run.sh` to its end, in a process group of its own that ends when this process does. The whole
 * log goes to `log.txt`.
 *
 * @throws TrainerError with the last lines of the log, and advice where it is a usual failure
 */
export async function runTraining(folder: TrainingFolder, options: RunTrainingOptions): Promise<void> {
  await removeBroken(folder);
  const log = createWriteStream(folder.log, { flags: "a" });
  const child = spawn("sh", ["run.sh"], {
    cwd: folder.folder,
    detached: true, // a group of its own, to be ended as a whole
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      ...process.env,
      ALPAGASUS_WATCHED: "1",
      PYTHONUNBUFFERED: "1",
      TOKENIZERS_PARALLELISM: "false",
      HF_HUB_DISABLE_PROGRESS_BARS: "1",
    },
  });
  const recent: string[] = [];
  const take = (line: string): void => {
    log.write(`${line}\n`);
    const [, phase] = /^alpagasus: (.+)$/.exec(line) ?? [];
    if (phase !== undefined) options.onPhase?.(phase);
    const metrics = readMetrics(line, options.stepsPerEpoch);
    if (metrics) options.onStep?.(metrics);
    else if (line.trim() && !/\d+%\|/.test(line)) recent.push(line.trim());
    if (recent.length > 400) recent.splice(0, 200);
  };
  createInterface({ input: child.stdout }).on("line", take);
  createInterface({ input: child.stderr }).on("line", take);
  const stop = () => void endGroup(child.pid!);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  try {
    const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
    options.signal?.throwIfAborted();
    if (code !== 0) throw describeFailure(code, recent, folder);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    child.stdin.destroy();
    log.end();
  }
}

/** The steps at which checkpoints lie that can be gone on from. */
export async function findCheckpoints(folder: TrainingFolder): Promise<number[]> {
  const names = await readdir(folder.output).catch(() => []);
  const steps: number[] = [];
  for (const name of names) {
    const [, step] = /^checkpoint-(\d+)$/.exec(name) ?? [];
    if (step !== undefined && (await readState(join(folder.output, name)))) steps.push(Number(step));
  }
  return steps.toSorted((a, b) => a - b);
}

/** What the trainer kept of every step, from its last checkpoint. */
export async function readHistory(folder: TrainingFolder): Promise<readonly Record<string, number>[]> {
  const last = (await findCheckpoints(folder)).at(-1);
  const state = last === undefined ? undefined : await readState(join(folder.output, `checkpoint-${last}`));
  return state?.log_history ?? [];
}

async function readState(checkpoint: string): Promise<{ log_history: Record<string, number>[] } | undefined> {
  try {
    return JSON.parse(await readFile(join(checkpoint, "trainer_state.json"), "utf8")) as {
      log_history: Record<string, number>[];
    }; // as the trainer writes it
  } catch {
    return undefined; // it was being written when the trainer was ended
  }
}

/** Removes checkpoints that were not complete when the trainer was ended. */
async function removeBroken(folder: TrainingFolder): Promise<void> {
  const whole = new Set(await findCheckpoints(folder));
  for (const name of await readdir(folder.output).catch(() => [])) {
    const [, step] = /^(?:tmp-)?checkpoint-(\d+)$/.exec(name) ?? [];
    if (step !== undefined && (name.startsWith("tmp-") || !whole.has(Number(step))))
      await rm(join(folder.output, name), { recursive: true, force: true });
  }
}

/** Asks a process group to end, and ends it when it does not. */
async function endGroup(pid: number): Promise<void> {
  signalGroup(pid, "SIGTERM");
  const deadline = Date.now() + killMs;
  while (Date.now() < deadline && isProcessAlive(-pid)) await new Promise((resolve) => setTimeout(resolve, 100));
  signalGroup(pid, "SIGKILL");
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended
  }
}

function describeFailure(code: number | null, recent: readonly string[], { log }: TrainingFolder): TrainerError {
  const text = recent.join("\n");
  const advice = adviseOn(text);
  const cause =
    recent.findLast(
      (line) =>
        /^[\w.]*(Error|Exception|Interrupt)\b.*:/.test(line) && !/^(subprocess|torch\.distributed)\./.test(line),
    ) ?? recent.slice(-lastLines).join(" | ");
  return new TrainerError(
    `${log}: the trainer ended with ${code === null ? "a signal" : `code ${code}`}: ${cause.slice(0, 600)}${advice === undefined ? "" : `; ${advice}`}`,
  );
}
