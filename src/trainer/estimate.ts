import type { TrainSummary } from "../run/records/training.ts";
import type { TrainingPlan } from "./plan-training.ts";

/** Estimated memory, time and cost of a training. */
export interface TrainingEstimate {
  /** Memory per GPU, or of the machine without GPUs, in gigabytes; absent when the model's size is unknown. */
  readonly memoryGb?: number | undefined;
  /** Weights of the base model. */
  readonly parameters?: number | undefined;
  readonly minutes?: number | undefined;
  readonly usd?: number | undefined;
  /** What `minutes` is based on, or why it is absent, in words. */
  readonly basis: string;
}

/** A finished training, whose speed is used to estimate another. */
export interface TimedTraining {
  readonly name: string;
  readonly secondsPerStep: number;
  /** For a plan with packing, whose steps are not known before its tokens are counted. */
  readonly secondsPerRow?: number | undefined;
}

/** Finds a training of the run with the plan's recipe, base, devices and global batch, which determine the time per step. */
export function findTimed(
  models: Readonly<Record<string, TrainSummary>> | undefined,
  plan: TrainingPlan,
): TimedTraining | undefined {
  const similar = Object.values(models ?? {}).find(
    ({ recipe, base, gpus, processes, globalBatch, differences }) =>
      recipe === plan.recipe.name &&
      speedOf(differences) === speedOf(plan.differences) &&
      base === plan.settings.base &&
      gpus === plan.gpus &&
      processes === plan.processes &&
      globalBatch === plan.settings.global_batch,
  );
  return (
    similar && {
      name: similar.model,
      secondsPerStep: (similar.trainMs - similar.startMs) / 1000 / similar.steps,
      secondsPerRow: 1 / similar.examplesPerSecond,
    }
  );
}

/** The settings that change how long a step takes, where they differ from the recipe's. */
function speedOf(differences: TrainingPlan["differences"]): string {
  // what is off is as if it were left out; gradient checkpointing is on then
  const effective = (setting: string, value: string) =>
    value === (setting === "gradient_checkpointing" ? "true" : "false") ? "none" : value;
  return differences
    .filter(({ setting, recipe, here }) => effective(setting, recipe) !== effective(setting, here))
    .filter(({ setting }) =>
      /^(packing|attention|liger|gradient_checkpointing|group_by_length|validation|max_length|precision|sharding|base)$/.test(
        setting,
      ),
    )
    .map(({ setting, here }) => `${setting} ${here}`)
    .join(", ");
}

const gigabyte = 1e9;
const activationShare = 0.25; // added to weights and optimiser state, for activations: a rule of thumb

/**
 * Estimates memory, time and cost. Memory follows from the number of weights, by a rule of thumb that was not verified by
 * measurement. Time follows from the number of steps and the time per step of `timed`, or else of the published training.
 */
export function estimateTraining(
  plan: TrainingPlan,
  parameters: number | undefined,
  timed?: TimedTraining,
): TrainingEstimate {
  const time = estimateTime(plan, timed);
  const usd =
    time.minutes === undefined || plan.usdPerHour === undefined ? undefined : (time.minutes / 60) * plan.usdPerHour;
  return {
    ...time,
    ...(parameters !== undefined && { parameters, memoryGb: estimateMemory(plan, parameters) }),
    ...(usd !== undefined && { usd }),
  };
}

function estimateTime(
  { recipe, settings, steps, rows, gpus, differences }: TrainingPlan,
  timed: TimedTraining | undefined,
): Pick<TrainingEstimate, "minutes" | "basis"> {
  if (timed?.secondsPerRow !== undefined && settings.packing)
    return {
      minutes: (rows * settings.epochs * timed.secondsPerRow) / 60,
      basis: `${timed.name} of this run took ${(1000 * timed.secondsPerRow).toFixed(1)} s for 1,000 rows`,
    };
  if (timed)
    return {
      minutes: (steps * timed.secondsPerStep) / 60,
      basis: `${timed.name} of this run took ${timed.secondsPerStep.toFixed(2)} s a step`,
    };
  const { published, hardware } = recipe;
  if (
    !published ||
    speedOf(differences) !== "" ||
    gpus !== hardware.gpus ||
    settings.global_batch !== recipe.global_batch
  )
    return { basis: "no similar training was timed yet" };
  const publishedSteps = Math.ceil(recipe.epochs * Math.ceil(published.rows / recipe.global_batch));
  return {
    minutes: (published.minutes / publishedSteps) * steps,
    basis: `the recipe's published time: ${published.minutes} minutes for ${publishedSteps} steps on ${hardware.gpus} ${hardware.gpu}`,
  };
}

/** Gigabytes: weights, with gradients and Adam's two moments in full training, divided among processes if sharded (FSDP). */
function estimateMemory(
  { settings: { method, precision, sharding, quantisation }, processes }: TrainingPlan,
  parameters: number,
): number {
  const weightBytes = precision === "fp32" ? 4 : 2;
  const bytes = method === "full" ? 16 : quantisation ? 0.6 : weightBytes;
  const shards = sharding === "fsdp" ? processes : 1;
  return ((parameters * bytes) / shards / gigabyte) * (1 + activationShare) + 1;
}
