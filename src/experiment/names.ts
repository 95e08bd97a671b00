import { existsSync } from "node:fs";
import type { OpenRatingJudgeOptions } from "../judge/open.ts";
import { isModelName } from "../llm/model-name.ts";
import { checkAddress } from "../llm/open-model.ts";
import type { TrainingOverrides } from "../trainer/plan-training.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/*
 * Names of a recipe as the stages want them.
 */

/** A model's folder as it is seen from here, where it is one; else its name as it stands. */
export function folderOf(model: string, pathOf: ExperimentRecipe["pathOf"]): string {
  const path = pathOf(model);
  return !isModelName(model) && existsSync(path) ? path : model;
}

/** A judge's name with the path of its file as it is seen from here. */
export function nameJudge(judge: string, { pathOf }: ExperimentRecipe): string {
  const [, address, model] = /^(https?:[^#]+)#(.+)$/s.exec(judge) ?? [];
  if (address !== undefined) return `${checkAddress(address, "")}#${model}`;
  const [, kind, file] = /^(student|recorded|run):(.+)$/s.exec(judge) ?? [];
  if (kind === undefined) return judge;
  const [path, column] = file!.split("#", 2);
  return `${kind}:${pathOf(path!)}${column === undefined ? "" : `#${column}`}`;
}

/** All judges that rate, as they are seen from here: the first ones, and the one that is asked where they are not sure. */
export function ratingJudges(recipe: ExperimentRecipe): { readonly judges: readonly string[]; readonly to?: string } {
  const { judge, escalate } = recipe.rate!;
  const judges = (typeof judge === "string" ? [judge] : judge).map((name) => nameJudge(name, recipe));
  return { judges, ...(escalate && { to: nameJudge(escalate.to, recipe) }) };
}

/** What a recipe says of how rows are rated, as `openRatingJudge` takes it. */
export function ratingSettings(recipe: ExperimentRecipe): Partial<OpenRatingJudgeOptions> {
  const { rubric, scale, reasoning, combine, rescale, escalate, logprobs, samples, batch, check } = recipe.rate!;
  return {
    pricesOf: (model) => recipe.prices[model],
    ...(rubric !== undefined && { rubric: rubricOf(rubric, recipe) }),
    ...(scale && { scale: { min: scale[0], max: scale[1] } }),
    ...(reasoning && { reasoning }),
    ...(combine && { combine }),
    ...(rescale && { rescale }),
    ...(logprobs && { logprobs }),
    ...(samples !== undefined && { samples }),
    ...(batch && { batch: {} }),
    ...(!check && { check }),
    ...(escalate && {
      escalate: {
        to: nameJudge(escalate.to, recipe),
        ask: typeof escalate.ask === "string" ? { share: Number(escalate.ask.slice(0, -1)) / 100 } : escalate.ask,
        ...(escalate.min_score !== undefined && { minScore: escalate.min_score }),
        ...(escalate.precision !== undefined && { precision: escalate.precision }),
      },
    }),
  };
}

/** A rubric's name, or the path of its file as it is seen from here. */
export function rubricOf(rubric: string, { pathOf }: ExperimentRecipe): string {
  return /\.ya?ml$/i.test(rubric) ? pathOf(rubric) : rubric;
}

/** A training's settings by the names that the library has for them. */
export function toOverrides(
  given: Omit<NonNullable<ExperimentRecipe["train"]>, "recipe" | "seeds">,
  { pathOf }: Pick<ExperimentRecipe, "pathOf">,
): TrainingOverrides {
  const base = given.base === undefined ? undefined : folderOf(given.base, pathOf);
  const { template, epochs, learning_rate, global_batch, max_length, precision, gpus, processes } = given;
  const { device_batch, usd_per_hour } = given;
  return Object.fromEntries(
    Object.entries({
      base,
      template,
      epochs,
      learningRate: learning_rate,
      globalBatch: global_batch,
      maxLength: max_length,
      precision,
      gpus,
      processes,
      deviceBatch: device_batch,
      usdPerHour: usd_per_hour,
    }).filter(([, value]) => value !== undefined),
  );
}
