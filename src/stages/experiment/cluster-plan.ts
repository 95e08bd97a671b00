import { messageOf, UsageError } from "../../errors.ts";
import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { formatDuration } from "../../format.ts";
import type { ClusterRoom, Context } from "./context.ts";

/** What tasks take of an experiment's cluster. */
export interface ClusterPlan {
  /** GPUs or CPUs at a time, and how many each task takes. */
  readonly places: number;
  readonly sizes: ReadonlyMap<string, number>;
  /** By task: `4 GPUs`. */
  readonly taken: ReadonlyMap<string, string>;
  /** When what runs there, in words. */
  readonly notes: readonly string[];
}

/**
 * Looks whether each task finds room on the cluster, and how long those whose time is known take side by side.
 *
 * @param planNotes for a plan: that the cluster cannot be asked is added here instead of thrown
 * @throws UsageError when a task takes more than there is, RunError when the cluster cannot be asked
 */
export async function planCluster(
  context: Context,
  due: readonly Task[],
  estimates: ReadonlyMap<string, TaskEstimate>,
  planNotes?: string[],
): Promise<ClusterPlan> {
  const tasks = due.filter(({ resource }) => resource === "cluster");
  const nothing = { places: 0, sizes: new Map(), taken: new Map(), notes: [] };
  if (tasks.length === 0) return nothing;
  const { recipe, experiment } = context;
  let room: ClusterRoom;
  try {
    room = await context.clusterRoom();
  } catch (cause) {
    if (!planNotes) throw cause;
    planNotes.push(messageOf(cause));
    return nothing;
  }
  const { unit, places } = room;
  const sizes = new Map<string, number>();
  for (const { id, takes } of tasks) {
    const size = (await takes?.()) ?? 1;
    if (size > places)
      throw new UsageError(
        `${recipe.at(["on"])}: on: expected at least the ${size} ${unit} that "${id}" takes, got ${places} at a time on ${experiment.cluster!.address}; raise ${unit.toLowerCase()}, take a larger cluster, or let it take fewer`,
      );
    sizes.set(id, size);
  }
  const timed = tasks.filter(({ id }) => estimates.get(id)?.minutes !== undefined);
  const minutes = (id: string) => estimates.get(id)!.minutes!;
  const alone = timed.reduce((sum, { id }) => sum + minutes(id), 0);
  const beside = sideBySide(
    timed.map(({ id }) => ({ size: sizes.get(id)!, minutes: minutes(id) })),
    places,
  );
  const time =
    timed.length > 1
      ? `; the ${timed.length} whose time is known take ${formatDuration(60_000 * beside)}, ${formatDuration(60_000 * alone)} one after the other`
      : "";
  return {
    places,
    sizes,
    taken: new Map([...sizes].map(([id, size]) => [id, `${size} ${size === 1 ? unit.slice(0, -1) : unit}`])),
    notes: [
      `on ${experiment.cluster!.address}, up to ${places} ${unit} at a time: ${tasks.length} tasks, each as soon as it has room${time}`,
    ],
  };
}

/** How long tasks take that begin in their order, each as soon as it has room. */
function sideBySide(tasks: readonly { readonly size: number; readonly minutes: number }[], places: number): number {
  const running: { size: number; until: number }[] = [];
  let now = 0;
  for (const { size, minutes } of tasks) {
    const used = () => running.reduce((sum, { size: taken }) => sum + taken, 0);
    while (used() + size > places) {
      running.sort((a, b) => a.until - b.until);
      now = Math.max(now, running.shift()!.until);
    }
    running.push({ size, until: now + minutes });
  }
  return Math.max(now, ...running.map(({ until }) => until));
}
