import { existsSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { isSmollm2, smollm2Folder } from "../python/smollm2.ts";

/*
 * The base model of a training: a Hub id, a folder, or `smollm2`, which needs no Hub.
 */

const smollm2Parameters = 134_515_008;

/**
 * Returns the base in the form that trainers take: a folder's absolute path, or a Hub id.
 *
 * @throws UsageError when it looks like a folder but no model is there
 */
export function resolveBase(base: string): string {
  if (isSmollm2(base)) return smollm2Folder();
  if (existsSync(join(base, "config.json"))) return resolve(base);
  if (existsSync(base) || /^[./~]|\\/.test(base) || base.split("/").length > 2)
    throw new UsageError(
      `--base: expected a folder with a model (config.json), a Hub id or smollm2, got ${JSON.stringify(base)}`,
    );
  return base;
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
