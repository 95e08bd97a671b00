import type { Gate } from "../run/records/common.ts";
import type { Ledger } from "./ledger.ts";

export const experimentStages = ["rate", "select", "contamination", "train", "generate", "compare", "report"] as const;
export type ExperimentStage = (typeof experimentStages)[number];

/**
 * What a task takes for itself: the machine (a training, a server of a model), which is one; or calls to others' machines,
 * which can go on beside it.
 */
export type Resource = "machine" | "calls";

/** How a task ended that came to its end. */
export interface TaskEnd {
  readonly gates: readonly Gate[];
  /** What stopped it before everything was done; the same command goes on. */
  readonly stopped?: "interrupted" | "budget" | "failure" | "batches";
  /** What went wrong, in a line. */
  readonly failure?: string;
}

/** One step of an experiment. */
export interface Task {
  /** `train selected`, unique. */
  readonly id: string;
  readonly stage: ExperimentStage;
  /** Tasks that must be done before. */
  readonly needs: readonly string[];
  readonly resource: Resource;
  /** What its result follows from, by name; asked when what it needs is done. Hashes, and settings in words. */
  inputs(): Promise<Readonly<Record<string, string>>>;
  /** The hash of its result as it lies there; undefined when there is none. */
  output(): Promise<string | undefined>;
  run(): Promise<TaskEnd>;
  /** Calls that have failed and are to be asked again; absent where that is not wanted. */
  readonly failedCalls?: () => Promise<number>;
}

/** Whether a task has to be done, and why. */
export type TaskState =
  | { readonly state: "done" }
  | { readonly state: "due"; readonly why: string }
  /** It depends on a task that is due: its inputs may change, or not. */
  | { readonly state: "waits"; readonly why: string };

/** Looks whether a task is done, by the hashes of what it was made of and of what came out. */
export async function lookAt(task: Task, ledger: Ledger): Promise<TaskState> {
  const entry = ledger.find(task.id);
  if (!entry) return { state: "due", why: "it was not done yet" };
  const inputs = await task.inputs();
  const changed = describeChange(entry.inputs, inputs);
  if (changed !== undefined) return { state: "due", why: changed };
  const output = await task.output();
  if (output === undefined) return { state: "due", why: "its result is missing" };
  if (output !== entry.output) return { state: "due", why: "its result was changed by somebody else" };
  const failed = (await task.failedCalls?.()) ?? 0;
  if (failed > 0) return { state: "due", why: `${failed} calls have failed, and are asked again` };
  return { state: "done" };
}

const hashLength = 64;

/** What is not as it was, in words; undefined when nothing is. */
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
        : `${input} is ${is}, and was ${was}`;
    })
    .join("; ");
}
