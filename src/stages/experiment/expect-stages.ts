import { UsageError } from "../../errors.ts";
import type { ExperimentStage, Task } from "../../experiment/task.ts";

interface NamedStages {
  readonly from?: ExperimentStage | undefined;
  readonly only?: readonly ExperimentStage[] | undefined;
  readonly force?: readonly ExperimentStage[] | undefined;
}

/** @throws UsageError when an option names a stage that the recipe does not have */
export function expectStages(tasks: readonly Task[], { from, only, force }: NamedStages): void {
  const stages = new Set(tasks.map(({ stage }) => stage));
  const named = { "--from": from === undefined ? [] : [from], "--only": only ?? [], "--force": force ?? [] };
  for (const [option, given] of Object.entries(named))
    for (const stage of given)
      if (!stages.has(stage))
        throw new UsageError(`${option}: expected stages of the recipe (${[...stages].join(", ")}), got ${stage}`);
}
