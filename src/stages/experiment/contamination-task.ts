import { openDataset } from "../../dataset/open.ts";
import { hashArm, hashFile, hashText } from "../../experiment/hashes.ts";
import type { Task } from "../../experiment/task.ts";
import { openAtomicFile } from "../../files/atomic-file.ts";
import { formatCount } from "../../format.ts";
import { contaminationFinder } from "../../selection/contamination.ts";
import type { ReasonDetail } from "../../selection/decision.ts";
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
        ...(recipe.quotes && { quotes: recipe.quotes }),
      };
    },
    output: () => hashFile(path),
    async run() {
      const find = contaminationFinder(await context.prompts());
      const dataset = (await context.manifest())!.dataset!;
      const found: ({ arm: string; row: number } & ReasonDetail)[] = [];
      for (const arm of arms) {
        const { map, shape, quotes } = dataset;
        const rows = await openDataset((await armFile(arm))!, { ...(map ? { map } : { shape }), quotes });
        for await (const batch of rows.batches())
          for (const example of batch) {
            const overlap = find(example);
            if (overlap) found.push({ arm, row: example.index, ...overlap });
          }
      }
      const file = openAtomicFile(path);
      await file.write(`${JSON.stringify(found, null, 2)}\n`);
      await file.commit();
      const first = found[0];
      const message =
        first === undefined
          ? `no row of ${arms.join(", ")} overlaps a test prompt`
          : `${formatCount(found.length)} rows overlap test prompts, such as row ${first.row} of ${first.arm} and ${first.prompt} of ${first.test} ("${first.words}"); all are in ${path}; leave them out with contamination: remove, or go on with contamination: note`;
      return {
        gates: [{ name: "contamination", held: first === undefined || recipe.contamination !== "stop", message }],
      };
    },
  };
}
