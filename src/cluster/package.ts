import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { zipSync } from "fflate";

/** The most bytes that are sent with a job: Ray keeps them in its head's memory. */
export const mostSentBytes = 256e6;

/** Paths of all files in a folder, relative to it, sorted; without those that start with a name in `except`. */
export function listFiles(folder: string, except: (first: string) => boolean = () => false): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() || (entry.isSymbolicLink() && isFile(join(entry.parentPath, entry.name))))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !except(path.split(/[/\\]/)[0]!))
    .toSorted();
}

/** Makes a job's package of files: a zip file, of the same bytes for the same files. */
export function packFiles(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return zipSync(Object.fromEntries(files), { mtime: "1980-01-01T00:00:00" });
}

/** Files of a folder with their bytes. */
export function readFiles(folder: string, paths: readonly string[]): Map<string, Uint8Array> {
  return new Map(paths.map((path) => [path.replaceAll("\\", "/"), readFileSync(join(folder, path))]));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** A model's files: their bytes by name, and what they hold where all of them are not too large to be sent. */
export function describeModelFiles(folder: string | undefined): {
  readonly sizes: Readonly<Record<string, number>>;
  readonly files: ReadonlyMap<string, Uint8Array>;
} {
  if (folder === undefined) return { sizes: {}, files: new Map() };
  const paths = listFiles(folder, (first) => first.startsWith("checkpoint-"));
  const sizes = Object.fromEntries(paths.map((path) => [path, statSync(join(folder, path)).size]));
  const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  return { sizes, files: bytes <= mostSentBytes ? readFiles(folder, paths) : new Map() };
}
