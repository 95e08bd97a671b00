import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { isProcessAlive } from "../is-process-alive.ts";

/*
 * A file that says which process works on something, so that no other one does.
 */

/** The process that works on it, if one does and it is not this one. */
export function ownerOf(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // nobody does
  }
  const owner = Number(text);
  return owner > 0 && owner !== process.pid && isProcessAlive(owner) ? owner : undefined;
}

/** Notes that this process works on it, unless another one does; dispose of the note at the end. */
export function own(path: string): Disposable | undefined {
  if (ownerOf(path) !== undefined) return undefined;
  rmSync(path, { force: true }); // of a process that is dead
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined; // another one was faster
    throw error; // writeFileSync fails with errors of this kind
  }
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}
