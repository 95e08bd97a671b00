import { randomUUID } from "node:crypto";
import { existsSync, linkSync, lstatSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { RunError } from "../errors.ts";
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

/** The lock as it is; undefined where there is none. @throws an error of the file system, if it cannot be read */
function look(path: string): Found | undefined {
  try {
    const text = readFileSync(path, "utf8");
    const touchedAt = statSync(path).mtimeMs;
    const owner = ownerSchema.safeParse(tryParse(text));
    if (!owner.success) return { text, shown: "another process", isAlive: undefined, touchedAt };
    return { text, shown: describeProcess(owner.data), isAlive: isRunning(owner.data), touchedAt };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
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
    if (await isHeld(path, options)) return undefined;
  }
}

const longestHeldMs = 60_000;

/**
 * Takes a lock that is held for milliseconds, and waits while another process holds it.
 *
 * @throws RunError when it is held for a minute, which no command of ours does
 */
export async function waitForLock(path: string, options: OwnOptions = {}): Promise<Disposable> {
  const since = performance.now();
  for (;;) {
    const held = take(path);
    if (held) return held;
    const owner = look(path)?.shown;
    if (performance.now() - since > longestHeldMs && owner !== undefined)
      throw new RunError(
        `${path}: held by ${owner} for over a minute, though it is needed for milliseconds; if that process is no command of alpagasus, remove this file${existsSync(`${path}.breaking`) ? ` and ${path}.breaking` : ""}`,
      );
    await isHeld(path, options);
  }
}

/** Whether somebody who lives holds the lock. Removes it where its owner is dead. */
async function isHeld(path: string, options: OwnOptions): Promise<boolean> {
  const found = look(path);
  const isAlive = found && (found.isAlive ?? (await watch(path, found, options)));
  if (isAlive === false) removeDead(path, found!.text);
  await delay(pollMs, undefined, { signal: options.signal });
  return isAlive === true;
}

function take(path: string): Disposable | undefined {
  const text = JSON.stringify({ ...thisProcess, mark: randomUUID().slice(0, 8) }); // one process may work on several things
  if (!createWhole(path, text)) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false)
      throw new RunError(`${path}: expected a lock file, got a folder, link or other thing; remove it`);
    return undefined;
  }
  const touching = setInterval(() => {
    try {
      if (readIf(path) !== text) return clearInterval(touching); // it was taken over while this process stood still
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

/** Creates a file with its text, in one step, so that nobody sees it without; false where there is one. */
function createWhole(path: string, text: string): boolean {
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    writeFileSync(aside, text, { flag: "wx" });
    linkSync(aside, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    if (!noLinks.has(codeOf(error) ?? "")) throw error;
    return createPlain(path, text);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Codes of file systems without hard links. */
const noLinks: ReadonlySet<string> = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]);

function createPlain(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Whether the owner shows that it lives; undefined where the lock has changed meanwhile. */
async function watch(
  path: string,
  { text, shown, touchedAt }: Found,
  options: OwnOptions,
): Promise<boolean | undefined> {
  options.onWait?.(shown);
  const since = performance.now();
  while (performance.now() - since < silentMs) {
    await delay(10 * pollMs, undefined, { signal: options.signal });
    const now = look(path);
    if (now === undefined || now.text !== text) return undefined;
    if (now.touchedAt !== touchedAt) return true;
  }
  return false;
}

/**
 * Removes a dead process's lock, and no other that has just been put in its place: only who holds a second lock, for as long as
 * the look and the removal take, may remove the first.
 */
function removeDead(path: string, text: string): void {
  const breaker = `${path}.breaking`;
  if (!createWhole(breaker, JSON.stringify(thisProcess))) {
    if (look(breaker)?.isAlive === false) rmSync(breaker, { force: true }); // it was killed in that moment
    return;
  }
  try {
    if (readIf(path) === text) rmSync(path, { force: true });
  } finally {
    rmSync(breaker, { force: true });
  }
}

function readIf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
