import { tryParse } from "../files/try-parse.ts";
import { createHash, hash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { own, ownerOf } from "../files/owner-file.ts";
import { openDataset } from "../dataset/open.ts";
import { RunError, UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { Gate } from "../run/records/common.ts";
import type { TrainSummary } from "../run/records/training.ts";
import { openProgressFile } from "../run/progress-file.ts";
import { attemptsSchema, costOfTraining } from "../run/spent.ts";
import { readFileStates } from "../run/file-states.ts";
import { requireRatings, runFolder, updateManifest, type RunFolder } from "../run/run-folder.ts";
import { countParameters, isSmollm2, makeSmollm2, resolveBase } from "../trainer/base-model.ts";
import { sampleTokens, type SampledTokens } from "../trainer/sample-tokens.ts";
import { estimateTraining, findTimed, type TrainingEstimate } from "../trainer/estimate.ts";
import { findUv } from "../python/uv.ts";
import { trainerFormats } from "../trainer/formats/index.ts";
import type { TrainerName } from "../trainer/formats/format.ts";
import { planTraining, type TrainingOverrides, type TrainingPlan } from "../trainer/plan-training.ts";
import type { TrainingRecipe } from "../trainer/recipe.ts";
import { findCheckpoints, readHistory, runTraining } from "../trainer/run-training.ts";
import {
  trainingFolder,
  writeTrainingData,
  writeTrainingFolder,
  type TrainingFolder,
} from "../trainer/training-folder.ts";
import type { StageOptions } from "./progress.ts";

export interface TrainOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  /** The arm to train on. */
  readonly arm: string;
  readonly recipe: TrainingRecipe;
  readonly overrides?: TrainingOverrides | undefined;
  /** The model's name; the arm's when left out. */
  readonly model?: string | undefined;
  /** Replace a model of that name that has other settings or rows. */
  readonly overwrite?: boolean | undefined;
  /** Train it again from the beginning, even if it is trained. */
  readonly again?: boolean | undefined;
  /** Called when nothing is done because the model is trained already. */
  readonly onTrained?: (() => void) | undefined;
}

export interface PlanTrainOptions extends TrainOptions {
  /** The trainer that the folder is written for. TRL when left out, the one that `train` runs. */
  readonly trainer?: TrainerName | undefined;
}

/** A training that is ready to run. */
export interface PlannedTraining {
  readonly trainer: TrainerName;
  /** How that trainer departs from the recipe. */
  readonly departures: readonly string[];
  readonly model: string;
  readonly arm: string;
  /** Its folder, complete: `sh run.sh` there trains it. */
  readonly path: string;
  readonly plan: TrainingPlan;
  readonly base: string;
  readonly estimate: TrainingEstimate;
  /** Tokens that it trains on, over all epochs. */
  readonly tokens: SampledTokens;
  /** Checkpoints of an interrupted attempt; training continues from the last one. */
  readonly checkpoints: readonly number[];
}

const mostPoints = 400; // of a loss curve

/**
 * Writes the training folder of an arm, and estimates what training will take.
 *
 * @throws UsageError for settings that make no sense, RunError when the arm is not there or the name is taken
 */
export async function planTrain(options: PlanTrainOptions): Promise<PlannedTraining> {
  const { planned } = await prepare(options);
  return planned;
}

/**
 * Trains a model on an arm, continuing an interrupted attempt, and checks the trained model.
 *
 * @throws TrainerError when uv is missing or the trainer fails, with the end of its output; others as `planTrain`
 */
export async function train(options: TrainOptions): Promise<TrainSummary> {
  const startedAt = new Date();
  const { planned, folder, run, arm, trainingHash } = await prepare(options);
  const { model, plan } = planned;
  const before = (await requireRatings(run)).models?.[model];
  if (before?.hash === trainingHash && existsSync(folder.output) && !options.again) {
    options.onTrained?.();
    return before;
  }
  findUv();
  using owned = own(folder.owner);
  if (!owned) throw describeOwner(folder);
  const attempts = await openAttempts(folder);
  using progressFile = openProgressFile(run);
  const tell = (doing: string, done: number, note?: string) => {
    const progress = {
      stage: "train" as const,
      doing,
      done,
      total: plan.steps,
      unit: "steps" as const,
      note,
    };
    options.onProgress?.(progress);
    progressFile.show(progress);
  };
  if (isSmollm2(plan.settings.base)) {
    tell("making the base model", 0);
    await makeSmollm2(options.signal);
  }
  let trainingSince: number | undefined;
  let first: { readonly at: number; readonly tokens: number } | undefined;
  await runTraining(folder, {
    stepsPerEpoch: plan.stepsPerEpoch,
    signal: options.signal,
    onPhase(phase) {
      if (phase === "training") trainingSince = Date.now();
      else if (trainingSince !== undefined) {
        attempts.spent(Date.now() - trainingSince, (first?.at ?? Date.now()) - trainingSince);
        trainingSince = undefined;
      }
      if (phase !== "done") tell(phase, phase === "checking" ? plan.steps : 0);
    },
    onStep({ step, loss, tokens }) {
      if (trainingSince === undefined) return;
      const now = Date.now();
      first ??= { at: now, tokens };
      attempts.spent(now - trainingSince, first.at - trainingSince);
      const speed = now > first.at ? (tokens - first.tokens) / ((now - first.at) / 1000) : 0;
      tell("training", step, `loss ${loss.toFixed(3)}, ${formatCount(speed)} tokens/s`);
    },
  }).finally(() => attempts.save());
  const summary = await summarise(planned, folder, arm, trainingHash, attempts, options, startedAt);
  await updateManifest(run, (latest) => ({ ...latest!, models: { ...latest!.models, [model]: summary } }));
  return summary;
}

interface Prepared {
  readonly planned: PlannedTraining;
  readonly folder: TrainingFolder;
  readonly run: RunFolder;
  readonly arm: ArmSummary;
  readonly trainingHash: string;
}

async function prepare(options: PlanTrainOptions): Promise<Prepared> {
  const { recipe, overrides = {} } = options;
  const run = runFolder(options.run);
  const manifest = await requireRatings(run);
  const arm = manifest.arms[options.arm];
  if (!arm)
    throw new RunError(
      `${options.run}: expected an arm ${JSON.stringify(options.arm)}, found ${Object.keys(manifest.arms).join(", ") || "none"}; select it first: alpagasus select … --arm ${options.arm}`,
    );
  const state = (await readFileStates(options.run, manifest)).arms.find((other) => other.arm === arm.arm)!;
  if (state.isStale || state.state !== "present")
    throw new RunError(
      `${arm.path}: expected the arm as it was selected, found it ${state.isStale ? "of older ratings or other data" : state.state}; select it again`,
    );
  const model = options.model ?? options.arm;
  if (!/^\w[\w.-]*$/.test(model) || model.includes(".."))
    throw new UsageError(`--model: expected a name of letters, digits, ".", "_" and "-", got ${JSON.stringify(model)}`);
  const plan = planTraining(recipe, arm.rows, overrides);
  const base = resolveBase(plan.settings.base);
  const folder = trainingFolder(run.modelPath(model));
  const trainer = trainerFormats[options.trainer ?? "trl"];
  trainer.files(plan, base); // throws if it cannot do this training
  const trainingHash = await hashTraining(trainer.name, plan, base, run.recordedArmPath(arm));
  await expectSame(folder, trainingHash, model, options);
  if (options.again && existsSync(folder.checks)) await removeTraining(folder);
  const { map, shape } = manifest.dataset;
  const rows = await openDataset(run.recordedArmPath(arm), map ? { map } : { shape });
  await writeTrainingData(folder, rows.batches(), plan.settings.template, trainer);
  await writeTrainingFolder(folder, plan, base, trainingHash, trainer);
  const estimate = estimateTraining(plan, await countParameters(plan.settings.base), findTimed(manifest.models, plan));
  return {
    planned: {
      trainer: trainer.name,
      departures: trainer.departures(plan),
      model,
      arm: arm.arm,
      path: folder.folder,
      plan,
      base,
      estimate,
      tokens: await sampleTokens(rows.batches(), plan, base),
      checkpoints: await findCheckpoints(folder),
    },
    folder,
    run,
    arm,
    trainingHash,
  };
}

/** Hash of what a training depends on: settings and rows, but not file names. */
async function hashTraining(trainer: TrainerName, plan: TrainingPlan, base: string, armPath: string): Promise<string> {
  const sha = createHash("sha256");
  for await (const chunk of createReadStream(armPath)) sha.update(chunk as Buffer); // a stream of bytes
  const { settings, seed, gpus, processes, deviceBatch, accumulation } = plan;
  const { method, sharding, template, epochs, learning_rate, global_batch, max_length } = settings;
  const { schedule, warmup, weight_decay, precision, lora, quantisation } = settings;
  const what = [method, sharding, template, epochs, learning_rate, global_batch, max_length];
  const how = [schedule, warmup, weight_decay, precision, lora, quantisation];
  return hash(
    "sha256",
    JSON.stringify([
      ...(trainer === "trl" ? [] : [trainer]),
      what,
      how,
      base,
      seed,
      gpus,
      processes,
      deviceBatch,
      accumulation,
      sha.digest("hex"),
    ]),
  );
}

function describeOwner({ folder, owner }: TrainingFolder): RunError {
  return new RunError(
    `${folder}: expected a training that nobody works on, process ${ownerOf(owner) ?? "another one"} does; wait for it, or stop it`,
  );
}

/** @throws RunError when the folder holds another training, or another process works there */
async function expectSame(
  folder: TrainingFolder,
  trainingHash: string,
  model: string,
  options: TrainOptions,
): Promise<void> {
  if (ownerOf(folder.owner) !== undefined) throw describeOwner(folder);
  const found = await readFile(folder.settings, "utf8").catch(() => undefined);
  if (found === undefined) return;
  const known = z.object({ hash: z.string() }).safeParse(tryParse(found));
  if (known.success && known.data.hash === trainingHash) return;
  const isBegun = [folder.log, folder.rows, folder.output, join(folder.folder, "prepared")].some((path) =>
    existsSync(path),
  );
  if (isBegun && !options.overwrite)
    throw new RunError(
      `${folder.folder}: holds a training of ${model} with other settings or rows; name this one with --model, or replace it with --overwrite`,
    );
  await removeTraining(folder);
}

/** Removes a training, but keeps a record of its cost. */
async function removeTraining(folder: TrainingFolder): Promise<void> {
  const usd = await costOfTraining(folder.folder);
  if (usd > 0)
    await appendFile(
      join(folder.folder, "..", "removed.jsonl"),
      `${JSON.stringify({ model: basename(folder.folder), usd })}\n`,
    );
  await rm(folder.folder, { recursive: true, force: true });
}

/** Training time over all attempts, saved in the training's folder while it runs, since it can end at any time. */
interface Attempts {
  readonly count: number;
  readonly trainMs: number;
  /** The part of it before each attempt's first step. */
  readonly startMs: number;
  /** Sets the times of this attempt so far. */
  spent(trainMs: number, startMs: number): void;
  save(): Promise<void>;
}

const saveMs = 5_000;

async function openAttempts({ folder }: TrainingFolder): Promise<Attempts> {
  const path = join(folder, "attempts.json");
  const found = attemptsSchema.safeParse(tryParse(await readFile(path, "utf8").catch(() => "[]")));
  const attempts = found.success ? found.data : [];
  const current = { startedAt: new Date().toISOString(), trainMs: 0, startMs: 0 };
  attempts.push(current);
  let savedAt = Date.now();
  const save = () => writeFile(path, JSON.stringify(attempts));
  await save();
  return {
    get count() {
      return attempts.length;
    },
    get trainMs() {
      return attempts.reduce((sum, { trainMs }) => sum + trainMs, 0);
    },
    get startMs() {
      return attempts.reduce((sum, { startMs }) => sum + startMs, 0);
    },
    spent(trainMs, startMs) {
      Object.assign(current, { trainMs, startMs });
      if (Date.now() - savedAt < saveMs) return;
      savedAt = Date.now();
      void save().catch(() => {}); // it is saved again at the end
    },
    save,
  };
}

const rowsSchema = z.object({
  rows: z.number(),
  tokens: z.number(),
  labels: z.number(),
  cut: z.array(z.number()),
  unlabelled: z.array(z.number()),
});
const checksSchema = z.array(z.object({ name: z.string(), held: z.boolean(), message: z.string() }));

async function summarise(
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
  const { settings, gpus, processes, steps, differences, seed, usdPerHour } = plan;
  const tokens = Math.round(rows.tokens * settings.epochs); // the trainer's own count restarts with every attempt
  const hours = trainMs / 3_600_000;
  const examples = arm.rows * settings.epochs;
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
    rows: arm.rows,
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
