import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** Names of what is no regular file, for messages. */
function nameKind(path: string): string | undefined {
  const info = statSync(path);
  if (info.isFile()) return undefined;
  return info.isDirectory() ? "a folder" : info.isFIFO() ? "a pipe" : info.isSocket() ? "a socket" : "a device";
}

/** @throws Error with a code when the path is no regular file: to open a pipe waits for a writer, and a device may have no end */
export function expectFile(path: string): void {
  const kind = nameKind(path);
  if (kind !== undefined)
    throw Object.assign(new Error(`expected a file, got ${kind}`), {
      code: kind === "a folder" ? "EISDIR" : "ENOTFILE",
    });
}

/** Reads a whole file. @throws Error with a code as of `node:fs`, also where it is no regular file */
export async function readWhole(path: string): Promise<Buffer>;
export async function readWhole(path: string, encoding: "utf8"): Promise<string>;
export async function readWhole(path: string, encoding?: "utf8"): Promise<Buffer | string> {
  expectFile(path);
  return encoding === undefined ? readFile(path) : readFile(path, encoding);
}
