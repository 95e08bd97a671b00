import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { RunFolder } from "./run-folder.ts";

/*
 * A manifest holds paths as they were typed. It also holds the working folder at that time, relative to the run's folder, so
 * that a run can be used from any folder.
 */

/** The current working folder, relative to a run's folder. */
export function workingFolder({ folder }: Pick<RunFolder, "folder">): string {
  return relative(realFolder(resolve(folder)), realFolder(process.cwd())) || ".";
}

/** A run's folder as it is typed in another folder. */
export function placeFrom(folder: string, run: string): string {
  return relative(realFolder(folder), realFolder(resolve(run))) || ".";
}

/** A command as a manifest holds it, with the folder that it was typed in. */
export function typedCommand(
  command: string | undefined,
  run: Pick<RunFolder, "folder">,
): { readonly command?: string; readonly commandFolder?: string } {
  return command === undefined ? {} : { command, commandFolder: workingFolder(run) };
}

/** A folder as it is without links; of one that is not there yet, the part that is. */
export function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    const above = dirname(folder);
    return above === folder ? folder : join(realFolder(above), basename(folder));
  }
}

/** Resolves a path from a manifest; returns it as typed if the file exists only there, or if `typedFrom` is unknown. */
export function recordedPath(
  path: string,
  { folder }: Pick<RunFolder, "folder">,
  typedFrom: string | undefined,
): string {
  if (typedFrom === undefined || isAbsolute(path) || path.startsWith("hf:")) return path;
  // a run may be reached by a link: its folder is where it is; that a link was followed by its name was so in earlier versions
  const seen = [join(realFolder(resolve(folder)), typedFrom, path), join(folder, typedFrom, path)];
  const found = seen.find((one) => existsSync(one));
  return found ?? (existsSync(path) ? path : seen[1]!);
}
