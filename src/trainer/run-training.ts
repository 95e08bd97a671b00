import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describeFailure } from "../python/failure.ts";
import { startGroup, watched } from "../python/process-group.ts";
import { trainerAdvice } from "./advice.ts";
import { readMetrics, type StepMetrics } from "./metrics.ts";
import type { TrainingFolder } from "./training-folder.ts";

export interface RunTrainingOptions {
  readonly stepsPerEpoch: number;
  readonly signal?: AbortSignal;
  /** Told of what is being done: counting tokens, training, checking. */
  readonly onPhase?: (phase: string) => void;
  readonly onStep?: (metrics: StepMetrics) => void;
}

/**
 * Runs a training folder's `run.sh` to its end, in a process group of its own that ends when this process does. The whole
 * log goes to `log.txt`.
 *
 * @throws TrainerError with the last lines of the log, and advice where it is a usual failure
 */
export async function runTraining(folder: TrainingFolder, options: RunTrainingOptions): Promise<void> {
  await removeBroken(folder);
  options.signal?.throwIfAborted();
  const group = startGroup("sh", watched(["sh", "run.sh"]), {
    cwd: folder.folder,
    env: { TOKENIZERS_PARALLELISM: "false" },
    log: folder.log,
    onLine(line) {
      const [, phase] = /^alpagasus: (.+)$/.exec(line) ?? [];
      if (phase !== undefined) options.onPhase?.(phase);
      const metrics = readMetrics(line, options.stepsPerEpoch);
      if (metrics) options.onStep?.(metrics);
      return metrics !== undefined;
    },
  });
  const stop = () => void group.stop();
  options.signal?.addEventListener("abort", stop);
  try {
    const code = await group.ended;
    options.signal?.throwIfAborted();
    if (code !== 0) throw describeFailure(`${folder.log}: the trainer`, code, group.said, trainerAdvice);
  } finally {
    options.signal?.removeEventListener("abort", stop);
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
