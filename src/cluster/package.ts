import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { listFiles } from "../files/list-files.ts";

/** The most bytes that are sent with a job: Ray keeps them in its head's memory. */
export const mostSentBytes = 256e6;

/** Makes a job's package of files: a zip file, of the same bytes for the same files. */
export function packFiles(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return zipSync(Object.fromEntries(files), { mtime: "1980-01-01T00:00:00" });
}

/** Files of a folder with their bytes. */
export function readFiles(folder: string, paths: readonly string[]): Map<string, Uint8Array> {
  return new Map(paths.map((path) => [path.replaceAll("\\", "/"), readFileSync(join(folder, path))]));
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
