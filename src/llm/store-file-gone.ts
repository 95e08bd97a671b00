import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { messageOf } from "../errors.ts";

/*
 * A call store whose file was removed, or replaced by another, while a process used it. SQLite goes on writing to the file that has no name
 * any more.
 */

/** Stores that were written again: several of one process may have the same file open. */
const rescued = new Set<string>();

/** Which file is at a path: its device and number. Undefined where none is; null where that cannot be known, as now and then on network folders. */
export function identityOfFile(path: string): string | null | undefined {
  try {
    const info = statSync(path, { throwIfNoEntry: false });
    return info && (info.ino > 0 ? `${info.dev}:${info.ino}` : null);
  } catch {
    return null;
  }
}

/** Whether another file is at a path than at first, or none. */
export function isAnother(path: string, first: string | null | undefined): boolean {
  const now = identityOfFile(path);
  return first !== undefined && first !== null && now !== null && now !== first;
}

/** Writes such a store to its place again, or beside what stands there now. */
export function rescue(database: DatabaseSync, path: string): void {
  if (rescued.has(path)) return;
  const beside = `${path}.${randomUUID().slice(0, 8)}.rescued`;
  for (const target of existsSync(path) ? [beside] : [path, beside])
    try {
      mkdirSync(dirname(target), { recursive: true });
      database.prepare("vacuum into ?").run(target);
      rescued.add(path);
      return;
    } catch (error) {
      process.stderr.write(
        `alpagasus: ${target}: the replies of this command cannot be written: ${messageOf(error)}\n`,
      );
    }
}
