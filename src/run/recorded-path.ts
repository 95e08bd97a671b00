import { existsSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import type { RunFolder } from "./run-folder.ts";

/*
 * Paths stand in a manifest as they were typed. So that a run can be used from any folder, it also has where they were
 * typed, seen from the run's folder.
 */

/** The folder that paths are typed from now, seen from a run's folder. */
export function workingFolder({ folder }: Pick<RunFolder, "folder">): string {
  return relative(resolve(folder), process.cwd()) || ".";
}

/** Where a file lies that was named in a manifest; the path as it was typed, where it is not known any better. */
export function recordedPath(
  path: string,
  { folder }: Pick<RunFolder, "folder">,
  typedFrom: string | undefined,
): string {
  if (typedFrom === undefined || isAbsolute(path) || path.startsWith("hf:")) return path;
  const seenFromRun = join(folder, typedFrom, path);
  return !existsSync(seenFromRun) && existsSync(path) ? path : seenFromRun;
}
