import type { Experiment } from "../../experiment/resolve.ts";
import type { ModelGroup } from "../model-groups.ts";

/** The trained models of an experiment by arm, in the order of their seeds. */
export function trainedGroups({ models }: Experiment): ModelGroup[] {
  const byArm = Map.groupBy(
    models.filter(({ arm }) => arm !== undefined),
    ({ arm }) => arm!,
  );
  return [...byArm].map(([group, members]) => ({ group, models: members.map(({ name }) => name) }));
}
