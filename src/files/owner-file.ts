import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { describeProcess, isRunning, thisProcess } from "../process-identity.ts";
import { tryParse } from "./try-parse.ts";

/*
 * A lock file: it names the process that works on something, so that no other process does. A process of another host cannot be
 * looked at; it shows that it lives by touching its file, which is watched by our own clock.
 */

const ownerSchema = z.object({ host: z.string(), pid: z.number(), start: z.string() });

const touchMs = 2_000;
/** Without a sign of life for so long, a lock whose process cannot be looked at is taken over. */
const silentMs = 10_000;
const pollMs = 20;

export interface OwnOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once, with what is waited for: `process 4711 on HOST`. */
  readonly onWait?: ((owner: string) => void) | undefined;
}

interface Found {
  readonly text: string;
  readonly shown: string;
  /** Undefined where it cannot be known. */
  readonly isAlive: boolean | undefined;
  readonly touchedAt: number;
}

/** The lock as it is; undefined where there is none. */
function look(path: string): Found | undefined {
  try {
    const text = readFileSync(path, "utf8");
    const touchedAt = statSync(path).mtimeMs;
    const owner = ownerSchema.safeParse(tryParse(text));
    if (!owner.success) return { text, shown: "another process", isAlive: undefined, touchedAt };
    return { text, shown: describeProcess(owner.data), isAlive: isRunning(owner.data), touchedAt };
  } catch {
    return undefined;
  }
}

/** The process that holds a lock, in words. Undefined if nobody does, or nobody who lives. */
export function ownerOf(path: string): string | undefined {
  const found = look(path);
  return found && found.isAlive !== false ? found.shown : undefined;
}

/**
 * Takes the lock for this process; undefined if another process holds it. Dispose to release it. Where its owner cannot be
 * looked at, waits for a sign of life.
 */
export async function own(path: string, options: OwnOptions = {}): Promise<Disposable | undefined> {
  for (;;) {
    const held = take(path);
    if (held) return held;
    const found = look(path);
    if (found?.isAlive === true) return undefined;
    if (found === undefined) continue; // it was released
    if (found.isAlive === undefined && !(await isSilent(path, found, options))) return undefined;
    remove(path, found.text);
  }
}

/** Takes a lock that is held for milliseconds, and waits as long as another process holds it. */
export async function waitForLock(path: string, options: OwnOptions = {}): Promise<Disposable> {
  for (;;) {
    const held = take(path);
    if (held) return held;
    const found = look(path);
    const isDead =
      found && (found.isAlive === false || (found.isAlive === undefined && (await isSilent(path, found, options))));
    if (isDead) remove(path, found.text);
    else await delay(pollMs, undefined, { signal: options.signal });
  }
}

function take(path: string): Disposable | undefined {
  const text = JSON.stringify({ ...thisProcess, mark: randomUUID().slice(0, 8) }); // one process may work on several things
  try {
    writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // writeFileSync fails with errors of this kind
    return undefined;
  }
  const touching = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // it was removed: who removed it has the lock
    }
  }, touchMs).unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(touching);
      if (readIf(path) === text) rmSync(path, { force: true });
    },
  };
}

/** Whether nobody touches the lock for as long as a living owner never waits. */
async function isSilent(path: string, { text, shown, touchedAt }: Found, options: OwnOptions): Promise<boolean> {
  options.onWait?.(shown);
  const since = performance.now();
  while (performance.now() - since < silentMs) {
    await delay(10 * pollMs, undefined, { signal: options.signal });
    const now = look(path);
    if (now === undefined || now.text !== text) return true; // it was released, or is another's: look again
    if (now.touchedAt !== touchedAt) return false;
  }
  return true;
}

/** Removes a dead process's lock, and no other that has just been put in its place. */
function remove(path: string, text: string): void {
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // another process was faster
  }
  if (readIf(aside) !== text) {
    try {
      linkSync(aside, path);
    } catch {
      // yet another one has it by now
    }
  }
  rmSync(aside, { force: true });
}

function readIf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
