import type { Gate } from "../run/records/common.ts";
import type { Ledger } from "./ledger.ts";

export const experimentStages = [
  "rate",
  "embed",
  "select",
  "contamination",
  "train",
  "generate",
  "evaluate",
  "benchmark",
  "compare",
  "report",
] as const;
export type ExperimentStage = (typeof experimentStages)[number];

/**
 * What a task occupies: the machine (for a training or a local model server), which takes one task at a time; calls to
 * remote models, which can run at the same time; or GPUs (CPUs, where it has none) of a cluster.
 */
export type Resource = "machine" | "calls" | "cluster";

/** How a task ended. */
export interface TaskEnd {
  readonly gates: readonly Gate[];
  /** What stopped it early; the same command continues it. */
  readonly stopped?: "interrupted" | "budget" | "failure" | "batches" | undefined;
  /** What went wrong, in a line. */
  readonly failure?: string | undefined;
}

/** What a task is expected to take, as far as that can be known before. Money in US dollars. */
export interface TaskEstimate {
  /** Calls to a model, steps, rows or prompts, in words. */
  readonly what?: string | undefined;
  readonly expectedUsd?: number | undefined;
  /** Null where no bound is known. */
  readonly highestUsd?: number | null | undefined;
  readonly minutes?: number | undefined;
}

/** One step of an experiment. */
export interface Task {
  /** `train selected`, unique. */
  readonly id: string;
  readonly stage: ExperimentStage;
  /** Ids of the tasks that must be done first. */
  readonly needs: readonly string[];
  readonly resource: Resource;
  /** How much of a cluster it takes, in GPUs or CPUs; 1 when left out. */
  readonly takes?: (() => Promise<number>) | undefined;
  /** What its result depends on, by name: hashes, and settings in words. Called when the tasks it needs are done. */
  inputs(): Promise<Readonly<Record<string, string>>>;
  /** Hash of its current result; undefined when there is none. */
  output(): Promise<string | undefined>;
  run(): Promise<TaskEnd>;
  /** Whether it needs uv, which brings what trains and serves models on this machine. */
  readonly needsUv: boolean;
  /** What it is expected to take; `rows` of the data, where they are known. */
  readonly estimate?: (rows: number | undefined) => Promise<TaskEstimate>;
  /** The keys of the calls behind its result, for what they cost. */
  readonly calls?: (() => AsyncIterable<string>) | undefined;
  /** Calls that have failed and are made again; absent where that is not wanted. */
  readonly failedCalls?: (() => Promise<number>) | undefined;
}

/** Whether a task is due, and why. */
export type TaskState =
  /** Left out: the user runs other stages only, and it is not done. */
  | { readonly state: "done"; readonly isLeftOut?: boolean }
  | { readonly state: "due"; readonly why: string }
  /** It depends on a task that is due: its inputs may change, or not. */
  | { readonly state: "waits"; readonly why: string };

/** Whether a task is done: done if the hashes of its inputs and output are unchanged. */
export async function checkTask(task: Task, ledger: Ledger): Promise<TaskState> {
  const entry = ledger.find(task.id);
  if (!entry)
    return { state: "due", why: ledger.isForgotten(task.id) ? "--force does it again" : "it was not done yet" };
  const inputs = await task.inputs();
  const changed = describeChange(entry.inputs, inputs);
  if (changed !== undefined) return { state: "due", why: changed };
  const output = await task.output();
  if (output === undefined) return { state: "due", why: "its result is missing" };
  if (output !== entry.output) return { state: "due", why: "its result was changed outside the experiment" };
  const failed = (await task.failedCalls?.()) ?? 0;
  if (failed > 0) return { state: "due", why: `${failed} failed calls are made again` };
  return { state: "done" };
}

const hashLength = 64;

/** The inputs that changed, in words; undefined when none did. */
function describeChange(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string | undefined {
  const changed = Object.keys({ ...before, ...now }).filter((input) => before[input] !== now[input]);
  if (changed.length === 0) return undefined;
  return changed
    .map((input) => {
      const [was, is] = [before[input] ?? "none", now[input] ?? "none"];
      return was.length >= hashLength || is.length >= hashLength
        ? `${input} changed`
        : was === "none" && is === "none"
          ? `${input} is ${before[input] === undefined ? "new" : "gone"}`
          : `${input} is ${is}, and was ${was}`;
    })
    .join("; ");
}
