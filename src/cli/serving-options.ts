import type { Command } from "commander";
import type { RayServing } from "../cluster/serve.ts";
import { UsageError } from "../errors.ts";
import { parsePositive, parseWhole } from "./options.ts";

export interface ServingFlags {
  on?: string | undefined;
  replicas?: number | undefined;
  gpus?: number | undefined;
}

/** Adds the options for a Ray cluster. @param what what is done there: `start the model's servers` */
export function addServingOptions(command: Command, what: string): Command {
  return command
    .option("--on <cluster>", `${what} on a Ray cluster: ray:http://HEAD:8265 (this machine)`)
    .option("--replicas <n>", "with --on: how many servers of the model (1)", parsePositive)
    .option("--gpus <n>", "with --on: GPUs of each server (1, or 0 on a cluster without)", parseWhole);
}

/**
 * The same for scripts that measure rows, each of which uses one GPU.
 *
 * @throws UsageError as {@link readServing}, and for several GPUs
 */
export async function readMeasuring(flags: ServingFlags): Promise<RayServing | undefined> {
  if (flags.gpus !== undefined && flags.gpus > 1)
    throw new UsageError(
      `--gpus: expected 0 or 1, since each process measures on one GPU, got ${flags.gpus}; raise --replicas`,
    );
  return readServing(flags);
}

/** Where a model's servers are started, if on a cluster. @throws UsageError when the address has another form, or options miss --on */
export async function readServing({ on, replicas, gpus }: ServingFlags): Promise<RayServing | undefined> {
  if (on === undefined) {
    const without = replicas === undefined ? (gpus === undefined ? undefined : "--gpus") : "--replicas";
    if (without !== undefined)
      throw new UsageError(`${without}: expected --on with it, got none; --on ray:http://HEAD:8265`);
    return undefined;
  }
  const { readRayAddress } = await import("../cluster/address.ts");
  return { address: readRayAddress(on), replicas, gpus };
}
