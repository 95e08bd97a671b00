import { createHash, hash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { hashModelFolder, hubCommit } from "../files/model-hash.ts";
import { tryParse } from "../files/try-parse.ts";

/*
 * Models that Python loads: a folder or a Hub id, and what tells one from another.
 */

/**
 * A model as Python loads it: the folder's whole path, or the Hub id.
 *
 * @param model a folder or a Hub id
 * @param option who names it, for the message: `--judge perplexity:MODEL`
 * @param builtIn the name of the model that needs neither, for the message
 * @throws UsageError when it is neither
 */
export function resolveModelFolder(model: string, option: string, builtIn: string): string {
  if (existsSync(join(model, "config.json")) || existsSync(join(model, "adapter_config.json"))) return resolve(model);
  if (existsSync(model) || !/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(model))
    throw new UsageError(
      `${option}: expected a folder with a model (config.json), a Hub id (owner/name)${builtIn.includes(",") ? ", " : " or "}${builtIn}, got ${JSON.stringify(model)}`,
    );
  return model;
}

/** SHA-256 over a Hub id and a commit. */
export function identifyHubModel(id: string, commit: string): string {
  return hash("sha256", `${id}\0${commit}`);
}

/** SHA-256 over a folder's files, and over those of an adapter's base; or over a Hub id and the commit that is cached. */
export async function identifyModelFolder(path: string, signal?: AbortSignal): Promise<string> {
  const sha = createHash("sha256");
  if (!existsSync(path)) return identifyHubModel(path, await hubCommit(path));
  await hashModelFolder(path, sha, signal);
  const adapter = tryParse(await readFile(join(path, "adapter_config.json"), "utf8").catch(() => "")) as
    | { readonly base_model_name_or_path?: unknown }
    | undefined; // checked here
  const base = adapter?.base_model_name_or_path;
  if (typeof base === "string" && base !== path) sha.update(await identifyModelFolder(base, signal));
  return sha.digest("hex");
}
