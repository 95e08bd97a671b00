import { RayCluster } from "../../cluster/ray.ts";
import type { RayServing } from "../../cluster/serve.ts";
import type { Dataset } from "../../dataset/dataset.ts";
import { openDataset } from "../../dataset/open.ts";
import type { TestPrompt } from "../../dataset/prompts.ts";
import type { ExperimentRecipe } from "../../experiment/recipe.ts";
import type { Experiment } from "../../experiment/resolve.ts";
import type { ExperimentStage, Task, TaskEnd } from "../../experiment/task.ts";
import { DataError, messageOf, UsageError } from "../../errors.ts";
import { openTestSets } from "../../generation/test-sets.ts";
import type { OpenAskerOptions } from "../../judge/open-asker.ts";
import { openModel } from "../../llm/open-model.ts";
import { flatPrice, type Price } from "../../llm/price.ts";
import type { Manifest } from "../../run/manifest.ts";
import type { CallsRecord, Gate } from "../../run/records/common.ts";
import { readManifest, runFolder, type RunFolder } from "../../run/run-folder.ts";
import { spentOnTraining } from "../../run/spent.ts";
import type { Progress } from "../progress.ts";

export interface TaskOptions {
  readonly experiment: Experiment;
  readonly run: string;
  /** What the user typed. */
  readonly command?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** US dollars for all stages together, including trainings priced by the hour. */
  readonly budgetUsd?: number | undefined;
  readonly onProgress?: ((task: string, progress: Progress) => void) | undefined;
  /** Called with what happens to a job on a cluster, a line each. */
  readonly onNote?: ((task: string, note: string) => void) | undefined;
  /** Asked when the user interrupts: whether jobs that train on a cluster are stopped, too. They go on when left out. */
  readonly shouldStop?: (() => Promise<boolean>) | undefined;
  /** Make failed calls again. */
  readonly retryFailed?: boolean | undefined;
  /** Count the run's spending anew, where the store that counted it is gone. */
  readonly forgetSpent?: boolean | undefined;
  /** Stages to repeat even if nothing changed. */
  readonly force?: readonly ExperimentStage[] | undefined;
  /** Called before the report is written, when all else is done. */
  readonly onReport?: (() => Promise<void>) | undefined;
}

/** What of a cluster an experiment may take at a time. */
export interface ClusterRoom {
  readonly unit: "GPUs" | "CPUs";
  readonly places: number;
}

/** What the tasks of an experiment share. */
export class Context {
  readonly options: TaskOptions;
  readonly experiment: Experiment;
  readonly recipe: ExperimentRecipe;
  readonly run: RunFolder;
  #prompts: Promise<TestPrompt[]> | undefined;
  #rows: Promise<number> | undefined;
  #room: Promise<ClusterRoom> | undefined;

  constructor(options: TaskOptions) {
    this.options = options;
    this.experiment = options.experiment;
    this.recipe = options.experiment.recipe;
    this.run = runFolder(options.run);
  }

  /** The prompts of all test sets. */
  prompts(): Promise<TestPrompt[]> {
    const { generation } = this.experiment;
    return (this.#prompts ??= openTestSets(generation?.tests ?? [], generation?.declared.limit));
  }

  async manifest(): Promise<Manifest | undefined> {
    return readManifest(this.run);
  }

  openDataset(): Promise<Dataset> {
    return openData(this.recipe, this.options.signal);
  }

  /** How many rows the data has; read once. */
  countRows(): Promise<number> {
    return (this.#rows ??= this.openDataset().then(async (dataset) => {
      let rows = 0;
      for await (const batch of dataset.batches()) rows += batch.length;
      return rows;
    }));
  }

  /** The options that every stage takes. */
  stage(task: string): { run: string; command: string | undefined; onProgress: (progress: Progress) => void } {
    const { run, command, onProgress } = this.options;
    return {
      run,
      command,
      onProgress: (progress) => onProgress?.(task, progress),
    };
  }

  /** How many calls of a task have failed, where they are made again. */
  retried(failedCalls: () => Promise<number>): Pick<Task, "failedCalls"> {
    return this.options.retryFailed ? { failedCalls } : {};
  }

  /** The options that every stage takes that asks a model; of the budget, what trainings have left. */
  async asking(model: string): Promise<OpenAskerOptions> {
    const { run, budgetUsd, signal, retryFailed, forgetSpent } = this.options;
    const price = this.recipe.prices[model];
    return {
      run,
      isFromRecipe: true,
      budgetUsd: budgetUsd === undefined ? undefined : Math.max(0, budgetUsd - (await spentOnTraining(this.run))),
      price,
      signal,
      retryFailed,
      forgetSpent,
    };
  }

  /** Where models are served on the experiment's cluster, if it has one. */
  get serving(): RayServing | undefined {
    const { cluster } = this.experiment;
    return cluster && { address: cluster.address, replicas: cluster.replicas };
  }

  /** What of the cluster may be taken at a time. @throws RunError when it cannot be asked */
  clusterRoom(): Promise<ClusterRoom> {
    return (this.#room ??= (async () => {
      const { address, gpus, cpus } = this.experiment.cluster!;
      const has = await (await RayCluster.open(address, this.options.signal)).resources();
      const unit = has.gpus > 0 ? "GPUs" : "CPUs";
      if ((unit === "GPUs" ? cpus : gpus) !== undefined)
        throw new UsageError(
          `${this.recipe.at(["on"])}: on: expected ${unit.toLowerCase()}, since the cluster at ${address} has ${unit === "GPUs" ? "GPUs" : "none but CPUs"}, got ${unit === "GPUs" ? "cpus" : "gpus"}`,
        );
      return { unit, places: (unit === "GPUs" ? gpus : cpus) ?? Math.floor(unit === "GPUs" ? has.gpus : has.cpus) };
    })());
  }

  /** How much of the cluster the servers of some models take. */
  async takenByServers(models = 1): Promise<number> {
    return models * this.experiment.cluster!.replicas; // a GPU each, or a CPU
  }

  /** The price of a model's calls, by the recipe or the price list, undefined where neither has it; and whether it reasons first. */
  async pricedModel(
    model: string,
    inBatches = false,
  ): Promise<{ readonly price: Price | undefined; readonly thinksFirst: boolean }> {
    const given = this.recipe.prices[model];
    const { price, thinksFirst, batches } = await openModel(model, { isFromRecipe: true });
    const listed = inBatches ? (batches?.price ?? price) : price;
    return { price: given ? flatPrice(given.input, given.output) : listed, thinksFirst };
  }
}

/** Opens the data of a recipe. */
export async function openData(
  { data, map, shape, quotes, unreadable, pathOf, at }: ExperimentRecipe,
  signal?: AbortSignal,
): Promise<Dataset> {
  try {
    return await openDataset([data!].flat().map(pathOf), {
      map,
      shape,
      quotes,
      unreadable: unreadable === "skip" ? "keep" : undefined,
      signal,
    });
  } catch (cause) {
    const told = messageOf(cause);
    const [whole, option] = /^--(shape|map|quotes): /.exec(told) ?? [];
    if (whole !== undefined && option !== undefined)
      throw new UsageError(`${at([option])}: ${option}: ${told.slice(whole.length)}`, { cause });
    const inRecipe = told.replace(
      /--map (\S+=\S+)/,
      (_, fields: string) =>
        // as options, a recipe's fields are no use
        `map: { ${fields.replaceAll("=", ": ").replaceAll(",", ", ")} } in the recipe`,
    );
    if (cause instanceof DataError && inRecipe !== told) throw new DataError(inRecipe, { cause });
    throw cause;
  }
}

/** Turns a stage's gates and calls into a task's end. */
export function endOf(gates: readonly Gate[], calls: CallsRecord | undefined): TaskEnd {
  return {
    gates,
    ...(calls?.stopped && { stopped: calls.stopped }),
    ...(calls?.failure !== undefined && { failure: calls.failure }),
  };
}
