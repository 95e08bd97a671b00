import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { messageOf, RunError } from "../errors.ts";
import { manifestSchema, type Manifest } from "./manifest.ts";

/** Where the files of a run lie. */
export interface RunFolder {
  readonly folder: string;
  readonly manifestPath: string;
  readonly ratingsPath: string;
  /** @param arm its name; @param extension of the dataset's format, with its dot */
  armPath(arm: string, extension: string): string;
  decisionsPath(arm: string): string;
}

export const defaultRunFolder = join("runs", "default");

export function runFolder(folder: string): RunFolder {
  return {
    folder,
    manifestPath: join(folder, "run.json"),
    ratingsPath: join(folder, "ratings.jsonl"),
    armPath: (arm, extension) => join(folder, "arms", `${arm}${extension}`),
    decisionsPath: (arm) => join(folder, "arms", `${arm}.decisions.jsonl`),
  };
}

/** The manifest of a run, or undefined when there is none yet. @throws RunError when it is damaged */
export async function readManifest(run: RunFolder): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readFile(run.manifestPath, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined; // readFile fails with errors of this kind
    const isFile = (cause as NodeJS.ErrnoException).code === "ENOTDIR";
    throw new RunError(
      isFile
        ? `${run.folder}: expected a folder for the run, got a file`
        : `${run.manifestPath}: cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    const problem =
      cause instanceof z.ZodError
        ? `${cause.issues[0]!.path.join(".")}: ${cause.issues[0]!.message}`
        : messageOf(cause);
    throw new RunError(
      `${run.manifestPath}: expected the manifest of a run, got something else (${problem}); start a new run with another --run DIR`,
      { cause },
    );
  }
}

/** Writes the manifest in one step: a reader sees the old one or the new one. */
export async function writeManifest(run: RunFolder, manifest: Manifest): Promise<void> {
  await mkdir(run.folder, { recursive: true });
  const partial = `${run.manifestPath}.${process.pid}.partial`;
  try {
    await writeFile(partial, `${JSON.stringify(manifest, null, 2)}\n`);
    await rename(partial, run.manifestPath);
  } finally {
    await rm(partial, { force: true });
  }
}

/**
 * The name under which a run's money is counted. It lies in the run's folder, so that it moves and goes with it, and every
 * command that pays for the run counts on from what was paid before.
 */
export async function openPurse({ folder }: RunFolder): Promise<string> {
  const path = join(folder, "purse");
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(path, `${randomUUID()}\n`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // writeFile fails with errors of this kind
  }
  const name = (await readFile(path, "utf8")).trim();
  if (!/^[0-9a-f-]{36}$/.test(name))
    throw new RunError(
      `${path}: expected the name of this run's purse, got something else; start a new run with another --run DIR`,
    );
  return name;
}
