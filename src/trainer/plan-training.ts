import { UsageError } from "../errors.ts";
import { expectSettings, type TrainingRecipe } from "./recipe.ts";
import { defaultSeed } from "../stats/random.ts";

/** Settings that override the recipe's. */
export interface TrainingOverrides {
  readonly base?: string | undefined;
  readonly template?: TrainingRecipe["template"] | undefined;
  readonly loss?: TrainingRecipe["loss"];
  readonly epochs?: number | undefined;
  readonly learningRate?: number | undefined;
  readonly globalBatch?: number | undefined;
  readonly maxLength?: number | undefined;
  readonly schedule?: TrainingRecipe["schedule"] | undefined;
  readonly warmup?: number | undefined;
  readonly weightDecay?: number | undefined;
  readonly precision?: TrainingRecipe["precision"] | undefined;
  readonly sharding?: TrainingRecipe["sharding"] | undefined;
  readonly loraRank?: number | undefined;
  readonly loraAlpha?: number | undefined;
  readonly loraDropout?: number | undefined;
  readonly packing?: boolean | undefined;
  readonly groupByLength?: boolean | undefined;
  readonly attention?: TrainingRecipe["attention"];
  readonly liger?: boolean | undefined;
  readonly gradientCheckpointing?: boolean | undefined;
  /** Share of the arm's rows that are held out of training. */
  readonly validation?: number | undefined;
  readonly keep?: TrainingRecipe["keep"];
  readonly shardedCheckpoints?: boolean | undefined;
  /** Number of GPUs that train together, on all machines; 0 trains on the CPU. */
  readonly gpus?: number | undefined;
  /** Number of machines that share the GPUs or processes evenly; 1 when left out. It does not change what is trained. */
  readonly nodes?: number | undefined;
  /** Number of processes that train together on the CPU. */
  readonly processes?: number | undefined;
  /** Rows that one device processes at a time. More is faster and needs more memory. */
  readonly deviceBatch?: number | undefined;
  /** US dollars per hour for all GPUs together. */
  readonly usdPerHour?: number | undefined;
  readonly seed?: number | undefined;
}

/** A setting that differs from the recipe's. */
interface Difference {
  readonly setting: string;
  readonly recipe: string;
  readonly here: string;
}

/** A training as it will run. Costs are in US dollars. */
export interface TrainingPlan {
  readonly recipe: TrainingRecipe;
  /** The recipe with the overrides applied. */
  readonly settings: TrainingRecipe;
  readonly differences: readonly Difference[];
  readonly seed: number;
  /** Rows that are trained on. */
  readonly rows: number;
  /** Rows that are held out, to measure the loss on. */
  readonly heldOut: number;
  readonly gpus: number;
  /** Number of processes that train together: one per GPU, or those on the CPU. */
  readonly processes: number;
  /** Number of machines that they run on, as many on each. */
  readonly nodes: number;
  /** Rows per process and pass, and passes per optimiser step. Their product, times `processes`, is the global batch. */
  readonly deviceBatch: number;
  readonly accumulation: number;
  /** With packing, an upper bound until the tokens are counted. */
  readonly stepsPerEpoch: number;
  readonly steps: number;
  readonly usdPerHour?: number | undefined;
}

const mostDeviceBatch = 4; // the paper's value for 7B, which fits on 80 GB GPUs with FSDP

/**
 * Plans how a recipe runs on the given devices. The number of devices does not change the global batch.
 *
 * @throws UsageError when the processes cannot share the global batch evenly, or an override does not fit the recipe
 */
export function planTraining(recipe: TrainingRecipe, all: number, overrides: TrainingOverrides = {}): TrainingPlan {
  const settings = override(recipe, overrides);
  expectSettings(settings);
  for (const name of ["gpus", "processes", "nodes", "deviceBatch", "seed", "usdPerHour"] as const) {
    const given = overrides[name];
    if (
      given !== undefined &&
      !(given >= 0 && (name === "usdPerHour" ? Number.isFinite(given) : Number.isInteger(given)))
    )
      throw new UsageError(`${name}: expected a number from 0, got ${given}`);
  }
  const heldOut = settings.validation === undefined || all < 2 ? 0 : Math.max(1, Math.round(all * settings.validation));
  const rows = all - heldOut;
  const gpus = overrides.gpus ?? settings.hardware.gpus;
  if (gpus > 0 && overrides.processes !== undefined && overrides.processes !== gpus)
    throw new UsageError(
      `--processes: expected one per GPU (${gpus}), got ${overrides.processes}; leave it out, or train on the CPU with --gpus 0`,
    );
  const processes = gpus > 0 ? gpus : (overrides.processes ?? 1);
  const nodes = overrides.nodes ?? 1;
  if (processes % nodes !== 0)
    throw new UsageError(
      `--nodes: expected a number that ${processes} ${gpus > 0 ? "GPUs" : "processes"} can be shared among evenly, got ${nodes}; ${gpus > 0 ? "--gpus counts those of all machines" : "--processes counts those of all machines"}`,
    );
  // on a CPU, rows beside each other save no time, and their padding takes some: one by one was 1.5 times as fast (SmolLM2, two cores)
  const wantedBatch = overrides.deviceBatch ?? (gpus === 0 ? 1 : undefined);
  const { deviceBatch, accumulation } = shareBatch(settings.global_batch, processes, wantedBatch);
  if (settings.liger && gpus === 0)
    throw new UsageError("--liger: expected a GPU, got a plan for the CPU; leave it out, or give --gpus");
  if (settings.attention?.startsWith("flash") && gpus === 0)
    throw new UsageError(
      `--attention ${settings.attention}: expected a GPU, got a plan for the CPU; take sdpa or eager, or give --gpus`,
    );
  const devices = { deviceBatch, accumulation, processes };
  const stepsPerEpoch = countSteps(rows, devices);
  const usdPerHour = overrides.usdPerHour ?? priceOf(recipe, gpus);
  return {
    recipe,
    settings,
    differences: findDifferences(recipe, settings, gpus),
    seed: overrides.seed ?? defaultSeed,
    rows,
    heldOut,
    gpus,
    processes,
    nodes,
    deviceBatch,
    accumulation,
    stepsPerEpoch,
    steps: Math.ceil(settings.epochs * stepsPerEpoch),
    usdPerHour,
  };
}

/** Optimiser steps of an epoch. @param sequences rows, or with packing what rows were put into */
export function countSteps(
  sequences: number,
  { deviceBatch, accumulation, processes }: Pick<TrainingPlan, "deviceBatch" | "accumulation" | "processes">,
): number {
  return Math.ceil(Math.ceil(sequences / (deviceBatch * processes)) / accumulation);
}

function override(recipe: TrainingRecipe, given: TrainingOverrides): TrainingRecipe {
  const { lora } = recipe;
  if (!lora && (given.loraRank ?? given.loraAlpha ?? given.loraDropout) !== undefined)
    throw new UsageError(`--lora-…: the recipe ${recipe.name} trains all weights; choose one with LoRA`);
  const chosen = {
    loss: given.loss ?? recipe.loss,
    packing: given.packing ?? recipe.packing,
    group_by_length: given.groupByLength ?? recipe.group_by_length,
    attention: given.attention ?? recipe.attention,
    liger: given.liger ?? recipe.liger,
    gradient_checkpointing: given.gradientCheckpointing ?? recipe.gradient_checkpointing,
    validation: given.validation ?? recipe.validation,
    keep: given.keep ?? recipe.keep,
    sharded_checkpoints: given.shardedCheckpoints ?? recipe.sharded_checkpoints,
  };
  if (chosen.sharded_checkpoints && (given.sharding ?? recipe.sharding) !== "fsdp")
    throw new UsageError(
      "--sharded-checkpoints: expected weights that are sharded; add --sharding fsdp, or leave it out",
    );
  if (chosen.sharded_checkpoints && (given.gpus ?? recipe.hardware.gpus) === 0)
    throw new UsageError(
      "--sharded-checkpoints: expected GPUs, got a plan for the CPU, where weights are not sharded; leave it out",
    );
  if (chosen.packing && chosen.group_by_length)
    throw new UsageError("--group-by-length: expected without packing, which leaves no rows to group");
  return {
    ...recipe,
    ...(Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)) as typeof chosen),
    base: given.base ?? recipe.base,
    template: given.template ?? recipe.template,
    epochs: given.epochs ?? recipe.epochs,
    learning_rate: given.learningRate ?? recipe.learning_rate,
    global_batch: given.globalBatch ?? recipe.global_batch,
    max_length: given.maxLength ?? recipe.max_length,
    schedule: given.schedule ?? recipe.schedule,
    warmup: given.warmup ?? recipe.warmup,
    weight_decay: given.weightDecay ?? recipe.weight_decay,
    precision: given.precision ?? recipe.precision,
    sharding: given.sharding ?? recipe.sharding,
    ...(lora && {
      lora: {
        ...lora,
        r: given.loraRank ?? lora.r,
        alpha: given.loraAlpha ?? lora.alpha,
        dropout: given.loraDropout ?? lora.dropout,
      },
    }),
  };
}

/** Splits the global batch evenly, by default with the largest device batch up to {@link mostDeviceBatch}. */
function shareBatch(
  globalBatch: number,
  processes: number,
  wanted: number | undefined,
): Pick<TrainingPlan, "deviceBatch" | "accumulation"> {
  if (globalBatch % processes !== 0)
    throw new UsageError(
      `expected a global batch that ${processes} processes can share evenly, got ${globalBatch}; choose another number of GPUs, or another --global-batch`,
    );
  const each = globalBatch / processes;
  if (wanted !== undefined && each % wanted !== 0)
    throw new UsageError(
      `--device-batch: expected a divisor of ${each}, the rows per step of each process, got ${wanted}`,
    );
  let deviceBatch = wanted ?? Math.min(mostDeviceBatch, each);
  while (each % deviceBatch !== 0) deviceBatch--;
  return { deviceBatch, accumulation: each / deviceBatch };
}

/** US dollars per hour, at the recipe's price per GPU. */
function priceOf({ hardware }: TrainingRecipe, gpus: number): number | undefined {
  if (hardware.usd_per_hour === undefined || hardware.gpus === 0) return undefined;
  return (hardware.usd_per_hour * gpus) / hardware.gpus;
}

function findDifferences(recipe: TrainingRecipe, settings: TrainingRecipe, gpus: number): Difference[] {
  const [theirs, ours] = [flatten(recipe), flatten({ ...settings, hardware: { ...settings.hardware, gpus } })];
  return Object.keys({ ...theirs, ...ours })
    .filter((setting) => theirs[setting] !== ours[setting])
    .map((setting) => ({ setting, recipe: theirs[setting] ?? "none", here: ours[setting] ?? "none" }));
}

/** Settings by name. Nested names are joined with a dot: `lora.r`. */
function flatten(value: object, prefix = ""): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.entries(flatten(inner, `${prefix}${name}.`))
        : [[`${prefix}${name}`, String(inner)] as const],
    ),
  );
}
