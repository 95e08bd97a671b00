import { valueAt } from "../../dataset/column-path.ts";
import { readPositions } from "../../dataset/positions.ts";
import { openDataset } from "../../dataset/open.ts";
import type { TestPrompt } from "../../dataset/prompts.ts";
import { DataError, messageOf, UsageError } from "../../errors.ts";
import { formatNumbered } from "../../format.ts";
import { openEmbedder } from "../../embedding/open.ts";
import { readTargetTexts } from "../../embedding/texts.ts";
import { readQuota } from "../../experiment/quota.ts";
import type { Embedding } from "../../experiment/resolve.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import { findLocalModel } from "../../generation/local-model.ts";
import { chooseServer } from "../../generation/serve-model.ts";
import { openJudge, openPairJudge } from "../../judge/open.ts";
import { isModelName } from "../../llm/model-name.ts";
import { callsModel, readServedMeasure } from "../../likelihood/measure-name.ts";
import { openModel } from "../../llm/open-model.ts";
import { contaminationFinder } from "../../selection/contamination.ts";
import { expectUsearch } from "../../selection/neighbours.ts";
import { openPairRubric, openRubric } from "../../rubric/open-rubric.ts";
import { resolveBase } from "../../trainer/base-model.ts";
import { planTraining } from "../../trainer/plan-training.ts";
import { openTrainingRecipe } from "../../trainer/recipe.ts";
import { expectScoreName } from "../rate-checks.ts";
import { WordWatch } from "../../selection/watch.ts";
import { Grouping } from "../select/grouping.ts";
import { checkCombination } from "../select/plan.ts";
import { openData, type Context } from "./context.ts";
import { expectExpressions, mostTried } from "./expect-expressions.ts";
import { expectRecorded } from "./expect-recorded.ts";
import { expectScale } from "./expect-scale.ts";
import { expectTurns } from "../generate.ts";
import { readHeldOut } from "../held-out.ts";

/**
 * Checks before anything is spent that all of it can be run: files, names, keys, sizes, and that the test prompts are not
 * training data.
 *
 * @param planNotes for a plan: what a run would lack that is not in the recipe, such as keys, is added here instead of thrown
 * @throws UsageError or DataError at the first problem
 */
export async function expectFeasible(context: Context, rows: number | undefined, planNotes?: string[]): Promise<void> {
  const { recipe, experiment, options } = context;
  const { rating, scores, draws, training, answering, generation, comparison } = experiment;
  const { at } = recipe;
  const isLimited = (options.budgetUsd ?? recipe.budget_usd) !== undefined;
  for (const arm of Object.keys(recipe.arms ?? {})) {
    expectArm(recipe, arm);
    const { dedup, diverse, vectors, method } = recipe.arms![arm]!;
    if (method === "representative" || dedup === "semantic" || (diverse !== undefined && vectors !== undefined))
      expectUsearch(`${at(["arms", arm])}: arms.${arm}`);
  }
  if (recipe.watch !== undefined)
    try {
      void new WordWatch(recipe.watch);
    } catch (cause) {
      throw new UsageError(`${at(["watch"])}: ${messageOf(cause).replace("--watch", "watch")}`, { cause });
    }
  for (const { arm, top, rowsPath } of draws) {
    if (typeof top === "number" && rows !== undefined && top > rows)
      throw new UsageError(
        `${at(["arms", arm, "top"])}: arms.${arm}.top: expected at most the ${rows} rows of the data, got ${top}`,
      );
    const positions = rowsPath === undefined ? [] : await readPositions(rowsPath);
    const outside = rows === undefined ? undefined : positions.find((position) => position >= rows);
    if (outside !== undefined)
      throw new UsageError(
        `${at(["arms", arm, "rows"])}: arms.${arm}.rows: expected positions from 0 to ${rows! - 1} in ${rowsPath}, got ${outside}`,
      );
  }
  const pairJudges = (comparison?.judges ?? []).map(({ name }) => name);
  for (const { name } of scores)
    await expectScoreName(name).catch((cause: unknown) => {
      throw new UsageError(`${at(["scores", name])}: scores.${name}: ${messageOf(cause).replace(/^--as: /, "")}`, {
        cause,
      });
    });
  await expectExpressions(context, rows);
  await expectRecorded(context, rows);
  await expectScale(context);
  await expectHeldOut(context, rows);
  await expectGroups(recipe);
  const raters = [rating, ...scores].flatMap((one) => one?.all ?? []);
  for (const embedding of experiment.embeddings) await expectEmbedding(context, embedding, isLimited, planNotes);
  const given = answering.filter(({ arm }) => arm === undefined).map(({ model }) => model);
  for (const { arm, name, model } of answering)
    if (arm === undefined && !isModelName(model))
      await findLocalModel(model, context.run).catch((cause: unknown) => {
        const told = messageOf(cause).replace(/^--model: /, "");
        throw new UsageError(`${at(["models", name])}: models.${name}: ${told}`, { cause });
      });
  const served = raters.flatMap((name) => readServedMeasure(name)?.model ?? []);
  for (const name of [...raters, ...pairJudges, ...given, ...served].filter(isModelName)) {
    const { problem, price, notes } = await openModel(name, { isFromRecipe: true });
    planNotes?.push(...(notes?.() ?? []).map((note) => `${name}: ${note}`));
    if (problem !== undefined && !planNotes) throw new UsageError(problem);
    if (problem !== undefined) planNotes?.push(problem);
    if (isLimited && !price && !recipe.prices[name])
      throw new UsageError(
        `${name}: expected a model whose price is known, since there is a budget; give it in the recipe, prices: { ${JSON.stringify(name)}: { input: 0, output: 0 } } (US dollars for a million tokens)`,
      );
  }
  if (training) {
    const plan = planTraining(await openTrainingRecipe(training.recipe), 1, training.overrides);
    resolveBase(plan.settings.base);
  }
  const isServed = answering.some(({ arm, model }) => arm !== undefined || !isModelName(model));
  const { temperature = 0, server } = generation?.declared ?? {};
  if (isServed && temperature > 0 && (server ?? chooseServer()) === "transformers")
    throw new UsageError(
      `${at(["generate", "temperature"])}: generate.temperature: expected 0, since transformers serve answers greedily only, got ${temperature}`,
    );
  const prompts = await context.prompts();
  if (recipe.train && recipe.generate && prompts.some(({ turns }) => turns)) {
    const template = recipe.train.template ?? (await openTrainingRecipe(recipe.train.recipe)).template;
    expectTurns(prompts, { template });
  }
  await expectOtherTests(context, prompts, planNotes);
}

/** @throws UsageError, DataError when the held-out rows cannot be measured, such as where all of them are in the data */
async function expectHeldOut({ recipe, experiment, options }: Context, rows: number | undefined): Promise<void> {
  const { evaluation } = experiment;
  if (!evaluation || rows === undefined || rows > mostTried) return;
  const { signal } = options;
  try {
    await readHeldOut(await openDataset([evaluation.loss], { signal }), await openData(recipe), { signal });
  } catch (cause) {
    if (!(cause instanceof UsageError || cause instanceof DataError)) throw cause;
    throw new UsageError(`${recipe.at(["evaluate", "loss"])}: evaluate.loss: ${messageOf(cause)}`, { cause });
  }
}

/** @throws UsageError, DataError when a model that makes vectors cannot be opened or a file of examples cannot be read */
async function expectEmbedding(
  { recipe, options }: Context,
  { name, model, targets, declared }: Embedding,
  isLimited: boolean,
  planNotes: string[] | undefined,
): Promise<void> {
  try {
    for (const target of targets) await readTargetTexts(target, declared.text);
    const { run, signal } = options;
    const price = recipe.prices[model];
    const embedder = await openEmbedder(model, {
      run,
      signal,
      price,
      maxLength: declared.max_length,
      isFromRecipe: true,
      forPlan: true,
    });
    const { asker } = embedder;
    await embedder.close();
    if (asker?.problem !== undefined && !planNotes) throw new UsageError(asker.problem);
    if (asker?.problem !== undefined) planNotes?.push(asker.problem);
    if (isLimited && asker && !asker.model.price)
      throw new UsageError(
        `${model}: expected a model whose price is known, since there is a budget; give it in the recipe, prices: { ${JSON.stringify(model)}: { input: 0, output: 0 } } (US dollars for a million tokens)`,
      );
  } catch (cause) {
    throw new UsageError(`${recipe.at(["embeddings", name])}: embeddings.${name}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Checks that judges, rubrics, training recipes and test sets that the recipe names are there.
 *
 * @throws UsageError with file, line and field, or DataError, when one is not
 */
export async function expectNamed(context: Context): Promise<void> {
  const { recipe, experiment } = context;
  const { rating, scores, training, comparison } = experiment;
  const inField = async <T>(field: readonly string[], open: () => Promise<T>): Promise<T> => {
    try {
      return await open();
    } catch (cause) {
      if (!(cause instanceof UsageError || cause instanceof DataError)) throw cause;
      const told = messageOf(cause).replace(/^--[a-z-]+(?: \S+)?: /, ""); // the option that it is on the command line
      throw new UsageError(`${recipe.at(field)}: ${field.join(".")}: ${told}`, { cause });
    }
  };
  const ratings = [
    ...(rating ? [{ ...rating, field: ["rate"], isWhole: false }] : []),
    ...scores.map((score) => ({ ...score, field: ["scores", score.name], isWhole: true })),
  ];
  for (const { field, isWhole, all, rubric } of ratings) {
    for (const name of all)
      if (!callsModel(name)) await inField([...field, "judge"], () => openJudge(name, { isWhole }));
    if (rubric !== undefined) await inField([...field, "rubric"], () => openRubric(rubric));
  }
  if (training) await inField(["train", "recipe"], () => openTrainingRecipe(training.recipe));
  await inField(["generate", "tests"], () => context.prompts());
  for (const { name } of comparison?.judges ?? [])
    if (!callsModel(name)) await inField(["compare", "judges"], () => openPairJudge(name));
  const pairRubric = comparison?.rubric;
  if (pairRubric !== undefined) await inField(["compare", "rubric"], () => openPairRubric(pairRubric));
  for (const { field, all } of ratings)
    for (const name of all) {
      const [, column] = /^column:(.+)$/s.exec(name) ?? [];
      if (column !== undefined) await expectColumn(recipe, column, [...field, "judge"]);
    }
}

/** @throws UsageError when no row has a column */
async function expectColumn(recipe: ExperimentRecipe, column: string, field: readonly string[]): Promise<void> {
  let columns: string[] = [];
  for await (const batch of (await openData(recipe)).batches()) {
    columns = Object.keys(batch[0]?.row ?? {});
    if (batch.some(({ row }) => valueAt(row, column) !== undefined)) return;
  }
  throw new UsageError(
    `${recipe.at(field)}: ${field.join(".")}: expected a column of the data (${columns.join(", ")}), got ${column}`,
  );
}

/** @throws UsageError when an arm's settings cannot be combined */
function expectArm(recipe: ExperimentRecipe, arm: string): void {
  const { method, min_score: minScore, top, like, by, where, per, quota, dedup, diverse, rows } = recipe.arms![arm]!;
  const { similarity, toward, vectors } = recipe.arms![arm]!;
  const isRemoved = recipe.contamination === "remove";
  try {
    checkCombination(rows !== undefined ? "rows" : toward !== undefined ? "toward" : method, {
      run: "",
      ...(rows !== undefined && { rows: [] }),
      ...(toward !== undefined && method !== "score" && { method }),
      similarity,
      toward,
      vectors,
      minScore,
      ...(top !== undefined && { top: 1 }),
      like,
      by,
      where,
      per,
      quota: readQuota(quota),
      dedup,
      diverse,
      ...(isRemoved && rows !== undefined && { decontaminate: [] }),
    });
    if (top === "0%") throw new UsageError("top: expected a share over 0 %");
  } catch (cause) {
    const told = messageOf(cause).replace(/--([a-z]+(?:-[a-z]+)*)/g, (_, name: string) => name.replaceAll("-", "_")); // options are fields here
    throw new UsageError(`${recipe.at(["arms", arm])}: arms.${arm}: ${told}`, { cause });
  }
}

/** @throws UsageError when an arm is shared out over a column that no row has, or has a quota of a value that none has */
async function expectGroups(recipe: ExperimentRecipe): Promise<void> {
  const isPool = Array.isArray(recipe.data) && recipe.data.length > 1;
  for (const [arm, { per }] of Object.entries(recipe.arms ?? {}))
    if (per !== undefined && !(per === "source" && isPool)) await expectColumn(recipe, per, ["arms", arm, "per"]);
  for (const [arm, declared] of Object.entries(recipe.arms ?? {})) {
    const quota = readQuota(declared.quota);
    if (!quota) continue;
    const groups = new Grouping(`${recipe.at(["arms", arm, "quota"])}: arms.${arm}.quota`, quota.column, 0);
    for await (const batch of (await openData(recipe)).batches()) for (const example of batch) groups.learn(example);
    groups.expectFound();
    groups.roomsOf(quota);
  }
}

const mostShared = 0.5; // share of the test prompts; the contamination gate handles single overlaps
const mostListed = 5;

/**
 * @throws UsageError when most test prompts are in the data, so that they are training data; or when rows overlap some, an arm keeps all
 *   rows, and a judge would be paid before the experiment stops there
 */
async function expectOtherTests(
  { recipe, experiment }: Context,
  prompts: readonly TestPrompt[],
  planNotes?: string[],
): Promise<void> {
  if (prompts.length === 0 || recipe.contamination !== "stop" || !recipe.arms) return;
  const left = new Set(prompts.map(({ instruction, input }) => `${instruction}\0${input}`));
  const all = left.size;
  const find = experiment.rating?.all.some(callsModel) ? contaminationFinder(prompts) : undefined;
  const overlapping: number[] = [];
  for await (const batch of (await openData(recipe)).batches())
    for (const example of batch) {
      left.delete(`${example.instruction}\0${example.input}`);
      if (find && example.index < mostTried && find(example)) overlapping.push(example.index);
    }
  const shared = all - left.size;
  if (shared > mostShared * all)
    throw new UsageError(
      `${recipe.at(["generate", "tests"])}: generate.tests: expected prompts that are not training data, ${shared} of ${all} are in the data word for word; choose others`,
    );
  if (overlapping.length === 0) return;
  const listed = `${overlapping.slice(0, mostListed).join(", ")}${overlapping.length > mostListed ? ", …" : ""}`;
  const what = `${formatNumbered(overlapping.length, "row of the data overlaps", "rows of the data overlap")} test prompts (${listed}, from 0)`;
  const choices = "leave them out with contamination: remove, or go on with contamination: note";
  const whole = Object.entries(recipe.arms).find(([, arm]) => arm.method === "full" && arm.where === undefined)?.[0];
  if (whole !== undefined)
    throw new UsageError(
      `${recipe.at(["generate", "tests"])}: generate.tests: ${what}, and arms.${whole} keeps all rows, so that the experiment would stop after its judge was paid; ${choices}`,
    );
  planNotes?.push(`${what}; if an arm keeps one, the experiment stops before training; ${choices}`);
}
