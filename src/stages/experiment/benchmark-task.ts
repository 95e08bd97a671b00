import { existsSync } from "node:fs";
import { hashText, identifyModel } from "../../experiment/hashes.ts";
import type { Benchmarking } from "../../experiment/resolve.ts";
import type { Task } from "../../experiment/task.ts";
import { benchmark } from "../benchmark.ts";
import { hashTasks } from "../benchmark-model.ts";
import type { Context } from "./context.ts";
import { benchmarkId, trainId } from "./ids.ts";
import { trainedGroups } from "./trained-groups.ts";

/** Runs benchmarks on all trained models; what a model has done of a task is not run again. */
export function benchmarkTask(context: Context, { declared, tasks, include }: Benchmarking): Task {
  const groups = trainedGroups(context.experiment);
  const trained = groups.flatMap(({ models }) => models);
  return {
    id: benchmarkId,
    stage: "benchmark",
    needs: trained.map(trainId),
    resource: "machine",
    needsUv: true,
    async inputs() {
      const models = (await context.manifest())?.models;
      return {
        tasks: JSON.stringify(tasks),
        ...(declared.limit !== undefined && { limit: String(declared.limit) }),
        ...(declared.chat && { chat: "yes" }),
        ...(include !== undefined && { include: existsSync(include) ? hashTasks(include) : "none" }),
        ...Object.fromEntries(trained.map((model) => [model, identifyModel(models?.[model])])),
      };
    },
    async output() {
      const found = (await context.manifest())?.benchmarks;
      const hashes = tasks.map(({ name }) => found?.[name]?.itemsHash);
      return hashes.includes(undefined) ? undefined : hashText(hashes.join(" "));
    },
    estimate: async () => ({ what: `${tasks.map(({ name }) => name).join(", ")} by ${trained.length} models` }),
    async run() {
      await benchmark({
        ...context.stage(benchmarkId),
        models: groups,
        tasks,
        include,
        limit: declared.limit,
        chat: declared.chat,
        batch: declared.batch,
        allowCode: declared.allow_code,
        signal: context.options.signal,
      });
      return { gates: [] };
    },
  };
}
