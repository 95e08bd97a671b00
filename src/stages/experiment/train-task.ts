import { existsSync } from "node:fs";
import { join } from "node:path";
import { hashArm, hashBase, hashText, identifyModel } from "../../experiment/hashes.ts";
import type { ExperimentModel } from "../../experiment/models.ts";
import { sizeSource } from "../../experiment/check-recipe.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import type { Training } from "../../experiment/resolve.ts";
import type { Task, TaskEnd, TaskEstimate } from "../../experiment/task.ts";
import { isSmollm2 } from "../../python/smollm2.ts";
import type { Manifest } from "../../run/manifest.ts";
import { spentInAll } from "../../run/spent.ts";
import { countParameters } from "../../trainer/base-model.ts";
import { estimateTraining, findTimed, type TrainingEstimate } from "../../trainer/estimate.ts";
import { planTraining, type TrainingOverrides, type TrainingPlan } from "../../trainer/plan-training.ts";
import { openTrainingRecipe, type TrainingRecipe } from "../../trainer/recipe.ts";
import { train } from "../train.ts";
import type { Context } from "./context.ts";
import { contaminationId, selectId, trainId } from "./ids.ts";

const longestTimer = 2 ** 31 - 1; // milliseconds

/** @param isGuarded whether the rows are looked at for test prompts before */
export function trainTask(
  context: Context,
  training: Training,
  { model, isGuarded }: { readonly model: ExperimentModel; readonly isGuarded: boolean },
): Task {
  const { name, rows, seed } = model;
  const arm = rows!; // it is trained, so it has rows and a seed
  const { recipe: _, seeds: __, usd_per_hour: ___, ...settings } = training.declared;
  const id = trainId(name);
  const overrides = { ...training.overrides, seed: seed! };
  const { cluster } = context.experiment;
  return {
    id,
    stage: "train",
    needs: [selectId(arm), ...(isGuarded ? [contaminationId] : [])],
    resource: cluster ? "cluster" : "machine",
    takes: cluster && (() => takenOf(context, training)),
    needsUv: !cluster || isSmollm2(training.base ?? ""),
    async inputs() {
      const summary = (await context.manifest())?.arms[arm];
      const opened = await openTrainingRecipe(training.recipe);
      return {
        [`rows of ${arm}`]: await hashArm(summary && context.run.recordedArmPath(summary)),
        ...(context.recipe.quotes && { quotes: context.recipe.quotes }),
        recipe: hashText(JSON.stringify({ ...opened, description: "", source: "" })),
        settings: JSON.stringify(settings), // without the price, which changes no model
        ...(await hashBase(training.base)),
        seed: String(seed),
      };
    },
    async output() {
      const summary = (await context.manifest())?.models?.[name];
      return summary && existsSync(join(context.run.modelPath(name), "output")) ? identifyModel(summary) : undefined;
    },
    estimate: (all) => estimateModel(context, training, { model, all }),
    async run() {
      const manifest = await context.manifest();
      const opened = await openTrainingRecipe(training.recipe);
      const estimate = await estimateArm(opened, manifest?.arms[arm]?.rows ?? 0, overrides, manifest);
      const { needed, left } = { needed: estimate.usd ?? 0, left: await moneyLeft(context) };
      const isPriced = estimate.usdPerHour !== undefined && estimate.usdPerHour > 0;
      if (needed > left || (isPriced && left <= 0))
        return {
          gates: [],
          stopped: "budget",
          failure: `it is expected to cost $${needed.toFixed(2)}, and $${Math.max(0, left).toFixed(2)} of the budget are left`,
        };
      const longestMs = isPriced && left < Infinity ? (3_600_000 * left) / estimate.usdPerHour : undefined;
      return runWithin(context, longestMs, async (signal) => {
        const summary = await train({
          ...context.stage(id),
          arm,
          model: name,
          recipe: opened,
          overrides,
          overwrite: true,
          ...(context.options.force?.includes("train") && { again: true }),
          ray: cluster?.address,
          storage: cluster?.storage,
          onNote: (note) => context.options.onNote?.(id, note),
          // a job whose money is used up does not go on
          shouldStop: async () =>
            context.options.signal?.aborted !== true || (await context.options.shouldStop?.()) === true,
          signal,
        });
        return { gates: summary.gates };
      });
    },
  };
}

/** GPUs of the cluster that a training takes, or CPUs. */
async function takenOf(context: Context, training: Training): Promise<number> {
  const { gpus, processes } = planTraining(await openTrainingRecipe(training.recipe), 1, training.overrides);
  const { unit } = await context.clusterRoom();
  return unit === "CPUs" ? processes : gpus;
}

/** What the budget has left, in US dollars; Infinity without one. */
async function moneyLeft({ options, run }: Context): Promise<number> {
  return (options.budgetUsd ?? Infinity) - (await spentInAll(run));
}

/** Ends a training when its money is used up, however long it was expected to take. */
async function runWithin(
  { options: { signal } }: Context,
  longestMs: number | undefined,
  work: (signal: AbortSignal | undefined) => Promise<TaskEnd>,
): Promise<TaskEnd> {
  const deadline = longestMs === undefined || longestMs > longestTimer ? undefined : AbortSignal.timeout(longestMs);
  const ends = [signal, deadline].filter((end) => end !== undefined);
  try {
    return await work(ends.length > 0 ? AbortSignal.any(ends) : undefined);
  } catch (error) {
    if (!deadline?.aborted || signal?.aborted) throw error;
    return {
      gates: [],
      stopped: "budget",
      failure: "the budget was used up before training ended; the next run continues from the last checkpoint",
    };
  }
}

async function estimateModel(
  context: Context,
  training: Training,
  { model, all }: { readonly model: ExperimentModel; readonly all: number | undefined },
): Promise<TaskEstimate> {
  const manifest = await context.manifest();
  const rows = manifest?.arms[model.rows!]?.rows ?? guessRows(context.recipe, model.arm!, all);
  const opened = await openTrainingRecipe(training.recipe);
  const { steps, minutes, usd, usdPerHour } = await estimateArm(opened, rows ?? 1, training.overrides, manifest);
  const highest = usdPerHour !== undefined && usdPerHour > 0 ? { highestUsd: null } : {}; // there is no bound on how long it takes
  return rows === undefined ? highest : { what: `${steps} steps`, minutes, expectedUsd: usd, ...highest };
}

/** Estimates a training on so many rows, from a similar training of this run if there is one. */
async function estimateArm(
  recipe: TrainingRecipe,
  rows: number,
  overrides: TrainingOverrides,
  manifest: Manifest | undefined,
): Promise<TrainingEstimate & Pick<TrainingPlan, "steps" | "usdPerHour">> {
  const plan = planTraining(recipe, rows, overrides);
  const estimate = estimateTraining(plan, await countParameters(plan.settings.base), findTimed(manifest?.models, plan));
  return { ...estimate, steps: plan.steps, usdPerHour: plan.usdPerHour };
}

/** How many rows an arm will have; undefined when the recipe does not determine it. */
function guessRows(recipe: ExperimentRecipe, arm: string, all: number | undefined): number | undefined {
  const { top, method } = recipe.arms![arm]!;
  if (method === "full") return all;
  if (typeof top === "number") return top;
  if (top !== undefined) return all === undefined ? undefined : Math.round((all * Number(top.slice(0, -1))) / 100);
  const other = sizeSource(recipe, arm);
  return other === undefined ? undefined : guessRows(recipe, other, all);
}
