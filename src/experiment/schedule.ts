import { messageOf, RunError } from "../errors.ts";
import type { Ledger } from "./ledger.ts";
import { checkTask, type Resource, type Task, type TaskEnd, type TaskState } from "./task.ts";

/** How a task ended. */
export type TaskResult =
  | { readonly state: "done"; readonly wallMs: number }
  /** It was done already. */
  | { readonly state: "kept" }
  /** A gate did not hold, or it was stopped. */
  | { readonly state: "stopped"; readonly end: TaskEnd }
  | { readonly state: "failed"; readonly error: unknown }
  /** A task that it needs is not done, or the experiment was interrupted. */
  | { readonly state: "not begun"; readonly why: string };

export interface ScheduleOptions {
  readonly ledger: Ledger;
  readonly signal?: AbortSignal | undefined;
  /** GPUs, or CPUs, of the cluster that may be taken at a time, and how many each task takes that is not done. */
  readonly cluster?: { readonly places: number; readonly sizes: ReadonlyMap<string, number> } | undefined;
  /** Tasks that are skipped and count as done. */
  readonly leave?: ((task: Task) => boolean) | undefined;
  readonly onBegin?: ((task: Task, why: string) => Promise<void> | void) | undefined;
  readonly onEnd?: ((task: Task, result: TaskResult) => void) | undefined;
}

const places = { machine: 1, calls: 4 };

/**
 * Runs each task as soon as the tasks it needs are done and its resource has a free place. Tasks that are done already are
 * kept. When a task fails or is stopped, the tasks that need it are not begun, and the others continue.
 *
 * @throws RunError when tasks wait for each other
 */
export async function runTasks(tasks: readonly Task[], options: ScheduleOptions): Promise<Map<string, TaskResult>> {
  const { ledger, signal, cluster, leave = () => false, onBegin, onEnd } = options;
  const results = new Map<string, TaskResult>();
  const running = new Map<string, Promise<void>>();
  const used: Record<Resource, number> = { machine: 0, calls: 0, cluster: 0 };
  const all: Readonly<Record<Resource, number>> = { ...places, cluster: cluster?.places ?? 0 };
  const finish = (task: Task, result: TaskResult) => {
    results.set(task.id, result);
    onEnd?.(task, result);
  };

  const execute = async (task: Task): Promise<void> => {
    try {
      const look = leave(task) ? { state: "done" as const } : await checkTask(task, ledger);
      if (look.state === "done") return finish(task, { state: "kept" });
      await onBegin?.(task, look.why);
      finish(task, await perform(task, ledger));
    } catch (error) {
      finish(task, { state: "failed", error });
    }
  };

  let settled = -1;
  for (;;) {
    for (const task of tasks) {
      if (results.has(task.id) || running.has(task.id)) continue;
      const missing = task.needs.find((need) => isLost(results.get(need)));
      if (missing !== undefined) {
        finish(task, { state: "not begun", why: `${missing} is not done` });
        continue;
      }
      if (signal?.aborted) {
        finish(task, { state: "not begun", why: "interrupted" });
        continue;
      }
      const { resource } = task;
      const taken = resource === "cluster" ? (cluster?.sizes.get(task.id) ?? 0) : 1; // what is done takes nothing
      const hasRoom = used[resource] + taken <= all[resource];
      if (!hasRoom || !task.needs.every((need) => results.has(need))) continue;
      used[resource] += taken;
      running.set(
        task.id,
        execute(task).finally(() => {
          used[resource] -= taken;
          running.delete(task.id);
        }),
      );
    }
    if (running.size === 0) {
      if (results.size === tasks.length) return results;
      if (results.size > settled) {
        settled = results.size; // tasks that were just lost may lose others
        continue;
      }
      const stuck = tasks.filter(({ id }) => !results.has(id)).map(({ id }) => id);
      throw new RunError(
        `expected tasks that can be done one after the other, got ones that wait for each other: ${stuck.join(", ")}`,
      );
    }
    await Promise.race(running.values());
  }
}

async function perform(task: Task, ledger: Ledger): Promise<TaskResult> {
  const startedAt = new Date();
  const inputs = await task.inputs(); // read first: what is edited meanwhile makes it due again
  const end = await task.run();
  if (end.stopped !== undefined || end.gates.some(({ held }) => !held)) return { state: "stopped", end };
  const output = await task.output();
  if (output === undefined) return { state: "failed", error: new Error(`${task.id}: has left no result`) };
  const wallMs = Date.now() - startedAt.getTime();
  await ledger.note(task.id, { inputs, output, startedAt: startedAt.toISOString(), wallMs });
  return { state: "done", wallMs };
}

function isLost(result: TaskResult | undefined): boolean {
  return result !== undefined && result.state !== "done" && result.state !== "kept";
}

/** The state of every task, without running any. @throws RunError when two tasks have the same id */
export async function planTasks(
  tasks: readonly Task[],
  ledger: Ledger,
  leave: (task: Task) => boolean = () => false,
): Promise<Map<string, TaskState>> {
  const states = new Map<string, TaskState>();
  for (const task of tasks) {
    const before = task.needs.find((need) => states.get(need)?.state !== "done");
    if (states.has(task.id)) throw new RunError(`expected tasks of different names, got ${task.id} twice`);
    const waits = { state: "waits", why: `if ${before} gives something else` } as const;
    if (leave(task)) {
      const own = await checkTask(task, ledger).catch(() => waits);
      states.set(task.id, { state: "done", isLeftOut: own.state !== "done" });
    } else if (before === undefined) states.set(task.id, await checkTask(task, ledger));
    else {
      const own = await checkTask(task, ledger).catch(() => waits); // what it reads may be what the task before it makes
      states.set(task.id, own.state === "due" ? own : waits); // what changed beside the tasks before it is certain
    }
  }
  return states;
}

/** Why a task was not done; undefined when it was. */
export function describeLoss(result: TaskResult): string | undefined {
  if (result.state === "failed") return messageOf(result.error);
  if (result.state === "not begun") return result.why;
  if (result.state !== "stopped") return undefined;
  const { end } = result;
  if (end.stopped === "interrupted") return "interrupted";
  if (end.stopped === "budget") return "the budget is spent";
  return end.failure ?? end.gates.find(({ held }) => !held)?.message ?? `stopped: ${end.stopped}`;
}
