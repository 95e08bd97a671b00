import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";
import { isProcessAlive } from "../is-process-alive.ts";
import { endGroup, listGroup } from "../python/process-group.ts";
import type { RunFolder } from "../run/run-folder.ts";

/*
 * Servers that were started for a run: `server.MARK.json`, gone when they have ended. A server ends with the process that
 * started it; should one outlive it, the next start ends it. It is known by a mark in its environment, since numbers of
 * processes are used again.
 */

const recordSchema = z.object({ host: z.string(), pid: z.number(), owner: z.number(), mark: z.string() });

/** A mark for a server to be started. */
export function newMark(): string {
  return `alpagasus-server-${randomUUID()}`;
}

/** Notes that a server runs; dispose of it when it has ended. */
export function recordServer(run: Pick<RunFolder, "folder">, pid: number, mark: string): Disposable {
  mkdirSync(run.folder, { recursive: true });
  const path = join(run.folder, `server.${mark}.json`);
  writeFileSync(path, JSON.stringify({ host: hostname(), pid, owner: process.pid, mark }));
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** Ends servers whose owners are dead, and only those. Gives how many there were. */
export async function endOrphans({ folder }: Pick<RunFolder, "folder">): Promise<number> {
  let ended = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    if (!/^server\.alpagasus-server-[\w-]+\.json$/.test(name)) continue;
    const path = join(folder, name);
    const record = recordSchema.safeParse(tryParse(await readFile(path, "utf8").catch(() => "")));
    if (record.success) {
      const { pid, owner, mark, host } = record.data;
      if (host !== hostname() || isProcessAlive(owner)) continue;
      if (listGroup(pid).some((member) => isMarked(member, mark))) {
        await endGroup(pid, serverGraceMs);
        ended++;
      }
    }
    rmSync(path, { force: true });
  }
  return ended;
}

/** How long a server has to end by itself: what it is writing costs nothing to write again. */
export const serverGraceMs = 2_000;

/** The variable that every process of a server has the mark in. */
export const markVariable = "ALPAGASUS_SERVER";

/** Whether a process has a mark in its environment. */
function isMarked(pid: number, mark: string): boolean {
  try {
    const environment =
      process.platform === "linux"
        ? readFileSync(`/proc/${pid}/environ`, "utf8")
        : spawnSync("ps", ["eww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" }).stdout;
    return environment.includes(mark);
  } catch {
    return false; // it has ended meanwhile, or is somebody else's
  }
}
