import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { join } from "node:path";
import * as z from "zod";
import { tryParse } from "../files/try-parse.ts";
import { isRunning, thisProcess } from "../process-identity.ts";
import { endGroup, listGroup } from "../python/process-group.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { makeFolder } from "../files/make-folder.ts";

/*
 * Records of the servers that a run has started: `server.MARK.json`, removed when the server has ended. A server ends with the
 * process that started it, its owner. If one outlives its owner, the next start of a server ends it. It is recognised by a
 * mark in its environment, since process ids are reused.
 */

const markForm = /^alpagasus-server-[0-9a-f-]{36}$/;
const processSchema = z.object({ host: z.string(), pid: z.number(), start: z.string() });
const recordSchema = z.object({ pid: z.int().min(2), owner: processSchema, mark: z.string().regex(markForm) });

/** Creates a unique mark for a new server. */
export function newMark(): string {
  return `alpagasus-server-${randomUUID()}`;
}

/** Records a running server. Dispose of the record when the server has ended. */
export function recordServer(run: Pick<RunFolder, "folder">, pid: number, mark: string): Disposable {
  makeFolder(run.folder);
  const path = join(run.folder, `server.${mark}.json`);
  writeFileSync(path, JSON.stringify({ pid, owner: thisProcess, mark }));
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** Ends only those servers whose owners have ended. Returns their number. */
export async function endOrphans({ folder }: Pick<RunFolder, "folder">): Promise<number> {
  let ended = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    if (!/^server\.alpagasus-server-[\w-]+\.json$/.test(name)) continue;
    const path = join(folder, name);
    const record = recordSchema.safeParse(tryParse(await readWhole(path, "utf8").catch(() => "")));
    if (record.success) {
      const { pid, owner, mark } = record.data;
      if (isRunning(owner) !== false) continue; // another host ends its own
      if (listGroup(pid).some((member) => isMarked(member, mark))) {
        await endGroup(pid, serverGraceMs);
        ended++;
      }
    }
    rmSync(path, { force: true });
  }
  return ended;
}

/** Time for a server to exit by itself. It is short, since unfinished answers cost nothing to generate again. */
export const serverGraceMs = 2_000;

/** The environment variable that holds the mark in every process of a server. */
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
    return false; // it has ended, or belongs to another user
  }
}
