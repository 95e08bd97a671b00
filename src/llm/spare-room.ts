import { randomBytes } from "node:crypto";
import { rmSync, statSync, writeFileSync } from "node:fs";

const spareBytes = 4 * 1024 * 1024; // replies in flight take less

/**
 * Room on the disk for the replies in flight: a file beside the store, which is deleted when the disk is full. Processes with the same
 * store share it. Its bytes are random, since some file systems keep no room for zeros.
 */
export class SpareRoom {
  readonly #path: string;
  #isHeld = false;

  /** @param store the store's path */
  constructor(store: string) {
    this.#path = `${store}-spare`;
  }

  /** Takes the room, unless it is taken. @throws Error when the disk has none: ENOSPC, EDQUOT */
  hold(): void {
    if (this.#isHeld) return;
    if (statSync(this.#path, { throwIfNoEntry: false })?.size !== spareBytes)
      try {
        writeFileSync(this.#path, randomBytes(spareBytes));
      } catch (error) {
        this.give();
        throw error;
      }
    this.#isHeld = true;
  }

  give(): void {
    this.#isHeld = false;
    rmSync(this.#path, { force: true });
  }
}

/** Whether a write of SQLite failed for lack of room. */
export function isOutOfRoom(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === 13; // SQLITE_FULL
}
