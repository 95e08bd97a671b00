import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import type { Attempts } from "../run/training-attempts.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { Gate } from "../run/records/common.ts";
import type { TrainSummary } from "../run/records/training.ts";
import { findCheckpoints, readHistory } from "../trainer/run-training.ts";
import { countSteps, type TrainingPlan } from "../trainer/plan-training.ts";
import { tryParse } from "../files/try-parse.ts";
import type { TrainingFolder } from "../trainer/training-folder.ts";
import type { PlannedTraining, TrainOptions } from "./prepare-training.ts";

const mostPoints = 400; // of a loss curve

const rowsSchema = z.object({
  rows: z.number(),
  tokens: z.number(),
  labels: z.number(),
  cut: z.array(z.number()),
  unlabelled: z.array(z.number()),
  /** With packing, what the rows were put into. */
  sequences: z.number().nullish(),
});

/** A training's steps, once its tokens are counted. @param rows the text of rows.json */
export function countedSteps(plan: TrainingPlan, rows: string): Pick<TrainingPlan, "steps" | "stepsPerEpoch"> {
  const counted = rowsSchema.safeParse(tryParse(rows));
  const sequences = counted.success ? counted.data.sequences : undefined;
  if (typeof sequences !== "number") return plan;
  const stepsPerEpoch = countSteps(sequences, plan);
  return { stepsPerEpoch, steps: Math.ceil(plan.settings.epochs * stepsPerEpoch) };
}

const checksSchema = z.array(z.object({ name: z.string(), held: z.boolean(), message: z.string() }));

export async function summarise(
  { model, plan, path }: PlannedTraining,
  folder: TrainingFolder,
  arm: ArmSummary,
  trainingHash: string,
  { count, trainMs, startMs }: Attempts,
  { command }: TrainOptions,
  startedAt: Date,
): Promise<TrainSummary> {
  const rows = rowsSchema.parse(JSON.parse(await readFile(folder.rows, "utf8")));
  const checks = checksSchema.parse(JSON.parse(await readFile(folder.checks, "utf8")));
  const history = await readHistory(folder);
  const losses = history.flatMap(({ step, loss }) =>
    step === undefined || loss === undefined ? [] : [{ step, loss }],
  );
  const validation =
    plan.heldOut === 0
      ? []
      : history.flatMap(({ step, eval_loss: loss }) =>
          step === undefined || loss === undefined ? [] : [{ step, loss }],
        );
  const { settings, gpus, processes, steps, differences, seed, usdPerHour } = plan;
  const tokens = Math.round(rows.tokens * settings.epochs); // the trainer's own count restarts with every attempt
  const hours = trainMs / 3_600_000;
  const examples = plan.rows * settings.epochs;
  const seconds = Math.max(1e-3, (trainMs - startMs) / 1000);
  return {
    model,
    arm: arm.arm,
    base: settings.base,
    recipe: plan.recipe.name,
    recipeVersion: plan.recipe.version,
    method: settings.method,
    template: settings.template,
    differences: [...differences],
    seed,
    path,
    outputPath: folder.output,
    ...(settings.keep === "epochs" && {
      checkpoints: (await findCheckpoints(folder)).map((step) => ({
        step,
        path: join(folder.output, `checkpoint-${step}`),
      })),
    }),
    rows: plan.rows,
    ...(plan.heldOut > 0 && {
      heldOut: plan.heldOut,
      validationLoss: validation.at(-1)?.loss ?? null,
      validationCurve: everySoMany(validation),
    }),
    cutRows: rows.cut,
    unlabelledRows: rows.unlabelled,
    steps: losses.at(-1)?.step ?? steps,
    globalBatch: settings.global_batch,
    gpus,
    processes,
    tokens,
    finalLoss: losses.at(-1)?.loss ?? null,
    lossCurve: everySoMany(losses),
    trainMs,
    startMs,
    gpuHours: hours * gpus,
    usdPerHour: usdPerHour ?? null,
    usd: usdPerHour === undefined ? null : hours * usdPerHour,
    examplesPerSecond: examples / seconds,
    tokensPerSecond: tokens / seconds,
    checks,
    gates: checks.map(({ name, held, message }): Gate => ({ name, held, message })),
    attempts: count,
    hash: trainingHash,
    command,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
}

function everySoMany<T>(points: readonly T[]): T[] {
  const step = Math.ceil(points.length / mostPoints);
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}
