import type { Task } from "../../experiment/task.ts";
import { benchmarkTask } from "./benchmark-task.ts";
import { compareTask } from "./compare-task.ts";
import { contaminationTask } from "./contamination-task.ts";
import type { Context } from "./context.ts";
import { embedTask } from "./embed-task.ts";
import { evaluateTask } from "./evaluate-task.ts";
import { generateTask } from "./generate-task.ts";
import { rateTask } from "./rate-task.ts";
import { reportTask } from "./report-task.ts";
import { selectTask } from "./select-task.ts";
import { trainTask } from "./train-task.ts";

/** All tasks of an experiment, in an order in which each comes after those that it needs. */
export function listTasks(context: Context): Task[] {
  const {
    rating,
    scores,
    embeddings,
    draws,
    training,
    models,
    answering,
    generation,
    evaluation,
    benchmarking,
    comparison,
  } = context.experiment;
  const tasks: Task[] = [];
  if (rating) tasks.push(rateTask(context, rating));
  for (const score of scores) tasks.push(rateTask(context, score));
  for (const embedding of embeddings) tasks.push(embedTask(context, embedding));
  for (const draw of draws) tasks.push(selectTask(context, draw));
  const isGuarded = draws.length > 0 && generation !== undefined;
  const drawn = draws.map(({ name }) => name);
  if (isGuarded) tasks.push(contaminationTask(context, drawn));
  for (const model of models) {
    if (training && model.arm !== undefined) tasks.push(trainTask(context, training, { model, isGuarded }));
    if (generation && answering.includes(model)) tasks.push(generateTask(context, generation, model)); // before the next training, so that it can be judged meanwhile
  }
  if (evaluation) tasks.push(evaluateTask(context, evaluation));
  if (benchmarking) tasks.push(benchmarkTask(context, benchmarking));
  for (const judge of comparison?.judges ?? [])
    for (const { pairs } of comparison!.matches)
      for (const pair of pairs) tasks.push(compareTask(context, comparison!, { judge, pair }));
  tasks.push(reportTask(context, [...tasks]));
  // With one budget for calls and trainings, tasks run one by one, so that they do not spend the same money.
  const isOneByOne = context.options.budgetUsd !== undefined && training !== undefined;
  return isOneByOne ? tasks.map((task) => ({ ...task, resource: "machine" as const })) : tasks;
}
