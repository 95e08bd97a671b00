import { existsSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import type { RunFolder } from "./run-folder.ts";

/*
 * A manifest holds paths as they were typed. It also holds the working folder at that time, relative to the run's folder, so
 * that a run can be used from any folder.
 */

/** The current working folder, relative to a run's folder. */
export function workingFolder({ folder }: Pick<RunFolder, "folder">): string {
  return relative(resolve(folder), process.cwd()) || ".";
}

/** Resolves a path from a manifest; returns it as typed if the file exists only there, or if `typedFrom` is unknown. */
export function recordedPath(
  path: string,
  { folder }: Pick<RunFolder, "folder">,
  typedFrom: string | undefined,
): string {
  if (typedFrom === undefined || isAbsolute(path) || path.startsWith("hf:")) return path;
  const seenFromRun = join(folder, typedFrom, path);
  return !existsSync(seenFromRun) && existsSync(path) ? path : seenFromRun;
}
