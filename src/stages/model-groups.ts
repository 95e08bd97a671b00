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
