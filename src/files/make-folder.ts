import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "../errors.ts";

/**
 * Makes a folder, and those above it that are missing. Node's own `recursive` never ends where a folder cannot be made though the one
 * above it is there: below /proc, or in a working folder that was deleted.
 *
 * @throws UsageError when the working folder was deleted; the system's error, with its path, when a folder cannot be made
 */
export function makeFolder(path: string): void {
  const missing: string[] = [];
  for (let at = resolveHere(path); !statSync(at, { throwIfNoEntry: false }) && dirname(at) !== at; at = dirname(at))
    missing.unshift(at);
  for (const folder of missing) {
    try {
      mkdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // somebody else has just made it
    }
  }
}

function resolveHere(path: string): string {
  try {
    return resolve(path);
  } catch (cause) {
    throw new UsageError(`${path}: the folder that this command runs in was deleted; go to another one`, { cause });
  }
}
