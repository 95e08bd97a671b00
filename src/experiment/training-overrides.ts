import { existsSync } from "node:fs";
import { isModelName } from "../llm/model-name.ts";
import type { TrainingOverrides } from "../trainer/plan-training.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/** The path of a model's folder, relative to the working directory, if there is one; otherwise its name. */
export function folderOf(model: string, pathOf: ExperimentRecipe["pathOf"]): string {
  const path = pathOf(model);
  return !isModelName(model) && existsSync(path) ? path : model;
}

/** A recipe's settings for training, under the names that the library uses. */
export function toOverrides(
  given: Omit<NonNullable<ExperimentRecipe["train"]>, "recipe" | "seeds">,
  { pathOf }: Pick<ExperimentRecipe, "pathOf">,
): TrainingOverrides {
  const base = given.base === undefined ? undefined : folderOf(given.base, pathOf);
  return Object.fromEntries(
    Object.entries({
      base,
      template: given.template,
      loss: given.loss,
      epochs: given.epochs,
      learningRate: given.learning_rate,
      globalBatch: given.global_batch,
      maxLength: given.max_length,
      precision: given.precision,
      gpus: given.gpus,
      processes: given.processes,
      deviceBatch: given.device_batch,
      usdPerHour: given.usd_per_hour,
      packing: given.packing,
      groupByLength: given.group_by_length,
      attention: given.attention,
      liger: given.liger,
      gradientCheckpointing: given.gradient_checkpointing,
      validation: given.validation,
      keep: given.keep,
    }).filter(([, value]) => value !== undefined),
  );
}
