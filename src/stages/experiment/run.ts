import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RunError, UsageError } from "../../errors.ts";
import { openLedger, type Ledger } from "../../experiment/ledger.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import { resolveExperiment } from "../../experiment/resolve.ts";
import { concludeExperiment } from "../../experiment/result.ts";
import { recordedFacts } from "../../experiment/recorded-facts.ts";
import { planTasks, runTasks, type TaskResult } from "../../experiment/schedule.ts";
import {
  experimentStages,
  type ExperimentStage,
  type Task,
  type TaskEstimate,
  type TaskState,
} from "../../experiment/task.ts";
import { own as ownFile } from "../../files/owner-file.ts";
import { formatUsd } from "../../format.ts";
import { findUv } from "../../python/uv.ts";
import type { ExperimentResult } from "../../run/records/experiment.ts";
import { extendManifest, readManifest, runFolder, updateManifest, type RunFolder } from "../../run/run-folder.ts";
import { hashRows, isSameData } from "../rate-checks.ts";
import { report } from "../report.ts";
import { planCluster, type ClusterPlan } from "./cluster-plan.ts";
import { Context, type TaskOptions } from "./context.ts";
import { estimateBasis, estimateTasks } from "./estimate.ts";
import { expectStages } from "./expect-stages.ts";
import { gatherFacts } from "./facts.ts";
import { listTasks } from "./list-tasks.ts";
import { makeFolder } from "../../files/make-folder.ts";

export interface RunExperimentOptions extends Omit<TaskOptions, "experiment" | "onReport" | "budgetUsd"> {
  /** US dollars for all stages together, training included; the recipe's when left out. */
  readonly budgetUsd?: number | undefined;
  /** Begin with this stage; earlier stages are left as they are. */
  readonly from?: ExperimentStage | undefined;
  /** Run only these stages; all others are left as they are. */
  readonly only?: readonly ExperimentStage[] | undefined;
  /** Repeat these stages even if nothing changed. */
  readonly force?: readonly ExperimentStage[] | undefined;
  readonly onBegin?: ((task: string, why: string) => void) | undefined;
  readonly onEnd?: ((task: string, result: TaskResult) => void) | undefined;
}

/** One line of an experiment's plan. */
interface PlannedTask extends TaskEstimate {
  readonly task: string;
  readonly stage: ExperimentStage;
  readonly state: TaskState;
}

/** What running an experiment would do. Money in US dollars, where it is known. */
export interface ExperimentPlan {
  readonly run: string;
  readonly tasks: readonly PlannedTask[];
  /** Of the due tasks, as far as it is known. */
  readonly expectedUsd: number;
  /** The basis of the expected cost, in words. */
  readonly basis: string;
  readonly highestUsd: number | null;
  readonly budgetUsd: number | null;
  /** Already paid by this run. */
  readonly paidUsd: number;
  /** What a run would lack, such as keys, and where calls would go if not to the provider. */
  readonly notes: readonly string[];
}

/** How an experiment ended. */
export interface ExperimentEnd {
  readonly run: string;
  readonly results: ReadonlyMap<string, TaskResult>;
  /** Absent when it did not finish. */
  readonly result?: ExperimentResult | undefined;
}

/**
 * Plans an experiment without running it: what would be done, why, and at what cost.
 *
 * @throws UsageError, DataError or RunError when it could not be run as it is
 */
export async function planExperiment(recipe: ExperimentRecipe, options: RunExperimentOptions): Promise<ExperimentPlan> {
  const { context, tasks, ledger, leave } = await prepare(recipe, options);
  const { plan } = await makePlan(context, tasks, await planTasks(tasks, ledger, leave), []);
  return plan;
}

async function makePlan(
  context: Context,
  tasks: readonly Task[],
  states: ReadonlyMap<string, TaskState>,
  planNotes?: string[],
): Promise<{ readonly plan: ExperimentPlan; readonly cluster: ClusterPlan }> {
  const due = tasks.filter(({ id }) => states.get(id)!.state !== "done");
  const { estimates, paidUsd } = await estimateTasks(context, due, planNotes);
  const cluster = await planCluster(context, due, estimates, planNotes);
  planNotes?.push(...cluster.notes);
  const planned = tasks.map(({ id, stage }) => ({
    task: id,
    stage,
    state: states.get(id)!,
    ...estimates.get(id),
    ...(cluster.taken.has(id) && {
      what: [estimates.get(id)?.what, cluster.taken.get(id)].filter((part) => part !== undefined).join(", "),
    }),
  }));
  const expectedUsd = planned.reduce((sum, { expectedUsd: usd }) => sum + (usd ?? 0), 0);
  const { run, budgetUsd = null } = context.options;
  const refusal = whyTooLittle({ tasks: planned, budgetUsd, paidUsd });
  if (refusal !== undefined) planNotes?.push(`it would not begin: ${refusal}`);
  else if (budgetUsd !== null && expectedUsd + paidUsd > budgetUsd)
    planNotes?.push(
      `the expected cost${paidUsd > 0 ? ", with what was paid before," : ""} is above the budget: it would stop at ${formatUsd(budgetUsd)}, and continue with a larger --budget`,
    );
  const highest = planned.map(({ highestUsd = 0 }) => highestUsd);
  const plan = {
    run,
    tasks: planned,
    expectedUsd,
    basis: estimateBasis,
    highestUsd: highest.some((usd) => usd === null) ? null : highest.reduce<number>((sum, usd) => sum + usd!, 0),
    budgetUsd,
    paidUsd,
    notes: planNotes ?? [],
  };
  return { plan, cluster };
}

/**
 * Runs an experiment up to its report. Finished tasks are kept, changed ones are repeated, interrupted ones continue. A
 * failed task stops only the tasks that need it.
 *
 * @throws UsageError, DataError or RunError, before anything is spent, when it cannot be run as it is; PythonError when it
 *   needs uv and there is none
 */
export async function runExperiment(recipe: ExperimentRecipe, options: RunExperimentOptions): Promise<ExperimentEnd> {
  const run = runFolder(options.run);
  makeFolder(run.folder);
  using owned = await ownFile(join(run.folder, "experiment.pid"), { signal: options.signal });
  if (!owned)
    throw new RunError(
      `${run.folder}: expected an experiment that no other process runs, another one does; wait for it`,
    );
  if (recipe.recorded) {
    const result = concludeExperiment(recordedFacts(recipe));
    await keepResult(run, result);
    await report({ run: options.run });
    return { run: options.run, results: new Map(), result };
  }
  const { context, tasks, ledger, leave } = await prepare(recipe, options);
  const states = await planTasks(tasks, ledger, leave);
  await expectNeeds(tasks, leave, options);
  const { plan, cluster } = await makePlan(context, tasks, states);
  const refusal = whyTooLittle(plan);
  if (refusal !== undefined) throw new UsageError(`${refusal}; no call was made`);
  if (tasks.some((task) => task.needsUv && states.get(task.id)!.state !== "done")) findUv();
  await ledger.begin(options.command);
  let isFirst = true;
  const results = await runTasks(tasks, {
    ledger,
    leave,
    signal: options.signal,
    cluster,
    async onBegin(task, why) {
      options.onBegin?.(task.id, why);
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst) await forgetResult(run); // it is out of date
    },
    onEnd: (task, result) => options.onEnd?.(task.id, result),
  });
  const others = await listOtherArms(run, new Set(context.experiment.draws.map(({ name }) => name)));
  if (others.length > 0)
    options.onNote?.(
      "arms",
      `${others.join(", ")} in ${run.folder}/arms ${others.length === 1 ? "is none" : "are none"} of this recipe's arms`,
    );
  const isDone = [...results.values()].every(({ state }) => state === "done" || state === "kept");
  const result = (await readManifest(run))?.experiment;
  return { run: options.run, results, ...(isDone && result && { result }) };
}

/** Arms whose files are in a run's folder and that a recipe does not have: of an earlier form of it, or chosen by hand. */
async function listOtherArms({ folder }: RunFolder, own: ReadonlySet<string>): Promise<string[]> {
  const files = await readdir(join(folder, "arms")).catch(() => []); // there may be none
  return files
    .flatMap((file) => /^(.+)\.decisions\.jsonl$/.exec(file)?.[1] ?? [])
    .filter((arm) => !own.has(arm))
    .toSorted();
}

/** Why nothing is begun: the first task with a cost is expected to cost more than the budget. What was begun goes on until it is spent. */
function whyTooLittle({
  tasks,
  budgetUsd,
  paidUsd,
}: Pick<ExperimentPlan, "tasks" | "budgetUsd" | "paidUsd">): string | undefined {
  if (budgetUsd === null || paidUsd > 0) return undefined;
  const first = tasks.find(({ state, expectedUsd }) => state.state !== "done" && (expectedUsd ?? 0) > 0);
  return first && first.expectedUsd! > budgetUsd
    ? `--budget: expected at least ${formatUsd(first.expectedUsd!)}, which "${first.task}" is expected to need, got ${formatUsd(budgetUsd)}`
    : undefined;
}

/** @throws RunError when a task of `only` needs a task that is left out and has no result */
async function expectNeeds(
  tasks: readonly Task[],
  leave: (task: Task) => boolean,
  { run, only }: RunExperimentOptions,
): Promise<void> {
  if (!only) return;
  const byId = new Map(tasks.map((task) => [task.id, task]));
  for (const task of tasks.filter((other) => !leave(other)))
    for (const need of task.needs.map((id) => byId.get(id)!))
      if (leave(need) && (await need.output()) === undefined)
        throw new RunError(
          `${run}: expected "${need.id}" to be done before "${task.id}", found nothing; add ${need.stage} to --only, or leave --only out`,
        );
}

interface Prepared {
  readonly context: Context;
  readonly tasks: readonly Task[];
  readonly ledger: Ledger;
  /** Whether a task is taken as it is. */
  readonly leave: (task: Task) => boolean;
}

async function prepare(recipe: ExperimentRecipe, options: RunExperimentOptions): Promise<Prepared> {
  const { budgetUsd = recipe.budget_usd, ...others } = options;
  const run = runFolder(options.run);
  const context: Context = new Context({
    ...others,
    experiment: resolveExperiment(recipe),
    onReport: async () => keepResult(run, concludeExperiment(await gatherFacts(context, tasks))),
    budgetUsd,
  });
  if (recipe.recorded) return { context, tasks: [], ledger: await openLedger(run), leave: () => false };
  const tasks = listTasks(context);
  expectStages(tasks, options);
  const ledger = await openLedger(run);
  for (const stage of options.force ?? []) for (const task of tasks) if (task.stage === stage) ledger.forget(task.id);
  const firstStage = options.from === undefined ? 0 : experimentStages.indexOf(options.from);
  const leave = ({ stage }: Task) =>
    experimentStages.indexOf(stage) < firstStage || (options.only !== undefined && !options.only.includes(stage));
  await expectLeft(tasks.filter(leave), options);
  const due = tasks.filter((task) => !leave(task));
  if (ledger.isNew) await expectOwn(due, options);
  const looksAtData = due.some(({ stage }) => stage === "rate" || stage === "select");
  if (looksAtData && !options.force?.includes("rate")) await expectSameData(context);
  return { context, tasks, ledger, leave };
}

/** @throws RunError when the folder has results that commands by hand made, and that tasks would replace */
async function expectOwn(due: readonly Task[], { run }: RunExperimentOptions): Promise<void> {
  const manifest = await readManifest(runFolder(run));
  const isByRecipe = manifest?.experiment !== undefined || /^alpagasus run\b/.test(manifest?.rate?.command ?? "");
  if (isByRecipe) return; // its record of tasks was removed
  for (const task of due)
    if ((await task.output()) !== undefined)
      throw new RunError(
        `${run}: expected a folder of the recipe's own, got a run whose "${task.id}" this recipe did not make and would replace; use another with --run DIR, or begin after it with --from STAGE`,
      );
}

/** @throws RunError when the folder has results of other rows than the recipe's: a file of another name, or another `--data` */
async function expectSameData(context: Context): Promise<void> {
  const before = (await context.manifest())?.dataset;
  if (!before) return;
  const dataset = await context.openDataset();
  if (isSameData(before, dataset, context.options.run) || (await hashRows(dataset)) === before.hash) return;
  throw new RunError(
    `${context.options.run}: holds results of ${before.source}, not of ${dataset.source}; run it in another folder with --run DIR, or replace them with --force rate`,
  );
}

/** @throws RunError when a task before `from` has no result */
async function expectLeft(left: readonly Task[], { run, from, only }: RunExperimentOptions): Promise<void> {
  if (only) return; // `expectNeeds` checks these
  for (const task of left)
    if ((await task.output()) === undefined)
      throw new RunError(
        `${run}: expected "${task.id}" to be done, since --from ${from} begins after it, found nothing; leave --from out`,
      );
}

/** Removes an earlier result, because a task that it depends on is repeated. */
async function forgetResult(run: RunFolder): Promise<void> {
  if (!(await readManifest(run))?.experiment) return;
  await updateManifest(run, (manifest) => {
    const { experiment: _, ...rest } = manifest!;
    return rest;
  });
}

async function keepResult(run: RunFolder, experiment: ExperimentResult): Promise<void> {
  await extendManifest(run, () => ({ experiment }));
}
