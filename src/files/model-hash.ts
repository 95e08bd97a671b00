import type { Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Adds the names and bytes of a model's files, weights included, to a hash. */
export async function hashModelFolder(folder: string, sha: Hash, signal?: AbortSignal): Promise<void> {
  const files = (await readdir(folder)).filter((name) => /\.(safetensors|bin|json|jinja|model|txt)$/.test(name));
  for (const name of files.filter((file) => file !== "training_args.bin").toSorted()) {
    sha.update(`\0${name}\0`);
    for await (const chunk of createReadStream(join(folder, name), { highWaterMark: 4 * 1024 * 1024 })) {
      signal?.throwIfAborted();
      sha.update(chunk as Buffer); // a stream of bytes
    }
  }
}

/** The model's commit in the local Hub cache; "" when it is not cached. */
export async function hubCommit(id: string): Promise<string> {
  const { HF_HUB_CACHE: cache, HF_HOME: home = join(homedir(), ".cache", "huggingface") } = process.env;
  const folder = join(cache ?? join(home, "hub"), `models--${id.replaceAll("/", "--")}`);
  return readFile(join(folder, "refs", "main"), "utf8").catch(() => "");
}
