import type { Task, TaskEstimate } from "../../experiment/task.ts";
import { spentInAll } from "../../run/spent.ts";
import { guessedOutput } from "../plan-calls.ts";
import type { Context } from "./context.ts";
import { expectFeasible, expectNamed } from "./feasible.ts";
import { rateId } from "./ids.ts";

/** The basis of expected costs, in words. */
export const estimateBasis = `the replies in the store; where there are none, guesses: ${guessedOutput.rows} tokens a rating, ${guessedOutput.prompts} an answer, ${guessedOutput.pairs} a verdict, more of models that reason`;

/**
 * Estimates the tasks that are due, and looks before anything is spent whether they can be done. Looks first whether what the recipe names is
 * there: an estimate of a rating takes long on large data.
 *
 * @throws UsageError, DataError or RunError when a task could not be run as it is
 */
export async function estimateTasks(
  context: Context,
  due: readonly Task[],
  planNotes?: string[],
): Promise<{ readonly estimates: ReadonlyMap<string, TaskEstimate>; readonly paidUsd: number }> {
  const estimates = new Map<string, TaskEstimate>();
  if (due.length > 0) await expectNamed(context);
  let rows = (await context.manifest())?.dataset?.rows;
  const [rating, ...others] = due[0]?.id === rateId ? due : [undefined, ...due];
  if (rating?.estimate) {
    estimates.set(rating.id, await rating.estimate(rows));
    rows = await context.countRows();
  }
  if (due.length > 0) await expectFeasible(context, rows, planNotes);
  for (const task of others) if (task?.estimate) estimates.set(task.id, await task.estimate(rows));
  return { estimates, paidUsd: await spentInAll(context.run) };
}
