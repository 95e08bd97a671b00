import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { isProcessAlive } from "../is-process-alive.ts";

/*
 * A lock file: it holds the id of the process that works on something, so that no other process does.
 */

/** The id of another live process that holds the lock; undefined if there is none. */
export function ownerOf(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // no lock file
  }
  const owner = Number(text);
  return owner > 0 && owner !== process.pid && isProcessAlive(owner) ? owner : undefined;
}

/** Takes the lock for this process; undefined if another process holds it. Dispose to release it. */
export function own(path: string): Disposable | undefined {
  if (ownerOf(path) !== undefined) return undefined;
  rmSync(path, { force: true }); // left by a dead process, or our own
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined; // another one was faster
    throw error; // writeFileSync fails with errors of this kind
  }
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}
