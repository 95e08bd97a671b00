import { readPositions } from "../dataset/positions.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { messageOf, UsageError } from "../errors.ts";
import { sizeSource, type ExperimentRecipe } from "../experiment/recipe.ts";
import type { Task } from "../experiment/task.ts";
import { openTestSets } from "../generation/test-sets.ts";
import { findLocalModel } from "../generation/local-model.ts";
import { chooseServer } from "../generation/serve-model.ts";
import { isEscalating } from "../judge/escalate.ts";
import { openJudge, openPairJudge, openRatingJudge } from "../judge/open.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import { isModelName } from "../llm/model-name.ts";
import { openModel } from "../llm/open-model.ts";
import { flatPrice, nanosPerUsd, type Price } from "../llm/price.ts";
import { openPairRubric } from "../rubric/open-rubric.ts";
import type { Manifest } from "../run/manifest.ts";
import { spentInAll } from "../run/spent.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { resolveBase } from "../trainer/base-model.ts";
import { planTraining } from "../trainer/plan-training.ts";
import { openTrainingRecipe } from "../trainer/recipe.ts";
import { listModels, type ExperimentModel } from "../experiment/models.ts";
import { folderOf, nameJudge, ratingJudges, ratingSettings, rubricOf, toOverrides } from "../experiment/names.ts";
import { estimateArm, openData, type TaskOptions } from "./experiment-tasks.ts";
import { guessedOutput, planRating } from "./plan-calls.ts";
import { checkCombination } from "./select.ts";

/*
 * What the tasks of an experiment that are due will take, as far as that can be known before.
 */

/** Money in US dollars. */
export interface TaskEstimate {
  /** Calls to a model, steps, rows or prompts, in words. */
  readonly what?: string;
  readonly expectedUsd?: number;
  /** Null where no bound is known. */
  readonly highestUsd?: number | null;
  readonly minutes?: number;
}

const verdictPromptTokens = 200; // of the rubric, around the prompt and both answers

/** What expected costs rest on, in words. */
export const estimateBasis = `the replies in the store; where there are none, guesses: ${guessedOutput.rows} tokens a rating, ${guessedOutput.prompts} an answer, ${guessedOutput.pairs} a verdict`;

/** @throws UsageError, DataError or RunError when a task could not be run as it is */
export async function estimateTasks(
  recipe: ExperimentRecipe,
  options: Omit<TaskOptions, "recipe">,
  due: readonly Task[],
): Promise<{ readonly estimates: ReadonlyMap<string, TaskEstimate>; readonly paidUsd: number }> {
  const run = runFolder(options.run);
  const manifest = await readManifest(run);
  const prompts = recipe.generate
    ? await openTestSets(recipe.generate.tests.map(recipe.pathOf), recipe.generate.limit)
    : [];
  const estimates = new Map<string, TaskEstimate>();
  const dueIds = new Set(due.map(({ id }) => id));
  let rows = manifest?.dataset?.rows;
  if (dueIds.has("rate")) {
    const rating = await estimateRating(recipe, options);
    ({ rows } = rating);
    estimates.set("rate", rating.estimate);
  }
  if (due.length > 0) await expectFeasible(recipe, rows, prompts, options);
  for (const model of listModels(recipe)) {
    const [training, answering] = [`train ${model.name}`, `generate ${model.name}`];
    if (dueIds.has(training)) estimates.set(training, await estimateTrainingOf(recipe, model, rows, manifest));
    if (dueIds.has(answering)) estimates.set(answering, await estimateAnswers(recipe, model.model, prompts));
  }
  for (const { id, stage } of due)
    if (stage === "compare") estimates.set(id, await estimateComparison(id, recipe, prompts));
  return { estimates, paidUsd: await spentInAll(run) };
}

/**
 * Looks before anything is spent whether all of it can be done: files, names, keys, sizes, and that the tests are none of
 * the training data.
 *
 * @throws UsageError or DataError at the first thing that is wrong
 */
async function expectFeasible(
  recipe: ExperimentRecipe,
  rows: number | undefined,
  prompts: readonly TestPrompt[],
  { run, budgetUsd }: Omit<TaskOptions, "recipe">,
): Promise<void> {
  const isLimited = (budgetUsd ?? recipe.budget_usd) !== undefined;
  const { arms = {}, compare, generate: generation, models, rate, train, pathOf, at } = recipe;
  for (const arm of Object.keys(arms)) expectArm(recipe, arm);
  for (const [arm, { top, rows: file }] of Object.entries(arms)) {
    if (typeof top === "number" && rows !== undefined && top > rows)
      throw new UsageError(
        `${at(["arms", arm, "top"])}: arms.${arm}.top: expected at most the ${rows} rows of the data, got ${top}`,
      );
    if (file !== undefined) await readPositions(pathOf(file));
  }
  if (compare?.rubric !== undefined) await openPairRubric(rubricOf(compare.rubric, recipe));
  const { judges = [], to } = rate ? ratingJudges(recipe) : {};
  const rating = [...judges, ...(to === undefined ? [] : [to])];
  for (const name of rating) await expectJudge(name, (one) => openJudge(one));
  for (const judge of compare?.judges ?? []) await expectJudge(nameJudge(judge, recipe), openPairJudge);
  for (const model of Object.values(models))
    if (!isModelName(model)) await findLocalModel(folderOf(model, pathOf), runFolder(run));
  const asked = [...rating, ...(compare?.judges ?? []), ...Object.values(models)];
  for (const name of asked.map((judge) => nameJudge(judge, recipe)).filter(isModelName)) {
    const { problem, price } = await openModel(name);
    if (problem !== undefined) throw new UsageError(problem);
    if (isLimited && !price && !recipe.prices[name])
      throw new UsageError(
        `${name}: expected a model whose price is known, since there is a budget; give it in the recipe, prices: { ${JSON.stringify(name)}: { input: 0, output: 0 } } (US dollars for a million tokens)`,
      );
  }
  if (train) {
    const { recipe: name, seeds: _, ...given } = train;
    const plan = planTraining(await openTrainingRecipe(pathOf(name)), 1, toOverrides(given, recipe));
    resolveBase(plan.settings.base);
  }
  const isServed = train !== undefined || Object.values(models).some((model) => !isModelName(model));
  if (isServed && (generation?.temperature ?? 0) > 0 && (generation?.server ?? chooseServer()) === "transformers")
    throw new UsageError(
      `${at(["generate", "temperature"])}: generate.temperature: expected 0, since transformers serve answers greedily only, got ${generation!.temperature}`,
    );
  await expectOtherTests(recipe, prompts);
}

/** @throws UsageError, DataError when a judge that asks no model cannot be opened */
async function expectJudge(name: string, open: (name: string) => Promise<unknown>): Promise<void> {
  if (!isModelName(name)) await open(name);
}

/** @throws UsageError when an arm's settings do not go together */
function expectArm(recipe: ExperimentRecipe, arm: string): void {
  const { method, min_score: minScore, top, like, where, per, dedup, diverse, rows } = recipe.arms![arm]!;
  const isRemoved = recipe.contamination === "remove";
  try {
    checkCombination(rows === undefined ? method : "rows", {
      run: "",
      ...(minScore !== undefined && { minScore }),
      ...(top !== undefined && { top: 1 }),
      ...(like !== undefined && { like }),
      ...(where !== undefined && { where }),
      ...(per !== undefined && { per }),
      ...(dedup && { dedup }),
      ...(diverse !== undefined && { diverse }),
      ...(isRemoved && rows !== undefined && { decontaminate: [] }),
    });
    if (top === "0%") throw new UsageError("top: expected a share over 0 %");
  } catch (cause) {
    throw new UsageError(`${recipe.at(["arms", arm])}: arms.${arm}: ${messageOf(cause)}`, { cause });
  }
}

const mostShared = 0.5; // of the test prompts: single overlaps are the contamination gate's

/** @throws UsageError when most test prompts stand in the data: then they are the same thing */
async function expectOtherTests(recipe: ExperimentRecipe, prompts: readonly TestPrompt[]): Promise<void> {
  if (prompts.length === 0 || recipe.contamination !== "stop" || !recipe.arms) return;
  const left = new Set(prompts.map(({ instruction, input }) => `${instruction}\0${input}`));
  const all = left.size;
  for await (const batch of (await openData(recipe)).batches())
    for (const { instruction, input } of batch) left.delete(`${instruction}\0${input}`);
  const shared = all - left.size;
  if (shared > mostShared * all)
    throw new UsageError(
      `${recipe.at(["generate", "tests"])}: generate.tests: expected prompts that are no training data, ${shared} of ${all} stand in the data, word for word; choose others`,
    );
}

async function estimateRating(
  recipe: ExperimentRecipe,
  options: Omit<TaskOptions, "recipe">,
): Promise<{ rows: number; estimate: TaskEstimate }> {
  const { judges } = ratingJudges(recipe);
  const dataset = await openData(recipe);
  const { judge, models, close } = await openRatingJudge(judges, {
    run: options.run,
    forPlan: true,
    ...ratingSettings(recipe),
  });
  try {
    let rows = 0;
    for await (const batch of dataset.batches()) rows += batch.length;
    if (models.length === 0) return { rows, estimate: { what: `${rows} rows` } };
    let [left, expected, highest]: [number, number | undefined, number | null] = [0, 0, 0];
    for (const model of models) {
      const asked = isEscalating(judge) ? { batches: () => judge.expect(() => dataset.batches()) } : dataset;
      const { calls, expectedUsd, highestUsd } = await planRating(asked, { judge: model });
      left += calls.left;
      expected = expected === undefined || expectedUsd === null ? undefined : expected + expectedUsd;
      highest = highest === null || highestUsd === null ? null : highest + highestUsd;
    }
    return {
      rows,
      estimate: {
        what: `${left} calls`,
        ...(expected !== undefined && { expectedUsd: expected }),
        highestUsd: highest,
      },
    };
  } finally {
    close();
  }
}

async function estimateTrainingOf(
  recipe: ExperimentRecipe,
  { arm, rows: drawn }: ExperimentModel,
  all: number | undefined,
  manifest: Manifest | undefined,
): Promise<TaskEstimate> {
  const { recipe: name, seeds: _, ...given } = recipe.train!;
  const rows = manifest?.arms[drawn!]?.rows ?? guessRows(recipe, arm!, all);
  if (rows === undefined) {
    const { usdPerHour } = await estimateArm(
      await openTrainingRecipe(recipe.pathOf(name)),
      1,
      toOverrides(given, recipe),
      manifest,
    );
    return usdPerHour !== undefined && usdPerHour > 0 ? { highestUsd: null } : {};
  }
  const training = await openTrainingRecipe(recipe.pathOf(name));
  const { steps, minutes, usd, usdPerHour } = await estimateArm(training, rows, toOverrides(given, recipe), manifest);
  return {
    what: `${steps} steps`,
    ...(minutes !== undefined && { minutes }),
    ...(usd !== undefined && { expectedUsd: usd }),
    ...(usdPerHour !== undefined && usdPerHour > 0 && { highestUsd: null }), // nobody knows how long it may take
  };
}

/** How many rows an arm will have, where its size is said. */
function guessRows(recipe: ExperimentRecipe, arm: string, all: number | undefined): number | undefined {
  const { top, method } = recipe.arms![arm]!;
  if (method === "full") return all;
  if (typeof top === "number") return top;
  if (top !== undefined) return all === undefined ? undefined : Math.round((all * Number(top.slice(0, -1))) / 100);
  const other = sizeSource(recipe, arm);
  return other === undefined ? undefined : guessRows(recipe, other, all);
}

/** What a model's calls cost, by the recipe or the price list; undefined where neither has it. */
async function priceOf(model: string, { prices }: ExperimentRecipe): Promise<Price | undefined> {
  const given = prices[model];
  return given ? flatPrice(given.input, given.output) : (await openModel(model)).price;
}

async function estimateAnswers(
  recipe: ExperimentRecipe,
  model: string,
  prompts: readonly TestPrompt[],
): Promise<TaskEstimate> {
  const settings = recipe.generate;
  const what = `${prompts.length} prompts`;
  if (!isModelName(model)) return { what };
  const price = await priceOf(model, recipe);
  if (!price) return { what, highestUsd: null };
  const texts = prompts.map(({ instruction, input }) => instruction + input);
  const cost = (output: number, inputOf: (text: string) => number) =>
    texts.reduce((sum, text) => sum + price.highestCost(Math.ceil(inputOf(text)), output), 0) / nanosPerUsd;
  return {
    what,
    expectedUsd: cost(Math.min(guessedOutput.prompts, settings!.max_output_tokens), estimateTokens),
    highestUsd: cost(settings!.max_output_tokens, (text) => Buffer.byteLength(text)),
  };
}

/** Answers are not there yet: they are taken to be as long as answers are, and no bound is known. */
async function estimateComparison(
  id: string,
  recipe: ExperimentRecipe,
  prompts: readonly TestPrompt[],
): Promise<TaskEstimate> {
  const { compare: settings, generate: generation } = recipe;
  const judge = nameJudge(
    settings!.judges.find((name) => id.endsWith(` by ${name}`))!,
    recipe,
  );
  const what = `${2 * prompts.length} judgements`;
  if (!isModelName(judge)) return { what };
  const price = await priceOf(judge, recipe);
  if (!price) return { what, highestUsd: null };
  const answer = Math.min(guessedOutput.prompts, generation!.max_output_tokens);
  const nanos = prompts.reduce((sum, { instruction, input }) => {
    const prompt = Math.ceil(estimateTokens(instruction + input));
    return sum + 2 * price.highestCost(verdictPromptTokens + prompt + 2 * answer, guessedOutput.pairs);
  }, 0);
  return { what, expectedUsd: nanos / nanosPerUsd, highestUsd: null };
}
