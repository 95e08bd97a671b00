import { hash } from "node:crypto";
import { join } from "node:path";
import type { ExperimentRecipe } from "./recipe.ts";

/** A model of the experiment: one that is trained on an arm with a seed, or one that only answers. */
export interface ExperimentModel {
  /** Its name, also that of its answers. */
  readonly name: string;
  /** Absent for one that only answers. */
  readonly arm?: string | undefined;
  /** Name of the draw (see `Draw`) that it is trained on. */
  readonly rows?: string | undefined;
  readonly seed?: number | undefined;
  /** The model as `generate` names it. */
  readonly model: string;
}

/** One draw of an arm's rows, which has its own name in the run. */
export interface Draw {
  readonly name: string;
  readonly arm: string;
  /** Seed for drawing random rows and breaking ties. */
  readonly seed: number;
  /** Seed of the only training with these rows; absent when every training has the same rows. */
  readonly training?: number | undefined;
}

/**
 * Lists an arm's draws. A random control draws new rows for every training, so that the variation between trainings includes
 * the luck of the draw. All other arms have the same rows for every training.
 */
export function listDraws(
  { arms = {}, train }: Pick<ExperimentRecipe, "arms" | "train">,
  arm: string,
): readonly Draw[] {
  const { method, seed } = arms[arm]!;
  const seeds = train?.seeds ?? [];
  if (method !== "random" || seeds.length < 2) return [{ name: arm, arm, seed }];
  return seeds.map((training, i) => ({
    name: nameOfTraining(arm, training, seeds),
    arm,
    seed: i === 0 ? seed : Number.parseInt(hash("sha256", JSON.stringify([arm, seed, training])).slice(0, 8), 16),
    training,
  }));
}

function nameOfTraining(arm: string, seed: number, seeds: readonly number[]): string {
  return seed === seeds[0] ? arm : `${arm}-s${seed}`;
}

/**
 * The models of an experiment, arm by arm. The first seed's model has the arm's name, those of further seeds are ARM-sSEED.
 * Adding a seed therefore repeats no training.
 */
export function listModels(recipe: ExperimentRecipe): ExperimentModel[] {
  const { arms = {}, train: training, models } = recipe;
  const seeds = training?.seeds ?? [];
  const trained = Object.keys(arms).flatMap((arm) =>
    seeds.map((seed) => {
      const name = nameOfTraining(arm, seed, seeds);
      const rows = listDraws(recipe, arm).find((draw) => draw.training === undefined || draw.training === seed)!.name;
      return { name, arm, rows, seed, model: join("models", name) };
    }),
  );
  return [...trained, ...Object.entries(models).map(([name, model]) => ({ name, model }))];
}

/** Two arms that are compared. */
export interface Match {
  readonly a: string;
  readonly b: string;
  /** Their models, seed by seed. */
  readonly pairs: readonly (readonly [ExperimentModel, ExperimentModel])[];
}

/** Which arms are compared, and with which pairs of models, seed by seed. */
export function listMatches(recipe: ExperimentRecipe, models: readonly ExperimentModel[]): Match[] {
  const sides = [...(recipe.train ? Object.keys(recipe.arms ?? {}) : []), ...Object.keys(recipe.models)]; // all that have answers
  const matches = recipe.compare?.matches ?? sides.slice(1).map((other) => [sides[0]!, other] as const);
  const of = (side: string) => models.filter(({ name, arm }) => (arm ?? name) === side);
  return matches.map(([a, b]) => {
    const [ours, theirs] = [of(a), of(b)];
    const times = Math.max(ours.length, theirs.length); // a model without seeds meets every seed
    return {
      a,
      b,
      pairs: Array.from({ length: times }, (_, i) => [ours[i % ours.length]!, theirs[i % theirs.length]!] as const),
    };
  });
}
