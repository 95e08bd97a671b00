import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, rmSync, writeFileSync } from "node:fs";

const spareBytes = 4 * 1024 * 1024; // 64 replies of 60 KB: more than replies in flight usually take

/**
 * Room on the disk for the replies in flight: a file beside the store, which is deleted when the disk is full. Processes with the same
 * store share it. Its bytes are random, since some file systems keep no room for zeros.
 */
export class SpareRoom {
  readonly #store: string;
  readonly #path: string;
  #isHeld = false;

  /** @param store the store's path */
  constructor(store: string) {
    this.#store = store;
    this.#path = `${store}-spare`;
  }

  /**
   * Takes the room, or sees that it is still there: once taken, it is gone only where somebody met a full disk.
   *
   * @throws Error when the disk has none: ENOSPC, EDQUOT
   */
  hold(): void {
    const info = lstatSync(this.#path, { throwIfNoEntry: false });
    if (this.#isHeld && !info) {
      if (!existsSync(this.#store)) return; // removed with the store, which is looked at by itself
      throw new DiskFull(this.#path);
    }
    this.#isHeld = true;
    if ((info?.isFile() && info.size === spareBytes) || info?.isDirectory()) return; // a folder of that name leaves no room to keep
    try {
      rmSync(this.#path, { force: true }); // a link is no file of ours
      writeFileSync(this.#path, randomBytes(spareBytes), { flag: "wx" });
    } catch (error) {
      this.#isHeld = false;
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return; // another process has just taken it
      this.give();
      throw error;
    }
  }

  give(): void {
    if (lstatSync(this.#path, { throwIfNoEntry: false })?.isFile()) rmSync(this.#path, { force: true });
  }
}

/** Whether a write of SQLite failed, as for lack of room: SQLITE_FULL, or SQLITE_IOERR where a quota is used up. */
export function isOutOfRoom(error: unknown): boolean {
  return [10, 13].includes(((error as { errcode?: number }).errcode ?? 0) % 256);
}

class DiskFull extends Error {
  readonly code = "ENOSPC";

  constructor(path: string) {
    super(`ENOSPC: no space left on device; ${path} was given up for replies in flight`);
  }
}
