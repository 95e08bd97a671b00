import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";
import { cloudSecretsOf } from "../keys.ts";
import { describeFailure } from "../python/failure.ts";
import { startGroup, watched } from "../python/process-group.ts";
import type { Tracker } from "../python/trackers.ts";
import { openPhaseReader } from "../python/uv.ts";
import { trainerAdvice } from "./advice.ts";
import { readMetrics, type StepMetrics } from "./metrics.ts";
import type { TrainingFolder } from "./training-folder.ts";

export interface RunTrainingOptions {
  /** Asked anew for each line, since packing is known only when tokens are counted. */
  readonly stepsPerEpoch: () => number;
  readonly signal?: AbortSignal | undefined;
  /** Where the loss curve goes, beside the run. */
  readonly reportTo?: readonly Tracker[] | undefined;
  /** Called with each phase as it begins: counting tokens, training, checking. */
  readonly onPhase?: ((phase: string) => void) | undefined;
  readonly onStep?: ((metrics: StepMetrics) => void) | undefined;
}

/**
 * Runs a training folder's `run.sh` to its end, in its own process group, which ends when this process does. All output is
 * appended to `log.txt`.
 *
 * @throws PythonError with the error from the log, and advice for common failures
 */
export async function runTraining(folder: TrainingFolder, options: RunTrainingOptions): Promise<void> {
  await removeIncompleteCheckpoints(folder);
  options.signal?.throwIfAborted();
  const readPhase = openPhaseReader();
  const group = startGroup("sh", watched(["sh", "run.sh"]), {
    cwd: folder.folder,
    env: {
      TOKENIZERS_PARALLELISM: "false",
      REPORT_TO: options.reportTo?.join(",") ?? process.env["REPORT_TO"] ?? "",
      ...cloudSecretsOf(process.env), // trackers may keep files in a cloud's buckets
    },
    log: folder.log,
    onLine(line) {
      const phase = readPhase(line);
      if (phase !== undefined) options.onPhase?.(phase);
      const metrics = readMetrics(line, options.stepsPerEpoch());
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

/** The steps of all complete checkpoints, ascending. Training can resume from any of them. */
export async function findCheckpoints(folder: TrainingFolder): Promise<number[]> {
  const names = await readdir(folder.output).catch(() => []);
  const steps: number[] = [];
  for (const name of names) {
    const [, step] = /^checkpoint-(\d+)$/.exec(name) ?? [];
    if (step !== undefined && (await readState(join(folder.output, name)))) steps.push(Number(step));
  }
  return steps.toSorted((a, b) => a - b);
}

/** The trainer's metrics of every step, from its last checkpoint. */
export async function readHistory(folder: TrainingFolder): Promise<readonly Record<string, number>[]> {
  const last = (await findCheckpoints(folder)).at(-1);
  const state = last === undefined ? undefined : await readState(join(folder.output, `checkpoint-${last}`));
  return state?.log_history ?? [];
}

/** Whether a training's folder holds its model, made to the end and checked, by whichever machine. */
export function isTrained(folder: string): boolean {
  return ["output", "rows.json", "checks.json"].every((name) => existsSync(join(folder, name)));
}

/** How long the attempt took that came to the end, in milliseconds, as `train.py` measured it; 0 where it did not. */
export async function readRuntime({ folder }: TrainingFolder): Promise<number> {
  const found = z
    .object({ seconds: z.number() })
    .safeParse(tryParse(await readFile(join(folder, "runtime.json"), "utf8").catch(() => "")));
  return found.success ? 1000 * found.data.seconds : 0;
}

async function readState(checkpoint: string): Promise<{ log_history: Record<string, number>[] } | undefined> {
  try {
    return JSON.parse(await readFile(join(checkpoint, "trainer_state.json"), "utf8")) as {
      log_history: Record<string, number>[];
    }; // as the trainer writes it
  } catch {
    return undefined; // the trainer was stopped while writing it
  }
}

/** Removes checkpoints that are incomplete because the trainer was stopped. */
async function removeIncompleteCheckpoints(folder: TrainingFolder): Promise<void> {
  const complete = new Set(await findCheckpoints(folder));
  for (const name of await readdir(folder.output).catch(() => [])) {
    const [, step] = /^(?:tmp-)?checkpoint-(\d+)$/.exec(name) ?? [];
    if (step !== undefined && (name.startsWith("tmp-") || !complete.has(Number(step))))
      await rm(join(folder.output, name), { recursive: true, force: true });
  }
}
