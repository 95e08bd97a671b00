import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DataError, UsageError, messageOf } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";
import { hubAccess } from "./hub-access.ts";
import { expectOneConfiguration, expectOneSplit } from "./splits.ts";
import { processToken } from "../process-identity.ts";

/** A dataset on the Hugging Face Hub: `hf:owner/name[@revision][:split | :configuration/split | /path/of/file]`. */
interface HubName {
  readonly repo: string;
  readonly revision: string;
  readonly split?: string | undefined;
  readonly path?: string | undefined;
}

const dataFile = /\.(json|jsonl|ndjson|csv|tsv|parquet|arrow)(\.gz|\.zst)?$/i;

/**
 * Downloads the files behind an `hf:` name into `.alpagasus/hub/` below the working folder and returns their paths. Files
 * are kept by commit, so a second run downloads nothing. `HF_ENDPOINT` names another Hub, `HF_TOKEN` opens private datasets.
 *
 * @throws UsageError for a name it cannot read, DataError when the Hub has no such dataset, revision, split or file
 */
export async function downloadFromHub(source: string, signal?: AbortSignal): Promise<string[]> {
  const name = parseHubName(source);
  const hub = await import("@huggingface/hub");
  const repo = { type: "dataset", name: name.repo } as const;
  const access = hubAccess(signal);
  try {
    const info = await hub.datasetInfo({
      name: name.repo,
      revision: name.revision,
      additionalFields: ["sha"],
      ...access,
    });
    const commit = info.sha;
    if (!/^[0-9a-f]{7,64}$/.test(commit))
      throw new DataError(`${source}: expected a commit's hash from the Hub, got ${JSON.stringify(commit)}`);
    const files: { path: string; size: number }[] = [];
    for await (const entry of hub.listFiles({ repo, recursive: true, revision: commit, ...access })) {
      if (entry.type === "file" && isWanted(entry.path, name) && isSafePath(entry.path))
        files.push({ path: entry.path, size: entry.size });
    }
    if (files.length === 0)
      throw new DataError(`${source}: expected ${describeWanted(name)}, found none in revision ${name.revision}`);
    if (name.path === undefined) {
      const paths = files.map((file) => file.path);
      const narrower = (word: string) => `${source}${name.split === undefined ? ":" : "/"}${word}`;
      expectOneConfiguration(source, paths, narrower);
      expectOneSplit(source, paths, narrower);
    }
    const folder = join(".alpagasus", "hub", ...name.repo.split("/"), commit.slice(0, 12));
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    for (const file of files) await download(file);
    return files.map((file) => join(folder, file.path));

    async function download({ path, size }: { path: string; size: number }): Promise<void> {
      const target = join(folder, path);
      const present = await stat(target).catch(() => undefined);
      if (present?.size === size) return;
      const blob = await hub.downloadFile({ repo, path, revision: commit, xet: false, ...access });
      if (!blob) throw new DataError(`${source}: the Hub lists ${path} but does not have the file`);
      makeFolder(dirname(target));
      const partial = `${target}.${processToken}.partial`;
      try {
        await pipeline(Readable.from(blob.stream()), createWriteStream(partial), {
          signal,
        });
        await rename(partial, target);
      } finally {
        await rm(partial, { force: true });
      }
    }
  } catch (cause) {
    if (cause instanceof DataError || signal?.aborted) throw cause;
    throw new DataError(`${source}: ${explain(cause, name)}`, { cause });
  }
}

function parseHubName(source: string): HubName {
  const [, repo, revision, split, path] =
    /^hf:([\w.-]+\/[\w.-]+)(?:@(refs\/[\w-]+\/[\w.-]+|[\w.-]+))?(?::([\w.-]+(?:\/[\w.-]+)*)|\/(.+))?$/.exec(source) ??
    [];
  if (!repo || repo.split("/").some((part) => /^\.+$/.test(part)))
    throw new UsageError(
      `${source}: expected hf:owner/name, optionally followed by @revision and by :split, :configuration/split or /file`,
    );
  return {
    repo,
    revision: revision ?? "main",
    split,
    path,
  };
}

function isWanted(path: string, { split, path: wanted }: HubName): boolean {
  if (wanted !== undefined) return path === wanted;
  if (!dataFile.test(path) || /(^|\/)dataset_infos?\.json$/.test(path)) return false;
  if (split === undefined) return true;
  // the Hub's own convention: the split is a folder, or a word of the file's name (train.jsonl, train-00000-of-00002.parquet)
  // a configuration is a folder of its own: main/train-00000-of-00002.parquet
  return split.split("/").every((word) => new RegExp(`(^|[-./])${word.replaceAll(".", "\\.")}([-./]|$)`).test(path));
}

/** Whether a path from the server stays inside the download folder. */
function isSafePath(path: string): boolean {
  return !/[\\\0]/.test(path) && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function describeWanted({ split, path }: HubName): string {
  if (path !== undefined) return `the file ${path}`;
  return split === undefined ? "data files" : `data files of ${split}`;
}

function explain(cause: unknown, { repo, revision }: HubName): string {
  const status = typeof cause === "object" && cause !== null && "statusCode" in cause ? cause.statusCode : undefined;
  if (status === 401 || status === 403) return "the Hub refuses access; set HF_TOKEN to a token that may read it";
  if (status === 404) return `the Hub has no dataset ${repo} at revision ${revision}`;
  return `the Hub cannot be reached or gives an invalid answer: ${messageOf(cause)}`;
}
