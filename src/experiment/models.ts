import { join } from "node:path";
import type { ExperimentRecipe } from "./recipe.ts";

/** A model of the experiment: one that is trained on an arm with a seed, or one that only answers. */
export interface ExperimentModel {
  /** What its answers are called. */
  readonly name: string;
  /** Absent for one that only answers. */
  readonly arm?: string;
  readonly seed?: number;
  /** As generate names it. */
  readonly model: string;
}

/** The models of an experiment, arm by arm; those with several seeds are called ARM-sSEED. */
export function listModels({ arms = {}, train: training, models }: ExperimentRecipe): ExperimentModel[] {
  const seeds = training?.seeds ?? [];
  const trained = Object.keys(arms).flatMap((arm) =>
    seeds.map((seed) => {
      const name = seeds.length > 1 ? `${arm}-s${seed}` : arm;
      return { name, arm, seed, model: join("models", name) };
    }),
  );
  return [...trained, ...Object.entries(models).map(([name, model]) => ({ name, model }))];
}

/** Who is compared with whom, by arm; and by model, seed by seed. */
export function listMatches(recipe: ExperimentRecipe): {
  readonly a: string;
  readonly b: string;
  readonly pairs: readonly (readonly [ExperimentModel, ExperimentModel])[];
}[] {
  const models = listModels(recipe);
  const sides = [...(recipe.train ? Object.keys(recipe.arms ?? {}) : []), ...Object.keys(recipe.models)]; // who answers
  const matches = recipe.compare?.matches ?? sides.slice(1).map((other) => [sides[0]!, other] as const);
  const of = (side: string) => models.filter(({ name, arm }) => (arm ?? name) === side);
  return matches.map(([a, b]) => {
    const [ours, theirs] = [of(a), of(b)];
    const times = Math.max(ours.length, theirs.length); // one that only answers meets each seed
    return {
      a,
      b,
      pairs: Array.from({ length: times }, (_, i) => [ours[i % ours.length]!, theirs[i % theirs.length]!] as const),
    };
  });
}
