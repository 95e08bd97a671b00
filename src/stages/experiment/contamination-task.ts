import { hashArm, hashText } from "../../experiment/hashes.ts";
import { hashFile } from "../../files/hash-file.ts";
import type { Task } from "../../experiment/task.ts";
import { writeWhole } from "../../files/atomic-file.ts";
import { formatNumbered } from "../../format.ts";
import { contaminationFinder } from "../../selection/contamination.ts";
import type { ReasonDetail } from "../../selection/decision.ts";
import { readDecisions } from "../../selection/decisions-file.ts";
import type { Context } from "./context.ts";
import { contaminationId, selectId } from "./ids.ts";

/** Looks for rows of any arm that overlap a test prompt: a gate between selecting rows and training on them. */
export function contaminationTask(context: Context, arms: readonly string[]): Task {
  const { recipe } = context;
  const path = context.run.contaminationPath;
  const armFile = async (arm: string) => {
    const summary = (await context.manifest())?.arms[arm];
    return summary && context.run.recordedArmPath(summary);
  };
  return {
    id: contaminationId,
    stage: "contamination",
    needs: arms.map(selectId),
    resource: "machine",
    needsUv: false,
    async inputs() {
      const files = await Promise.all(arms.map(async (arm) => [`rows of ${arm}`, await hashArm(await armFile(arm))]));
      return {
        ...(Object.fromEntries(files) as Record<string, string>),
        prompts: hashText(JSON.stringify(await context.prompts())),
        contamination: recipe.contamination,
        layout: "rows of the data", // an earlier one counted rows of arms
        ...(recipe.quotes && { quotes: recipe.quotes }),
      };
    },
    output: () => hashFile(path),
    async run() {
      const find = contaminationFinder(await context.prompts());
      const overlaps = new Map<number, { readonly arms: string[]; readonly detail: ReasonDetail }>(); // by row
      for await (const batch of (await context.openDataset()).batches())
        for (const example of batch) {
          const detail = find(example);
          if (detail) overlaps.set(example.index, { arms: [], detail });
        }
      for (const arm of arms)
        for await (const decisions of readDecisions(context.run.decisionsPath(arm)))
          for (const { index, kept } of decisions) if (kept) overlaps.get(index)?.arms.push(arm);
      const found = [...overlaps]
        .filter(([, { arms: keeping }]) => keeping.length > 0)
        .map(([row, { arms: keeping, detail }]) => ({ row, arms: keeping, ...detail }));
      await writeWhole(path, `${JSON.stringify(found, null, 2)}\n`);
      const first = found[0];
      const of = arms.filter((arm) => found.some((one) => one.arms.includes(arm))).join(", ");
      const message =
        first === undefined
          ? `no row of ${arms.join(", ")} overlaps a test prompt`
          : `${formatNumbered(found.length, "row of the data overlaps", "rows of the data overlap")} test prompts and ${found.length === 1 ? "is" : "are"} in ${of}, such as row ${first.row} (from 0) and ${first.prompt} of ${first.test} ("${first.words}"); all are in ${path}; leave them out with contamination: remove in the recipe, or go on with contamination: note`;
      return {
        gates: [{ name: "contamination", held: first === undefined || recipe.contamination !== "stop", message }],
      };
    },
  };
}
