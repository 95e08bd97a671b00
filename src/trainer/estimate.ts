import type { TrainSummary } from "../run/records/training.ts";
import type { TrainingPlan } from "./plan-training.ts";

/** What a training will take, and how that is known. */
export interface TrainingEstimate {
  /** Gigabytes of one GPU's memory, or of the machine's where there is none; absent where the model's size is not known. */
  readonly memoryGb?: number;
  /** Weights of the base model. */
  readonly parameters?: number;
  readonly minutes?: number;
  readonly usd?: number;
  /** Where minutes come from, in words. */
  readonly basis: string;
}

/** A training that was timed, to estimate another by. */
export interface TimedTraining {
  readonly name: string;
  readonly secondsPerStep: number;
}

/** A training of a run that is like a plan in all that its time follows from: recipe, base, machines and batch. */
export function findTimed(
  models: Readonly<Record<string, TrainSummary>> | undefined,
  plan: TrainingPlan,
): TimedTraining | undefined {
  const like = Object.values(models ?? {}).find(
    ({ recipe, base, gpus, processes, globalBatch }) =>
      recipe === plan.recipe.name &&
      base === plan.settings.base &&
      gpus === plan.gpus &&
      processes === plan.processes &&
      globalBatch === plan.settings.global_batch,
  );
  return like && { name: like.model, secondsPerStep: (like.trainMs - like.startMs) / 1000 / like.steps };
}

const gigabyte = 1e9;
const activationShare = 0.25; // on top of weights and their optimiser, for what a step keeps meanwhile: a rule of thumb

/**
 * Estimates memory from the number of weights by a rule of thumb that was not measured, and time from a training that was timed: one of this run by the same
 * recipe, else the one that was published with it, both by steps.
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
  { recipe, settings, steps, gpus }: TrainingPlan,
  timed: TimedTraining | undefined,
): Pick<TrainingEstimate, "minutes" | "basis"> {
  if (timed)
    return {
      minutes: (steps * timed.secondsPerStep) / 60,
      basis: `${timed.name} of this run took ${timed.secondsPerStep.toFixed(2)} s a step`,
    };
  const { published, hardware } = recipe;
  if (!published || gpus !== hardware.gpus || settings.global_batch !== recipe.global_batch)
    return { basis: "nothing like it was timed yet" };
  const publishedSteps = Math.ceil(recipe.epochs * Math.ceil(published.rows / recipe.global_batch));
  return {
    minutes: (published.minutes / publishedSteps) * steps,
    basis: `${published.minutes} minutes for ${publishedSteps} steps on ${hardware.gpus} ${hardware.gpu} were published`,
  };
}

/** Weights, gradients and Adam's two moments of what is trained, shared out where they are sharded. */
function estimateMemory(
  { settings: { method, precision, sharding, quantisation }, processes }: TrainingPlan,
  parameters: number,
): number {
  const half = precision === "fp32" ? 4 : 2;
  const bytes = method === "full" ? 16 : quantisation ? 0.6 : half;
  const shares = sharding === "fsdp" ? processes : 1;
  return ((parameters * bytes) / shares / gigabyte) * (1 + activationShare) + 1;
}
