import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";
import { isProcessAlive } from "../is-process-alive.ts";
import { endGroup } from "../python/process-group.ts";
import type { RunFolder } from "../run/run-folder.ts";

/*
 * Servers that were started for a run: `server.MARK.json`, gone when they have ended. A server ends with the process that
 * started it; should one outlive it, the next start ends it. It is known by a mark in its command line, since numbers of
 * processes are used again.
 */

const recordSchema = z.object({ pid: z.number(), owner: z.number(), mark: z.string() });

/** A mark for a server to be started. */
export function newMark(): string {
  return `alpagasus-server-${randomUUID()}`;
}

/** Notes that a server runs; dispose of it when it has ended. */
export function recordServer(run: Pick<RunFolder, "folder">, pid: number, mark: string): Disposable {
  mkdirSync(run.folder, { recursive: true });
  const path = join(run.folder, `server.${mark}.json`);
  writeFileSync(path, JSON.stringify({ pid, owner: process.pid, mark }));
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
      const { pid, owner, mark } = record.data;
      if (isProcessAlive(owner)) continue;
      if (isProcessAlive(pid) && isOurs(pid, mark)) {
        await endGroup(pid);
        ended++;
      }
    }
    rmSync(path, { force: true });
  }
  return ended;
}

/** Whether a process has a word in its command line. */
function isOurs(pid: number, word: string): boolean {
  try {
    const command =
      process.platform === "linux"
        ? readFileSync(`/proc/${pid}/cmdline`, "utf8")
        : execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return command.includes(word);
  } catch {
    return false; // it has ended meanwhile
  }
}
