import { expectOwnToken, readRayAddress } from "../cluster/address.ts";
import { messageOf, UsageError } from "../errors.ts";
import type { ExperimentRecipe } from "./recipe.ts";

/** A Ray cluster that an experiment uses. */
export interface ExperimentCluster {
  readonly address: string;
  /** The most GPUs, or CPUs on a cluster without, at a time; all that it has when left out. */
  readonly gpus: number | undefined;
  readonly cpus: number | undefined;
  readonly replicas: number;
  readonly storage: string | undefined;
}

/** @throws UsageError when the address has another form */
export function resolveCluster({ on, at }: ExperimentRecipe): ExperimentCluster | undefined {
  if (on === undefined) return undefined;
  const { ray, gpus, cpus, replicas, storage } =
    typeof on === "string"
      ? { ray: on, gpus: undefined, cpus: undefined, replicas: 1, storage: undefined }
      : { ...on, ray: `ray:${on.ray.replace(/^ray:/, "")}` };
  try {
    const address = readRayAddress(ray);
    expectOwnToken(address, process.env);
    return { address, gpus, cpus, replicas, storage };
  } catch (cause) {
    throw new UsageError(`${at(["on"])}: on: ${messageOf(cause).replace(/^--on: /, "")}`, { cause });
  }
}
