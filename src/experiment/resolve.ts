import { readTasks, type BenchmarkTask } from "../benchmark/tasks.ts";
import { RunError } from "../errors.ts";
import type { OpenRatingJudgeOptions } from "../judge/open.ts";
import { readMeasureName, readServedMeasure } from "../likelihood/measure-name.ts";
import { readServers } from "../llm/model-name.ts";
import { checkAddress } from "../llm/open-compatible.ts";
import type { TrainingOverrides } from "../trainer/plan-training.ts";
import { resolveCluster, type ExperimentCluster } from "./cluster.ts";
import { folderOf, toOverrides } from "./training-overrides.ts";
import { listDraws, listMatches, listModels, type Draw, type ExperimentModel, type Match } from "./models.ts";
import { sizeSource, vectorsOf } from "./check-recipe.ts";
import type { Quota } from "../selection/quota.ts";
import { readQuota, shareOf } from "./quota.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/*
 * Interprets a recipe, once for all code that runs, prices or reports an experiment: judges with the paths of their files, arms
 * ordered by whose size they copy, models, matches, and settings under the library's names.
 */

type Settings<Part extends "rate" | "train" | "generate" | "evaluate" | "benchmark" | "compare"> = NonNullable<
  ExperimentRecipe[Part]
>;

export interface Experiment {
  readonly recipe: ExperimentRecipe;
  readonly cluster: ExperimentCluster | undefined;
  readonly rating: Rating | undefined;
  /** Further scores of the rows. */
  readonly scores: readonly NamedRating[];
  readonly embeddings: readonly Embedding[];
  /** The draws of every arm, each after the draw whose size it copies. */
  readonly draws: readonly ArmDraw[];
  readonly training: Training | undefined;
  /** Trained models, arm by arm, then the models that only answer. */
  readonly models: readonly ExperimentModel[];
  /** Those that answer the prompts: all, or those that a match names, where there are matches. */
  readonly answering: readonly ExperimentModel[];
  readonly generation: Generation | undefined;
  readonly evaluation: Evaluation | undefined;
  readonly benchmarking: Benchmarking | undefined;
  readonly comparison: Comparison | undefined;
}

/** What both a rating and a further score say. */
export type RatingSettings = Settings<"rate"> | NonNullable<ExperimentRecipe["scores"]>[string];

export interface Rating {
  /** What the recipe says. */
  readonly declared: RatingSettings;
  /** The judges that rate first. */
  readonly judges: readonly string[];
  /** All judges: the first ones, and the one that escalated rows go to. */
  readonly all: readonly string[];
  readonly rubric: string | undefined;
  readonly settings: Partial<OpenRatingJudgeOptions>;
}

/** The rating behind a score with a name. */
export interface NamedRating extends Rating {
  readonly name: string;
}

/** Vectors of the rows. */
export interface Embedding {
  readonly name: string;
  readonly declared: NonNullable<ExperimentRecipe["embeddings"]>[string];
  /** As it is opened: the path of its folder, or its name. */
  readonly model: string;
  /** Paths of the files that arms choose rows near to by these vectors. */
  readonly targets: readonly string[];
}

export interface ArmDraw extends Draw {
  readonly declared: NonNullable<ExperimentRecipe["arms"]>[string];
  /** The draw whose size this one copies. */
  readonly sizeOf: string | undefined;
  /** How many rows, if the recipe says so. */
  readonly top: number | { readonly share: number } | undefined;
  readonly quota: Quota | undefined;
  /** A file with the positions of the rows to keep. */
  readonly rowsPath: string | undefined;
  /** A file with examples that rows are chosen near to. */
  readonly towardPath: string | undefined;
  /** The name of the vectors that it goes by; undefined where it needs none. */
  readonly vectors: string | undefined;
}

export interface Training {
  readonly declared: Settings<"train">;
  /** A training recipe: its name, or the path of its file. */
  readonly recipe: string;
  /** The base model's folder if it is a local one, otherwise its name. */
  readonly base: string | undefined;
  readonly overrides: TrainingOverrides;
}

export interface Generation {
  readonly declared: Settings<"generate">;
  /** Test sets: names, or paths of files. */
  readonly tests: readonly string[];
}

export interface Evaluation {
  readonly declared: Settings<"evaluate">;
  /** The held-out rows: a path relative to the working directory, or a dataset on the Hub. */
  readonly loss: string;
}

export interface Benchmarking {
  readonly declared: Settings<"benchmark">;
  readonly tasks: readonly BenchmarkTask[];
  /** The folder with tasks of one's own, relative to the working directory. */
  readonly include: string | undefined;
}

export interface ExperimentJudge {
  /** As the recipe names it. */
  readonly declared: string;
  /** As it is opened, with the path of its file. */
  readonly name: string;
}

export interface Comparison {
  readonly declared: Settings<"compare">;
  readonly judges: readonly ExperimentJudge[];
  readonly rubric: string | undefined;
  readonly matches: readonly Match[];
}

/** @throws RunError when arms copy each other's sizes */
export function resolveExperiment(recipe: ExperimentRecipe): Experiment {
  const { rate, scores = {}, train, generate, evaluate, benchmark, compare, pathOf } = recipe;
  const models = listModels(recipe).map((model) => ({
    ...model,
    model: model.arm === undefined ? folderOf(model.model, pathOf) : model.model,
  }));
  const matches = compare ? listMatches(recipe, models) : undefined;
  const compared = new Set(matches?.flatMap(({ pairs }) => pairs.flat().map(({ name }) => name)));
  return {
    recipe,
    cluster: resolveCluster(recipe),
    rating: rate && resolveRating(recipe, rate),
    scores: Object.entries(scores).map(([name, score]) => {
      const rating = resolveRating(recipe, score);
      return { name, ...rating, settings: { ...rating.settings, isWhole: true } };
    }),
    embeddings: Object.entries(recipe.embeddings ?? {}).map(([name, declared]) => ({
      name,
      declared,
      model: folderOf(declared.model, pathOf),
      targets: [
        ...new Set(
          Object.entries(recipe.arms ?? {}).flatMap(([arm, { toward }]) =>
            toward !== undefined && vectorsOf(recipe, arm) === name ? [pathOf(toward)] : [],
          ),
        ),
      ],
    })),
    draws: orderArms(recipe).flatMap((arm) => listDraws(recipe, arm).map((draw) => resolveDraw(recipe, draw))),
    training: train && {
      declared: train,
      recipe: pathOf(train.recipe),
      base: train.base === undefined ? undefined : folderOf(train.base, pathOf),
      overrides: toOverrides(train, recipe),
    },
    models,
    answering: models.filter(({ name }) => !matches || compared.has(name)),
    generation: generate && { declared: generate, tests: generate.tests.map(pathOf) },
    evaluation: evaluate && {
      declared: evaluate,
      loss: evaluate.loss.startsWith("hf:") ? evaluate.loss : pathOf(evaluate.loss),
    },
    benchmarking: benchmark && {
      declared: benchmark,
      tasks: readTasks(benchmark.tasks, "benchmark.tasks"),
      include: benchmark.include === undefined ? undefined : pathOf(benchmark.include),
    },
    comparison: compare &&
      matches && {
        declared: compare,
        judges: compare.judges.map((judge) => ({ declared: judge, name: nameJudge(judge, recipe) })),
        rubric: compare.rubric === undefined ? undefined : rubricOf(compare.rubric, recipe),
        matches,
      },
  };
}

function resolveRating(recipe: ExperimentRecipe, declared: RatingSettings): Rating {
  const { judge, rubric } = declared;
  const escalate = "escalate" in declared ? declared.escalate : undefined;
  const judges = (typeof judge === "string" ? [judge] : judge).map((name) => nameJudge(name, recipe));
  return {
    declared,
    judges,
    all: escalate ? [...judges, nameJudge(escalate.to, recipe)] : judges,
    rubric: rubric === undefined ? undefined : rubricOf(rubric, recipe),
    settings: ratingSettings(recipe, declared),
  };
}

function resolveDraw(recipe: ExperimentRecipe, draw: Draw): ArmDraw {
  const declared = recipe.arms![draw.arm]!;
  const { top, rows } = declared;
  const source = sizeSource(recipe, draw.arm);
  return {
    ...draw,
    declared,
    sizeOf: source === undefined ? undefined : listDraws(recipe, source)[0]!.name, // all draws of an arm have the same size
    top: typeof top === "string" ? { share: shareOf(top) } : top,
    quota: readQuota(declared.quota),
    rowsPath: rows === undefined ? undefined : recipe.pathOf(rows),
    towardPath: declared.toward === undefined ? undefined : recipe.pathOf(declared.toward),
    vectors: vectorsOf(recipe, draw.arm),
  };
}

/** The arms, each after the arm whose size it copies. @throws RunError when arms copy sizes in a circle */
function orderArms(recipe: ExperimentRecipe): string[] {
  const { arms = {}, at } = recipe;
  const ordered: string[] = [];
  const add = (arm: string, above: readonly string[]) => {
    if (ordered.includes(arm)) return;
    const needed = sizeSource(recipe, arm);
    if (above.includes(arm))
      throw new RunError(
        `${at(["arms", arm])}: arms.${arm}: expected arms that do not copy each other's size, got a circle of ${above.join(", ")}; give one of them top`,
      );
    if (needed !== undefined && needed !== arm) add(needed, [...above, arm]);
    ordered.push(arm);
  };
  for (const arm of Object.keys(arms)) add(arm, []);
  return ordered;
}

/** A judge's name with the path of its file, if any, relative to the working directory. */
function nameJudge(judge: string, recipe: ExperimentRecipe): string {
  const { pathOf } = recipe;
  const served = readServedMeasure(judge);
  if (served) return `${served.kind}:${nameJudge(served.model, recipe)}`;
  const [, address, model] = /^(https?:[^#]+)#(.+)$/s.exec(judge) ?? [];
  const several = readServers(judge);
  if (several?.file !== undefined) return `servers:${pathOf(several.file)}#${several.model}`;
  if (address !== undefined)
    return `${address
      .split(",")
      .map((one) => checkAddress(one.trim(), ""))
      .join(",")}#${model}`;
  const measure = readMeasureName(judge);
  if (measure) return `${measure.kind}:${folderOf(measure.model, pathOf)}`;
  const [, kind, file] = /^(student|recorded|run):(.+)$/s.exec(judge) ?? [];
  if (kind === undefined) return judge;
  const [path, column] = file!.split("#", 2);
  return `${kind}:${pathOf(path!)}${column === undefined ? "" : `#${column}`}`;
}

/** A recipe's settings for rating, as options of `openRatingJudge`. */
function ratingSettings(recipe: ExperimentRecipe, declared: RatingSettings): Partial<OpenRatingJudgeOptions> {
  const { rubric, scale, reasoning, logprobs, samples, batch, check, template } = declared;
  const { max_prompt_tokens: maxPromptTokens, max_length: maxLength } = declared;
  const { combine, rescale, escalate } = { combine: undefined, rescale: undefined, escalate: undefined, ...declared };
  return {
    measuring: { template, maxLength },
    pricesOf: (model) => recipe.prices[model],
    ...(rubric !== undefined && { rubric: rubricOf(rubric, recipe) }),
    ...(scale && { scale: { min: scale[0], max: scale[1] } }),
    reasoning,
    combine,
    rescale,
    logprobs,
    samples,
    maxPromptTokens,
    ...(batch && { batch: {} }),
    ...(!check && { check }),
    ...(escalate && {
      escalate: {
        to: nameJudge(escalate.to, recipe),
        ask: typeof escalate.ask === "string" ? { share: shareOf(escalate.ask) } : escalate.ask,
        minScore: escalate.min_score,
        precision: escalate.precision,
      },
    }),
  };
}

/** A rubric's name, or the path of its file relative to the working directory. */
function rubricOf(rubric: string, { pathOf }: ExperimentRecipe): string {
  return /\.ya?ml$/i.test(rubric) ? pathOf(rubric) : rubric;
}
