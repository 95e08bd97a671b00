import type { Tracker } from "../python/trackers.ts";
import { expectName } from "../run/name.ts";
import { createHash, hash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { appendFile, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import * as z from "zod";
import { openDataset } from "../dataset/open.ts";
import { RunError, UsageError } from "../errors.ts";
import { own, ownerOf } from "../files/owner-file.ts";
import { tryParse } from "../files/try-parse.ts";
import { costOfTraining } from "../run/training-attempts.ts";
import { expectArm, readFileStates } from "../run/file-states.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import { shellWord } from "../shell-word.ts";
import { type RunFolder, requireRatings, runFlag, runFolder } from "../run/run-folder.ts";
import { countParameters, resolveBase } from "../trainer/base-model.ts";
import { type TrainingEstimate, estimateTraining, findTimed } from "../trainer/estimate.ts";
import type { TrainerName } from "../trainer/formats/format.ts";
import { trainerFormats } from "../trainer/formats/index.ts";
import { type TrainingOverrides, type TrainingPlan, planTraining } from "../trainer/plan-training.ts";
import { type TrainingRecipe, lossOf, optionalSettings } from "../trainer/recipe.ts";
import { findCheckpoints } from "../trainer/run-training.ts";
import { type SampledTokens, sampleTokens } from "../trainer/sample-tokens.ts";
import {
  type TrainingFolder,
  trainingFolder,
  expectFit,
  writeTrainingData,
  writeTrainingFolder,
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
  /** Trains as a job of a Ray cluster, by its dashboard's address: `http://head:8265`. */
  readonly ray?: string | undefined;
  /** With `ray`: a folder on storage that the cluster's machines share. The training's own folder when left out. */
  readonly storage?: string | undefined;
  /** With `ray`: asked when the user interrupts, whether the job is stopped, too. It goes on when left out. */
  readonly shouldStop?: (() => Promise<boolean>) | undefined;
  /** Trackers that get the loss curve, too; not with a cluster. */
  readonly reportTo?: readonly Tracker[] | undefined;
  /** Called with what happens to a job, a line each. */
  readonly onNote?: ((note: string) => void) | undefined;
  /** Called when nothing is done because the model is trained already. */
  readonly onTrained?: (() => void) | undefined;
}

export interface PlanTrainOptions extends TrainOptions {
  /** The trainer that the folder is written for. TRL when left out, the one that `train` runs. */
  readonly trainer?: TrainerName | undefined;
  /** Whether the folder is written to be trained in, so that `overwrite` replaces a training in it; a plan replaces none. */
  readonly isFinal?: boolean | undefined;
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

interface Prepared {
  readonly planned: PlannedTraining;
  readonly folder: TrainingFolder;
  readonly run: RunFolder;
  readonly arm: ArmSummary;
  readonly trainingHash: string;
}

/**
 * Writes a training's folder. Looks at everything first: where something does not fit, what is in the folder stays.
 *
 * @param isDry nothing is going to be trained: what was begun there is not replaced either
 */
export async function prepare(options: PlanTrainOptions, isDry = false): Promise<Prepared> {
  const { recipe, overrides = {} } = options;
  const run = runFolder(options.run);
  const manifest = await requireRatings(run);
  const arm = manifest.arms[options.arm];
  if (!arm)
    throw new RunError(
      `${options.run}: expected an arm ${JSON.stringify(options.arm)}, found ${Object.keys(manifest.arms).join(", ") || "none"}; select it first: alpagasus select … --arm ${shellWord(options.arm)}${runFlag(options.run)}`,
    );
  const state = (await readFileStates(options.run, manifest)).arms.find((other) => other.arm === arm.arm)!;
  await expectArm(run, state);
  const model = options.model ?? options.arm;
  expectName("--model", model);
  const plan = planTraining(recipe, arm.rows, overrides);
  if (plan.settings.validation !== undefined && plan.heldOut === 0)
    throw new UsageError(`--validation: expected rows to train on beside those held out, got ${arm.rows} in all`);
  const base = resolveBase(plan.settings.base);
  const folder = trainingFolder(run.modelPath(model));
  const trainer = trainerFormats[options.trainer ?? "trl"];
  if (plan.nodes > 1 && !trainer.startsOnSeveralMachines)
    throw new UsageError(
      `--nodes: expected one machine for --trainer ${trainer.name}, whose folder is started on one, got ${plan.nodes}; leave the option out, or use --trainer trl`,
    );
  trainer.files(plan, base, false); // throws if it cannot do this training
  const { map, shape, quotes } = manifest.dataset;
  const layout = [map ?? null, quotes ?? null];
  const trainingHash = await hashTraining(trainer.name, plan, base, layout, run.recordedArmPath(arm));
  const isOther = await holdsAnother(folder, trainingHash, model, options, isDry);
  const rows = await openDataset(run.recordedArmPath(arm), { ...(map ? { map } : { shape }), quotes });
  await expectFit(rows.batches(), plan, trainer);
  if (isOther || (options.again && existsSync(folder.checks))) await removeTraining(folder);
  const { areTokens } = await writeTrainingData(folder, () => rows.batches(), plan, trainer);
  await writeTrainingFolder(folder, plan, base, trainingHash, trainer, areTokens);
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

/** Hash of what a training depends on: settings, rows and how they are read, but not file names. @param layout nulls for the usual one */
async function hashTraining(
  trainer: TrainerName,
  plan: TrainingPlan,
  base: string,
  layout: readonly unknown[],
  armPath: string,
): Promise<string> {
  const sha = createHash("sha256");
  for await (const chunk of createReadStream(armPath)) sha.update(chunk as Buffer); // a stream of bytes
  const { settings, seed, gpus, processes, deviceBatch, accumulation } = plan;
  const { method, sharding, template, epochs, learning_rate, global_batch, max_length } = settings;
  const { schedule, warmup, weight_decay, precision, lora, quantisation } = settings;
  const what = [method, sharding, template, epochs, learning_rate, global_batch, max_length];
  const how = [schedule, warmup, weight_decay, precision, lora, quantisation];
  const chosen = Object.keys(optionalSettings)
    .map((name) => [name, settings[name as keyof typeof optionalSettings]] as const)
    .filter(([, value]) => value !== undefined);
  return hash(
    "sha256",
    JSON.stringify([
      ...(trainer === "trl" ? [] : [trainer]),
      ...(template === "chat" ? [`loss ${lossOf(settings)}`] : []),
      ...(chosen.length > 0 ? [chosen] : []),
      ...(layout.some((part) => part !== null) ? [layout] : []),
      what,
      how,
      base,
      seed,
      gpus,
      processes,
      // on a CPU, how the rows of a step are shared out changes nothing; as it was when they went four by four, so that those go on
      ...(gpus > 0 ? [deviceBatch, accumulation] : usualShare(deviceBatch * accumulation)),
      sha.digest("hex"),
    ]),
  );
}

/** Rows at a time, at most four, and how often, of the rows of a step. */
function usualShare(rows: number): [number, number] {
  const atATime = [4, 3, 2, 1].find((some) => rows % some === 0)!;
  return [atATime, rows / atATime];
}

export function describeOwner({ folder, owner }: TrainingFolder): RunError {
  return new RunError(
    `${folder}: expected a training that no other process runs, ${ownerOf(owner) ?? "another one"} does; wait for it, or stop it`,
  );
}

/**
 * Whether the folder holds another training, which may be replaced.
 *
 * @throws RunError when it may not, or another process works there
 */
async function holdsAnother(
  folder: TrainingFolder,
  trainingHash: string,
  model: string,
  options: TrainOptions,
  isDry: boolean,
): Promise<boolean> {
  if (ownerOf(folder.owner) !== undefined) {
    using owned = await own(folder.owner, { signal: options.signal }); // looks whether it lives; nothing is trained yet
    if (!owned) throw describeOwner(folder);
  }
  const found = await readFile(folder.settings, "utf8").catch(() => undefined);
  if (found === undefined) return false;
  const known = z.object({ hash: z.string() }).safeParse(tryParse(found));
  if (known.success && known.data.hash === trainingHash) return false;
  const isBegun = [folder.log, folder.rows, folder.output, join(folder.folder, "prepared")].some((path) =>
    existsSync(path),
  );
  if (isBegun && options.overwrite && isDry)
    throw new RunError(
      `${folder.folder}: holds a training of ${model} with other settings or rows, which --dry-run does not replace; plan this one under another name with --model`,
    );
  if (isBegun && !options.overwrite)
    throw new RunError(
      `${folder.folder}: holds a training of ${model} with other settings or rows; name this one with --model, or replace it with --overwrite`,
    );
  return true;
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
