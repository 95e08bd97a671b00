import { existsSync } from "node:fs";
import { openAtomicFile } from "../files/atomic-file.ts";
import { basename, join } from "node:path";
import { readAnswers } from "../comparison/answers.ts";
import { openDataset, type Dataset } from "../dataset/open.ts";
import { readPositions } from "../dataset/positions.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { RunError } from "../errors.ts";
import { hashArm, hashBase, hashFile, hashFiles, hashJudge, hashText, identifyModel } from "../experiment/hashes.ts";
import { listDraws, listMatches, listModels, type Draw, type ExperimentModel } from "../experiment/models.ts";
import { folderOf, nameJudge, ratingJudges, ratingSettings, rubricOf, toOverrides } from "../experiment/names.ts";
import { sizeSource, type ExperimentRecipe } from "../experiment/recipe.ts";
import type { ExperimentStage, Task, TaskEnd } from "../experiment/task.ts";
import { formatCount } from "../format.ts";
import { openAnswerer, type OpenAnswerer } from "../generation/open-answerer.ts";
import { openTestSets } from "../generation/test-sets.ts";
import { openLlmPairJudge, openPairJudge, openRatingJudge, type OpenLlmPairJudge } from "../judge/open.ts";
import type { OpenAskerOptions } from "../judge/open-asker.ts";
import { isModelName } from "../llm/model-name.ts";
import { openPairRubric, openRubric } from "../rubric/open-rubric.ts";
import type { CallsRecord, Gate } from "../run/records/common.ts";
import type { Manifest } from "../run/manifest.ts";
import { readManifest, runFolder, type RunFolder } from "../run/run-folder.ts";
import { spentInAll, spentOnTraining } from "../run/spent.ts";
import { contaminationFinder } from "../selection/contamination.ts";
import { countParameters } from "../trainer/base-model.ts";
import { estimateTraining, findTimed, type TrainingEstimate } from "../trainer/estimate.ts";
import { planTraining, type TrainingOverrides, type TrainingPlan } from "../trainer/plan-training.ts";
import { openTrainingRecipe, type TrainingRecipe } from "../trainer/recipe.ts";
import { compare, comparisonName } from "./compare.ts";
import { generate } from "./generate.ts";
import type { Progress } from "./progress.ts";
import { rate } from "./rate.ts";
import { report } from "./report.ts";
import { select } from "./select.ts";
import { train } from "./train.ts";

/*
 * The tasks of an experiment: which stages it has, in an order in which each can be done after those before it, and what
 * each one's result follows from.
 */

export interface TaskOptions {
  readonly recipe: ExperimentRecipe;
  readonly run: string;
  /** What the user typed. */
  readonly command?: string;
  readonly signal?: AbortSignal;
  /** US dollars for all stages together, trainings by the hour included. */
  readonly budgetUsd?: number;
  readonly onProgress?: (task: string, progress: Progress) => void;
  /** Ask again where a call failed. */
  readonly retryFailed?: boolean;
  /** Stages that are done again, whether anything changed or not. */
  readonly force?: readonly ExperimentStage[];
  /** Called before the report is written, when all else is done. */
  readonly onReport?: () => Promise<void>;
}

/** All tasks, in an order in which each comes after those that it needs. */
export function listTasks(options: TaskOptions): Task[] {
  const { recipe } = options;
  const context = new Context(options);
  const tasks: Task[] = [];
  if (recipe.rate) tasks.push(rateTask(context));
  const draws = orderArms(recipe).flatMap((arm) => listDraws(recipe, arm));
  for (const draw of draws) tasks.push(selectTask(context, draw));
  const isGuarded = draws.length > 0 && recipe.generate !== undefined;
  if (isGuarded)
    tasks.push(
      contaminationTask(
        context,
        draws.map(({ name }) => name),
      ),
    );
  for (const model of listModels(recipe)) {
    if (model.arm !== undefined) tasks.push(trainTask(context, model, isGuarded));
    if (recipe.generate) tasks.push(generateTask(context, model)); // before the next training: it can be judged meanwhile
  }
  for (const judge of recipe.compare?.judges ?? [])
    for (const { pairs } of listMatches(recipe))
      for (const pair of pairs) tasks.push(compareTask(context, judge, pair));
  tasks.push(reportTask(context, [...tasks]));
  // a budget over calls and trainings together: one after the other, so that neither spends what the other will
  const isOneByOne = options.budgetUsd !== undefined && recipe.train !== undefined;
  return isOneByOne ? tasks.map((task) => ({ ...task, resource: "machine" as const })) : tasks;
}

/** The arms, each after the one whose size it takes. @throws RunError when they take each other's */
function orderArms(recipe: ExperimentRecipe): string[] {
  const { arms = {}, at } = recipe;
  const ordered: string[] = [];
  const add = (arm: string, above: readonly string[]) => {
    if (ordered.includes(arm)) return;
    const needed = sizeSource(recipe, arm);
    if (above.includes(arm))
      throw new RunError(
        `${at(["arms", arm])}: arms.${arm}: expected a size of its own, got that of ${above.join(", ")} in turn; give it top`,
      );
    if (needed !== undefined && needed !== arm) add(needed, [...above, arm]);
    ordered.push(arm);
  };
  for (const arm of Object.keys(arms)) add(arm, []);
  return ordered;
}

/** What tasks share. */
class Context {
  readonly options: TaskOptions;
  readonly recipe: ExperimentRecipe;
  readonly run: RunFolder;
  #prompts: Promise<TestPrompt[]> | undefined;

  constructor(options: TaskOptions) {
    this.options = options;
    this.recipe = options.recipe;
    this.run = runFolder(options.run);
  }

  /** The prompts of all test sets. */
  prompts(): Promise<TestPrompt[]> {
    const { generate: generation, pathOf } = this.recipe;
    return (this.#prompts ??= openTestSets((generation?.tests ?? []).map(pathOf), generation?.limit));
  }

  async manifest(): Promise<Manifest | undefined> {
    return readManifest(this.run);
  }

  openDataset(): Promise<Dataset> {
    return openData(this.recipe, this.options.signal);
  }

  /** What every stage is told. */
  stage(task: string): { run: string; command?: string; onProgress: (progress: Progress) => void } {
    const { run, command, onProgress } = this.options;
    return {
      run,
      ...(command !== undefined && { command }),
      onProgress: (progress) => onProgress?.(task, progress),
    };
  }

  /** A further model, with its folder as it is seen from here. */
  answererOf(model: string): string {
    return folderOf(model, this.recipe.pathOf);
  }

  /** How many calls of a task have failed, where they are to be asked again. */
  askAgain(failedCalls: () => Promise<number>): Pick<Task, "failedCalls"> {
    return this.options.retryFailed ? { failedCalls } : {};
  }

  /** What every stage that asks a model is told; of the budget, what trainings have left. */
  async asking(model: string): Promise<OpenAskerOptions> {
    const { run, budgetUsd, signal, retryFailed } = this.options;
    const price = this.recipe.prices[model];
    return {
      run,
      ...(budgetUsd !== undefined && { budgetUsd: Math.max(0, budgetUsd - (await spentOnTraining(this.run))) }),
      ...(price && { price }),
      ...(signal && { signal }),
      ...(retryFailed && { retryFailed: true }),
    };
  }
}

/** The data of a recipe. */
export function openData({ data, map, shape, pathOf }: ExperimentRecipe, signal?: AbortSignal): Promise<Dataset> {
  return openDataset(pathOf(data!), {
    ...(map ? { map } : {}),
    ...(shape !== undefined && { shape }),
    ...(signal && { signal }),
  });
}

const rateId = "rate";
const contaminationId = "contamination";

function rateTask(context: Context): Task {
  const { recipe } = context;
  const settings = recipe.rate!;
  const { judges, to } = ratingJudges(recipe);
  const all = [...judges, ...(to === undefined ? [] : [to])];
  return {
    id: rateId,
    stage: "rate",
    needs: [],
    resource: all.some(isModelName) ? "calls" : "machine",
    async inputs() {
      const dataset = await context.openDataset();
      return {
        data: await hashFiles(dataset.files.map(({ path }) => path)),
        columns: JSON.stringify([recipe.map ?? null, recipe.shape ?? null]),
        judge: typeof settings.judge === "string" ? settings.judge : settings.judge.join(", "),
        "the judge's file": (await Promise.all(all.map(hashJudge))).join(" "),
        rubric: all.some(isModelName)
          ? (await openRubric(settings.rubric && rubricOf(settings.rubric, recipe))).hash
          : "none",
        ...describeMeans(settings),
        scale: JSON.stringify(settings.scale ?? null),
        reasoning: settings.reasoning ?? "as its provider sets it",
        min_coverage: String(settings.min_coverage),
      };
    },
    output: () => hashFile(context.run.ratingsPath),
    ...context.askAgain(async () => (await context.manifest())?.rate?.states.failed ?? 0),
    async run() {
      const { judge, models, close } = await openRatingJudge(judges, {
        ...(await context.asking("")),
        ...ratingSettings(recipe),
      });
      try {
        const summary = await rate(await context.openDataset(), {
          ...context.stage(rateId),
          judge,
          overwrite: true,
          minCoverage: settings.min_coverage,
          ...(models.length === 0 && context.options.signal && { signal: context.options.signal }),
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        close();
      }
    },
  };
}

/** What of the settings makes other scores; nothing where all is as it always was. */
function describeMeans({
  combine,
  rescale,
  escalate,
  logprobs,
  samples,
}: NonNullable<ExperimentRecipe["rate"]>): Record<string, string> {
  return {
    ...(combine && { combine }),
    ...(rescale && { rescale: "yes" }),
    ...(escalate && { escalate: JSON.stringify(escalate) }),
    ...(logprobs && { logprobs: "yes" }),
    ...(samples !== undefined && { samples: String(samples) }),
  };
}

function selectTask(context: Context, { name: arm, arm: of, seed }: Draw): Task {
  const { recipe } = context;
  const { min_score: minScore, like: _, rows, method, top, seed: __, ...chosen } = recipe.arms![of]!;
  const others = { ...chosen, seed };
  const source = sizeSource(recipe, of);
  const like = source === undefined ? undefined : listDraws(recipe, source)[0]!.name; // all draws of an arm have one size
  const id = `select ${arm}`;
  const count = typeof top === "string" ? { share: Number(top.slice(0, -1)) / 100 } : top;
  return {
    id,
    stage: "select",
    needs: [rateId, ...(like === undefined ? [] : [`select ${like}`])],
    resource: "machine",
    async inputs() {
      const manifest = await context.manifest();
      return {
        ratings: manifest?.rate?.ratingsHash ?? "none",
        min_score: String(minScore ?? "none"),
        top: String(top ?? "none"),
        ...(like !== undefined && { [`the size of ${like}`]: String(manifest?.arms[like]?.rows ?? "none") }),
        rows: rows === undefined ? "none" : ((await hashFile(recipe.pathOf(rows))) ?? "none"),
        choice: JSON.stringify({ method, ...others }),
        ...(recipe.contamination === "remove" && { prompts: hashText(JSON.stringify(await context.prompts())) }),
      };
    },
    async output() {
      const summary = (await context.manifest())?.arms[arm];
      return summary && hashFile(join(context.run.folder, "arms", basename(summary.path)));
    },
    async run() {
      const { where, per, dedup, diverse } = others;
      const { gates } = await select({
        ...context.stage(id),
        arm,
        seed,
        minCoverage: recipe.rate!.min_coverage,
        ...(rows === undefined && { method }),
        ...(rows !== undefined && { rows: await readPositions(recipe.pathOf(rows)) }),
        ...(minScore !== undefined && { minScore }),
        ...(count !== undefined && { top: count }),
        ...(like !== undefined && { like }),
        ...(where !== undefined && { where }),
        ...(per !== undefined && { per }),
        ...(dedup && { dedup }),
        ...(diverse !== undefined && { diverse }),
        ...(recipe.contamination === "remove" && { decontaminate: await context.prompts() }),
        ...(context.options.signal && { signal: context.options.signal }),
      });
      return { gates };
    },
  };
}

/** Looks for rows of any arm that overlap a test prompt: a gate between choosing rows and training on them. */
function contaminationTask(context: Context, arms: readonly string[]): Task {
  const { recipe } = context;
  const path = join(context.run.folder, "contamination.json");
  const armFile = async (arm: string) => {
    const summary = (await context.manifest())?.arms[arm];
    return summary && join(context.run.folder, "arms", basename(summary.path));
  };
  return {
    id: contaminationId,
    stage: "contamination",
    needs: arms.map((arm) => `select ${arm}`),
    resource: "machine",
    async inputs() {
      const files = await Promise.all(arms.map(async (arm) => [`rows of ${arm}`, await hashArm(await armFile(arm))]));
      return {
        ...(Object.fromEntries(files) as Record<string, string>),
        prompts: hashText(JSON.stringify(await context.prompts())),
        contamination: recipe.contamination,
      };
    },
    output: () => hashFile(path),
    async run() {
      const find = contaminationFinder(await context.prompts());
      const dataset = (await context.manifest())!.dataset!;
      const found: { arm: string; row: number; test?: string; prompt?: string; words?: string }[] = [];
      for (const arm of arms) {
        const { map, shape } = dataset;
        const rows = await openDataset((await armFile(arm))!, map ? { map } : { shape });
        for await (const batch of rows.batches())
          for (const example of batch) {
            const overlap = find(example);
            if (overlap) found.push({ arm, row: example.index, ...overlap });
          }
      }
      const file = openAtomicFile(path);
      await file.write(`${JSON.stringify(found, null, 2)}\n`);
      await file.commit();
      const first = found[0];
      const message =
        first === undefined
          ? `no row of ${arms.join(", ")} overlaps a test prompt`
          : `${formatCount(found.length)} rows overlap test prompts, such as row ${first.row} of ${first.arm} and ${first.prompt} of ${first.test} ("${first.words}"); all are in ${path}; leave them out with contamination: remove, or go on with contamination: note`;
      return {
        gates: [{ name: "contamination", held: first === undefined || recipe.contamination !== "stop", message }],
      };
    },
  };
}

function trainTask(context: Context, { name, rows: arm, seed }: ExperimentModel, isGuarded: boolean): Task {
  const { recipe } = context;
  const { recipe: recipeName, seeds: _, usd_per_hour: __, ...settings } = recipe.train!;
  const id = `train ${name}`;
  const overrides = { ...toOverrides(recipe.train!, recipe), seed: seed! };
  return {
    id,
    stage: "train",
    needs: [`select ${arm!}`, ...(isGuarded ? [contaminationId] : [])],
    resource: "machine",
    async inputs() {
      const summary = (await context.manifest())?.arms[arm!];
      const training = await openTrainingRecipe(recipe.pathOf(recipeName));
      return {
        [`rows of ${arm!}`]: await hashArm(summary && join(context.run.folder, "arms", basename(summary.path))),
        recipe: hashText(JSON.stringify({ ...training, description: "", source: "" })),
        settings: JSON.stringify(settings), // but for the price, which changes no model
        ...(await hashBase(settings.base, recipe)),
        seed: String(seed),
      };
    },
    async output() {
      const model = (await context.manifest())?.models?.[name];
      return model && existsSync(join(context.run.folder, "models", name, "output")) ? identifyModel(model) : undefined;
    },
    async run() {
      const manifest = await context.manifest();
      const training = await openTrainingRecipe(recipe.pathOf(recipeName));
      const { usd: needed = 0, usdPerHour } = await estimateArm(
        training,
        manifest?.arms[arm!]?.rows ?? 0,
        overrides,
        manifest,
      );
      const { budgetUsd, signal, force = [] } = context.options;
      const left = (budgetUsd ?? Infinity) - (await spentInAll(context.run));
      if (needed > left || (usdPerHour !== undefined && usdPerHour > 0 && left <= 0))
        return {
          gates: [],
          stopped: "budget",
          failure: `it is expected to cost $${needed.toFixed(2)}, and $${Math.max(0, left).toFixed(2)} of the budget are left`,
        };
      // it ends with the money, however long it was expected to take
      const most =
        usdPerHour !== undefined && usdPerHour > 0 && left < Infinity ? (3_600_000 * left) / usdPerHour : undefined;
      const deadline = most === undefined || most > longestTimer ? undefined : AbortSignal.timeout(most);
      const ends = [signal, deadline].filter((end) => end !== undefined);
      try {
        const summary = await train({
          ...context.stage(id),
          arm: arm!,
          model: name,
          recipe: training,
          overrides,
          overwrite: true,
          ...(force.includes("train") && { again: true }),
          ...(ends.length > 0 && { signal: AbortSignal.any(ends) }),
        });
        return { gates: summary.gates };
      } catch (error) {
        if (!deadline?.aborted || signal?.aborted) throw error;
        return {
          gates: [],
          stopped: "budget",
          failure: "the budget was used up before it came to its end; it goes on from its last checkpoint",
        };
      }
    },
  };
}

/** What training on so many rows will take; by one of this run where there is one like it. */
export async function estimateArm(
  training: TrainingRecipe,
  rows: number,
  overrides: TrainingOverrides,
  manifest: Manifest | undefined,
): Promise<TrainingEstimate & Pick<TrainingPlan, "steps" | "usdPerHour">> {
  const plan = planTraining(training, rows, overrides);
  const estimate = estimateTraining(plan, await countParameters(plan.settings.base), findTimed(manifest?.models, plan));
  return { ...estimate, steps: plan.steps, ...(plan.usdPerHour !== undefined && { usdPerHour: plan.usdPerHour }) };
}

function generateTask(context: Context, { name, arm, model }: ExperimentModel): Task {
  const { recipe } = context;
  const settings = recipe.generate!;
  const id = `generate ${name}`;
  return {
    id,
    stage: "generate",
    needs: arm === undefined ? [] : [`train ${name}`],
    resource: isModelName(model) ? "calls" : "machine",
    async inputs() {
      return {
        model:
          arm === undefined ? context.answererOf(model) : identifyModel((await context.manifest())?.models?.[name]),
        prompts: hashText(JSON.stringify(await context.prompts())),
        max_output_tokens: String(settings.max_output_tokens),
        temperature: String(settings.temperature),
        server: settings.server ?? "what fits the machine",
        min_coverage: String(settings.min_coverage),
      };
    },
    output: () => hashFile(context.run.answersPath(name)),
    ...context.askAgain(async () => {
      const sets = (await context.manifest())?.answers?.[name]?.sets ?? [];
      return sets.reduce((sum, { failed }) => sum + failed, 0);
    }),
    async run() {
      const answerer = await openExperimentAnswerer(context, arm === undefined ? context.answererOf(model) : model);
      try {
        const summary = await generate(await context.prompts(), {
          ...context.stage(id),
          answerer,
          name,
          overwrite: true,
          minCoverage: settings.min_coverage,
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        await answerer.close();
      }
    },
  };
}

async function openExperimentAnswerer(context: Context, model: string): Promise<OpenAnswerer> {
  const { max_output_tokens: maxOutputTokens, temperature, server, batch } = context.recipe.generate!;
  return openAnswerer(model, {
    ...(await context.asking(model)),
    ...(batch && isModelName(model) && { batch: {} }),
    maxOutputTokens,
    sampling: { temperature },
    ...(server && !isModelName(model) && { server }),
  });
}

function compareTask(context: Context, judge: string, [a, b]: readonly [ExperimentModel, ExperimentModel]): Task {
  const { recipe } = context;
  const settings = recipe.compare!;
  const judgeName = nameJudge(judge, recipe);
  const id = `compare ${a.name} ${b.name} by ${judge}`;
  return {
    id,
    stage: "compare",
    needs: [`generate ${a.name}`, `generate ${b.name}`],
    resource: isModelName(judgeName) ? "calls" : "machine",
    async inputs() {
      return {
        [`answers of ${a.name}`]: (await hashFile(context.run.answersPath(a.name))) ?? "none",
        [`answers of ${b.name}`]: (await hashFile(context.run.answersPath(b.name))) ?? "none",
        judge,
        "the judge's file": await hashJudge(judgeName),
        rubric: isModelName(judgeName)
          ? (await openPairRubric(settings.rubric && rubricOf(settings.rubric, recipe))).hash
          : "none",
        reasoning: settings.reasoning ?? "as its provider sets it",
        min_coverage: String(settings.min_coverage),
      };
    },
    output: () => hashFile(join(context.run.folder, "verdicts", `${comparisonName(a.name, b.name, judgeName)}.jsonl`)),
    ...context.askAgain(async () => {
      const own = (await context.manifest())?.comparisons?.[comparisonName(a.name, b.name, judgeName)];
      return own?.states["failed"] ?? 0;
    }),
    async run() {
      const pairJudge = await openComparingJudge(context, judgeName);
      const arms = await Promise.all(
        [a, b].map(async ({ name }) => ({ name, ...(await readAnswers(context.run.answersPath(name))) })),
      );
      try {
        const summary = await compare(arms[0]!, arms[1]!, {
          ...context.stage(id),
          judge: pairJudge,
          overwrite: true,
          minCoverage: settings.min_coverage,
          ...(!("close" in pairJudge) && context.options.signal && { signal: context.options.signal }),
        });
        return endOf(summary.gates, summary.calls);
      } finally {
        if ("close" in pairJudge) pairJudge.close();
      }
    },
  };
}

async function openComparingJudge(
  context: Context,
  judge: string,
): Promise<OpenLlmPairJudge | Awaited<ReturnType<typeof openPairJudge>>> {
  const { rubric, reasoning, batch } = context.recipe.compare!;
  if (!isModelName(judge)) return openPairJudge(judge);
  return openLlmPairJudge(judge, {
    ...(await context.asking(judge)),
    ...(batch && { batch: {} }),
    ...(rubric !== undefined && { rubric: rubricOf(rubric, context.recipe) }),
    ...(reasoning && { reasoning }),
  });
}

/** The page, and the figures in it. */
function reportTask(context: Context, before: readonly Task[]): Task {
  return {
    id: "report",
    stage: "report",
    needs: before.map(({ id }) => id),
    resource: "machine",
    async inputs() {
      const outputs = await Promise.all(
        before.map(async (task) => [task.id, (await task.output()) ?? "none"] as const),
      );
      return { recipe: context.recipe.hash, ...Object.fromEntries(outputs) };
    },
    async output() {
      const result = (await context.manifest())?.experiment;
      return result && existsSync(join(context.run.folder, "report.html"))
        ? hashText(JSON.stringify(result))
        : undefined;
    },
    async run() {
      await context.options.onReport?.();
      await report({ run: context.run.folder });
      return { gates: [] };
    },
  };
}

/** How a stage's end reads as a task's. */
function endOf(gates: readonly Gate[], calls: CallsRecord | undefined): TaskEnd {
  return {
    gates,
    ...(calls?.stopped && { stopped: calls.stopped }),
    ...(calls?.failure !== undefined && { failure: calls.failure }),
  };
}

const longestTimer = 2 ** 31 - 1; // milliseconds
