import { existsSync } from "node:fs";
import { hashText } from "../../experiment/hashes.ts";
import type { Task } from "../../experiment/task.ts";
import { report } from "../report.ts";
import type { Context } from "./context.ts";
import { reportId } from "./ids.ts";

/** Writes the report page and its figures. */
export function reportTask(context: Context, before: readonly Task[]): Task {
  return {
    id: reportId,
    stage: "report",
    needs: before.map(({ id }) => id),
    resource: "machine",
    needsUv: false,
    async inputs() {
      const outputs = await Promise.all(
        before.map(async (task) => [task.id, (await task.output()) ?? "none"] as const),
      );
      return { recipe: context.recipe.hash, ...Object.fromEntries(outputs) };
    },
    async output() {
      const result = (await context.manifest())?.experiment;
      return result && existsSync(context.run.reportPath) ? hashText(JSON.stringify(result)) : undefined;
    },
    async run() {
      await context.options.onReport?.();
      await report({ run: context.run.folder });
      return { gates: [] };
    },
  };
}
