import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** Paths of all files in a folder, relative to it, sorted; without those that start with a name in `except`. */
export function listFiles(folder: string, except: (first: string) => boolean = () => false): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() || (entry.isSymbolicLink() && isFile(join(entry.parentPath, entry.name))))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !except(path.split(/[/\\]/)[0]!))
    .toSorted();
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
