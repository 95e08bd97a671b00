import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { RunError, UsageError } from "../errors.ts";
import { openLedger, type Ledger } from "../experiment/ledger.ts";
import type { ExperimentRecipe } from "../experiment/recipe.ts";
import {
  concludeExperiment,
  meanTraining,
  poolMatches,
  recordedFacts,
  type ExperimentFacts,
} from "../experiment/result.ts";
import { report } from "./report.ts";
import { planTasks, runTasks, type TaskResult } from "../experiment/schedule.ts";
import { experimentStages, type ExperimentStage, type Task, type TaskState } from "../experiment/task.ts";
import { formatUsd } from "../format.ts";
import { own as ownFile } from "../files/owner-file.ts";
import { readOwnAnswers } from "../generation/answers-file.ts";
import { CallStore } from "../llm/call-store.ts";
import { isModelName } from "../llm/model-name.ts";
import { nanosPerUsd } from "../llm/price.ts";
import { findUv } from "../python/uv.ts";
import { manifestVersion, type Manifest } from "../run/manifest.ts";
import type { ExperimentResult } from "../run/records/experiment.ts";
import { readRatings } from "../run/ratings-file.ts";
import { readManifest, readPurse, runFolder, updateManifest, type RunFolder } from "../run/run-folder.ts";
import { version } from "../version.ts";
import { estimateBasis, estimateTasks, type TaskEstimate } from "./estimate-experiment.ts";
import { listDraws, listMatches, listModels } from "../experiment/models.ts";
import { nameJudge } from "../experiment/names.ts";
import { listTasks, type TaskOptions } from "./experiment-tasks.ts";

export interface RunExperimentOptions extends Omit<TaskOptions, "recipe" | "budgetUsd"> {
  /** US dollars for all stages together, training included; the recipe's when left out. */
  readonly budgetUsd?: number;
  /** Begin with this stage: those before it are taken as they are. */
  readonly from?: ExperimentStage;
  /** Only these stages: all others are taken as they are. */
  readonly only?: readonly ExperimentStage[];
  /** Do these stages again, whether anything changed or not. */
  readonly force?: readonly ExperimentStage[];
  readonly onBegin?: (task: string, why: string) => void;
  readonly onEnd?: (task: string, result: TaskResult) => void;
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
  /** Of what is due, as far as it is known. */
  readonly expectedUsd: number;
  /** What that rests on, in words. */
  readonly basis: string;
  readonly highestUsd: number | null;
  readonly budgetUsd: number | null;
  /** Paid before, by this run. */
  readonly paidUsd: number;
}

/** How an experiment ended. */
export interface ExperimentEnd {
  readonly run: string;
  readonly results: ReadonlyMap<string, TaskResult>;
  /** Absent where it did not come to its end. */
  readonly result?: ExperimentResult;
}

/**
 * Tells what running an experiment would do, why, and what it would take.
 *
 * @throws UsageError, DataError or RunError when it could not be run as it is
 */
export async function planExperiment(recipe: ExperimentRecipe, options: RunExperimentOptions): Promise<ExperimentPlan> {
  const { tasks, ledger, leave } = await prepare(recipe, options);
  return makePlan(recipe, options, tasks, await planTasks(tasks, ledger, leave));
}

async function makePlan(
  recipe: ExperimentRecipe,
  options: RunExperimentOptions,
  tasks: readonly Task[],
  states: ReadonlyMap<string, TaskState>,
): Promise<ExperimentPlan> {
  const due = tasks.filter(({ id }) => states.get(id)!.state !== "done");
  const { estimates, paidUsd } = await estimateTasks(recipe, options, due);
  const planned = tasks.map(({ id, stage }) => ({
    task: id,
    stage,
    state: states.get(id)!,
    ...estimates.get(id),
  }));
  const highest = planned.map(({ highestUsd = 0 }) => highestUsd);
  return {
    run: options.run,
    tasks: planned,
    expectedUsd: planned.reduce((sum, { expectedUsd }) => sum + (expectedUsd ?? 0), 0),
    basis: estimateBasis,
    highestUsd: highest.some((usd) => usd === null) ? null : highest.reduce<number>((sum, usd) => sum + usd!, 0),
    budgetUsd: options.budgetUsd ?? recipe.budget_usd ?? null,
    paidUsd,
  };
}

/**
 * Runs an experiment to its report: what is done stays, what changed is done again, and what was interrupted goes on.
 * Whatever goes wrong in one task loses those that need it, and no others.
 *
 * @throws UsageError, DataError or RunError, before anything is spent, when it cannot be run as it is; TrainerError when it
 *   needs uv and there is none
 */
export async function runExperiment(recipe: ExperimentRecipe, options: RunExperimentOptions): Promise<ExperimentEnd> {
  const run = runFolder(options.run);
  await mkdir(run.folder, { recursive: true });
  using owned = ownFile(join(run.folder, "experiment.pid"));
  if (!owned)
    throw new RunError(`${run.folder}: expected an experiment that nobody works on, another process does; wait for it`);
  if (recipe.recorded) {
    const result = concludeExperiment(recordedFacts(recipe));
    await keepResult(run, result);
    await report({ run: options.run });
    return { run: options.run, results: new Map(), result };
  }
  const { tasks, ledger, leave } = await prepare(recipe, options);
  const states = await planTasks(tasks, ledger, leave);
  await expectNeeds(tasks, leave, options);
  const plan = await makePlan(recipe, options, tasks, states);
  expectEnough(plan);
  if (tasks.some((task) => needsPython(task, recipe) && states.get(task.id)!.state !== "done")) findUv();
  let isFirst = true;
  const results = await runTasks(tasks, {
    ledger,
    leave,
    ...(options.signal && { signal: options.signal }),
    async onBegin(task, why) {
      options.onBegin?.(task.id, why);
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst) await forgetResult(run); // it is of what was
    },
    onEnd: (task, result) => options.onEnd?.(task.id, result),
  });
  const isDone = [...results.values()].every(({ state }) => state === "done" || state === "kept");
  const result = (await readManifest(run))?.experiment;
  return { run: options.run, results, ...(isDone && result && { result }) };
}

/** Whether a task trains, or lets a model of this machine answer: uv brings what that takes. */
function needsPython({ id, stage }: Task, recipe: ExperimentRecipe): boolean {
  if (stage !== "generate") return stage === "train";
  return listModels(recipe).some(({ name, model }) => id === `generate ${name}` && !isModelName(model));
}

/** @throws UsageError when the first stage that costs something is expected to cost more than there is */
function expectEnough({ tasks, budgetUsd, paidUsd }: ExperimentPlan): void {
  if (budgetUsd === null) return;
  const first = tasks.find(({ state, expectedUsd }) => state.state !== "done" && (expectedUsd ?? 0) > 0);
  if (first && first.expectedUsd! > budgetUsd - paidUsd)
    throw new UsageError(
      `--budget: expected at least ${formatUsd(first.expectedUsd! + paidUsd)}, which "${first.task}" is expected to need${paidUsd > 0 ? ` with the ${formatUsd(paidUsd)} paid before` : ""}, got ${formatUsd(budgetUsd)}; nothing was asked`,
    );
}

/** @throws RunError when a stage that is asked for needs one that is left out and was never done */
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

async function prepare(
  recipe: ExperimentRecipe,
  options: RunExperimentOptions,
): Promise<{ tasks: readonly Task[]; ledger: Ledger; leave: (task: Task) => boolean }> {
  if (recipe.recorded) return { tasks: [], ledger: await openLedger(runFolder(options.run)), leave: () => false };
  const { budgetUsd: given, ...others } = options;
  const budgetUsd = given ?? recipe.budget_usd;
  const run = runFolder(options.run);
  const tasks = listTasks({
    ...others,
    recipe,
    onReport: () => concludeRun(recipe, run),
    ...(budgetUsd !== undefined && { budgetUsd }),
  });
  const ledger = await openLedger(run);
  for (const stage of options.force ?? []) for (const task of tasks) if (task.stage === stage) ledger.forget(task.id);
  const firstStage = options.from === undefined ? 0 : experimentStages.indexOf(options.from);
  const leave = ({ stage }: Task) =>
    experimentStages.indexOf(stage) < firstStage || (options.only !== undefined && !options.only.includes(stage));
  await expectLeft(tasks.filter(leave), options);
  return { tasks, ledger, leave };
}

/** @throws RunError when a stage that is to be taken as it is was never done */
async function expectLeft(left: readonly Task[], { run, from, only }: RunExperimentOptions): Promise<void> {
  if (only) return; // what one of these needs and has not, it says itself
  for (const task of left)
    if ((await task.output()) === undefined)
      throw new RunError(
        `${run}: expected "${task.id}" to be done, since --from ${from} begins after it, found nothing; leave --from out`,
      );
}

/** Works out what the experiment came to, and keeps it in the run. */
async function concludeRun(recipe: ExperimentRecipe, run: RunFolder): Promise<void> {
  await keepResult(run, concludeExperiment(await gatherFacts(recipe, run)));
}

/** Takes an earlier result away, since something it follows from is done again. */
async function forgetResult(run: RunFolder): Promise<void> {
  if (!(await readManifest(run))?.experiment) return;
  await updateManifest(run, (manifest) => {
    const { experiment: _, ...rest } = manifest!;
    return rest;
  });
}

async function keepResult(run: RunFolder, experiment: ExperimentResult): Promise<void> {
  await updateManifest(run, (manifest) => ({
    version: manifestVersion,
    alpagasus: version,
    arms: {},
    ...manifest,
    experiment,
  }));
}

async function gatherFacts(recipe: ExperimentRecipe, run: RunFolder): Promise<ExperimentFacts> {
  const manifest = (await readManifest(run))!;
  const { name, caveat, source } = recipe;
  const models = listModels(recipe);
  return {
    name,
    ...(caveat !== undefined && { caveat }),
    ...(source !== undefined && { source }),
    arms: [...Object.keys(recipe.arms ?? {}), ...Object.keys(recipe.models)].map((arm) => {
      const trainings = models
        .filter((model) => model.arm === arm)
        .flatMap((model) => manifest.models?.[model.name] ?? [])
        .map(({ seed, trainMs, usd, finalLoss, lossCurve }) => ({
          seed,
          minutes: trainMs / 60_000,
          usd: priceTraining(recipe, trainMs, usd),
          finalLoss,
          lossCurve,
        }));
      return {
        arm,
        rows: (recipe.arms?.[arm] && manifest.arms[listDraws(recipe, arm)[0]!.name]?.rows) ?? null,
        trainings,
        ...meanTraining(trainings),
      };
    }),
    ...(recipe.train && { trainings: recipe.train.seeds.length }),
    matches: await gatherMatches(recipe, manifest, run),
    money: await gatherMoney(recipe, manifest, run),
    methods: Object.fromEntries(Object.entries(recipe.arms ?? {}).map(([arm, { method }]) => [arm, method])),
  };
}

/** What a training has cost: by the recipe's price an hour, which may have been told after it, else as it was counted. */
function priceTraining({ train }: ExperimentRecipe, trainMs: number, usd: number | null): number | null {
  return train?.usd_per_hour === undefined ? usd : (trainMs / 3_600_000) * train.usd_per_hour;
}

async function gatherMatches(
  recipe: ExperimentRecipe,
  manifest: Manifest,
  run: RunFolder,
): Promise<ExperimentFacts["matches"]> {
  const found = [];
  for (const judge of recipe.compare?.judges ?? [])
    for (const { a, b, pairs } of listMatches(recipe)) {
      const played = [];
      for (const [ours, theirs] of pairs) {
        const path = findVerdicts(manifest, run, [ours.name, theirs.name, nameJudge(judge, recipe)]);
        if (path !== undefined) played.push({ a: ours.name, b: theirs.name, verdicts: await readVerdicts(path) });
      }
      if (played.length > 0) found.push(poolMatches({ a, b, judge }, played));
    }
  return found;
}

/** The verdicts of a comparison that the run holds. */
function findVerdicts(
  { comparisons = {} }: Manifest,
  { folder }: RunFolder,
  [a, b, judge]: readonly [a: string, b: string, judge: string],
): string | undefined {
  const comparison = Object.values(comparisons).find(
    (other) => other.a === a && other.b === b && other.judge === judge && other.verdictsPath !== undefined,
  );
  const path = comparison && join(folder, "verdicts", basename(comparison.verdictsPath!));
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** What the replies behind each stage's figures cost; 0 where no model was asked, null where no price is known. */
async function gatherMoney(
  recipe: ExperimentRecipe,
  manifest: Manifest,
  run: RunFolder,
): Promise<ExperimentResult["money"]> {
  const names = listModels(recipe).map(({ name }) => name);
  const trainings = names
    .flatMap((name) => manifest.models?.[name] ?? [])
    .map(({ trainMs, usd }) => priceTraining(recipe, trainMs, usd));
  const training = trainings.some((usd) => usd === null) ? null : trainings.reduce<number>((sum, usd) => sum + usd!, 0);
  const purse = await readPurse(run);
  if (!purse) return { rating: 0, training, generating: 0, comparing: 0 };
  using store = new CallStore(purse.store, { readOnly: true });
  const cost = async (keys: AsyncIterable<string>) => {
    let nanos = 0;
    const seen = new Set<string>();
    for await (const key of keys) {
      if (seen.has(key)) continue; // one reply to a question that was asked twice
      seen.add(key);
      const call = store.find(key);
      if (call?.state === "replied" && call.cost === null) return null;
      nanos += call?.cost ?? 0;
    }
    return nanos / nanosPerUsd;
  };
  const verdicts = (recipe.compare?.judges ?? []).flatMap((judge) =>
    listMatches(recipe).flatMap(({ pairs }) =>
      pairs.flatMap(([a, b]) => findVerdicts(manifest, run, [a.name, b.name, nameJudge(judge, recipe)]) ?? []),
    ),
  );
  return {
    rating: manifest.rate?.calls ? await cost(ratingCalls(run)) : 0,
    training,
    generating: await cost(answerCalls(names.map((name) => run.answersPath(name)))),
    comparing: await cost(verdictCalls(verdicts)),
  };
}

async function* ratingCalls(run: RunFolder): AsyncGenerator<string> {
  for await (const lines of readRatings(run.ratingsPath))
    for (const line of lines) if ("call" in line && line.call !== undefined) yield line.call;
}

async function* answerCalls(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths)
    for (const { call } of (await readOwnAnswers(path)).answers) if (call !== undefined) yield call;
}

async function* verdictCalls(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths)
    for (const { orders } of await readVerdicts(path))
      for (const { call } of orders) if (call !== undefined) yield call;
}
