import type { Manifest } from "../run/manifest.ts";

/** Trainings of one arm, in the order of their seeds. */
export interface ModelGroup {
  readonly group: string;
  readonly models: readonly string[];
}

/** A model with its other seeds, where the run has trained them: `selected`, `selected-s43`. */
export function groupOf(model: string, manifest: Manifest | undefined): ModelGroup {
  const seeds = Object.values(manifest?.models ?? {})
    .filter((other) => other.model === `${model}-s${other.seed}`)
    .map((other) => other.model);
  return { group: model, models: [model, ...(manifest?.models?.[model] ? seeds : [])] };
}

/** The trainings of two arms that belong together: those of the same seed, or, with names of other kinds, in their order. */
export function pairTrainings(first: ModelGroup, other: ModelGroup): readonly [readonly string[], readonly string[]] {
  const seedOf = ({ group }: ModelGroup, model: string) =>
    model.startsWith(group) ? model.slice(group.length) : undefined;
  const ours = new Map(first.models.map((model) => [seedOf(first, model), model]));
  const both = other.models.flatMap((model) => {
    const seed = seedOf(other, model);
    const own = seed === undefined ? undefined : ours.get(seed);
    return own === undefined ? [] : [[own, model] as const];
  });
  if (both.length > 0) return [both.map(([own]) => own), both.map(([, theirs]) => theirs)];
  const count = Math.min(first.models.length, other.models.length);
  return [first.models.slice(0, count), other.models.slice(0, count)];
}
