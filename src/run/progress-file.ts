import { randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { tryParse } from "../files/try-parse.ts";
import { isProcessAlive } from "../is-process-alive.ts";
import { workSchema, type Work } from "./work.ts";
import type { RunFolder } from "./run-folder.ts";

/*
 * What a stage at work leaves in the run's folder for whoever watches: `progress.PID.MARK.json`, gone when it ends.
 */

export interface ProgressFile extends Disposable {
  /** Called often; written once a second, for the first time after a second. */
  show(progress: Omit<Work, "pid" | "startedAt" | "rating">): void;
}

const intervalMs = 1_000;
const silentMs = 15_000; // who has not said anything for so long is not at work

/** Opens the progress file of a stage; a stage that is done within a second never writes one. */
export function openProgressFile(run: Pick<RunFolder, "folder">, rating?: Work["rating"]): ProgressFile {
  const path = join(run.folder, `progress.${process.pid}.${randomUUID().slice(0, 8)}.json`);
  const startedAt = new Date();
  let writtenAt = startedAt.getTime();
  let isWritten = false;
  const remove = () => {
    rmSync(path, { force: true });
    rmSync(`${path}.partial`, { force: true });
  };
  return {
    show(progress) {
      const now = Date.now();
      if (now - writtenAt < intervalMs) return;
      writtenAt = now;
      const work: Work = {
        pid: process.pid,
        startedAt: startedAt.toISOString(),
        ...progress,
        ...(rating && { rating }),
      };
      try {
        if (!isWritten) {
          removeOrphans(run.folder);
          process.on("exit", remove);
        }
        isWritten = true;
        writeFileSync(`${path}.partial`, JSON.stringify(work));
        renameSync(`${path}.partial`, path);
      } catch {
        // nobody can watch then; the stage itself says what is wrong with its folder
      }
    },
    [Symbol.dispose]: () => {
      if (!isWritten) return;
      process.off("exit", remove);
      remove();
    },
  };
}

/** The stages that are at work in a run. */
export async function readWork({ folder }: Pick<RunFolder, "folder">): Promise<Work[]> {
  const names = await readdir(folder).catch(() => []);
  const found: Work[] = [];
  for (const name of names) {
    const pid = pidOf(name);
    if (pid === undefined || !isProcessAlive(pid)) continue;
    const written = await stat(join(folder, name)).catch(() => undefined);
    if (!written || Date.now() - written.mtimeMs > silentMs) continue; // of a process that had this number before
    const text = await readFile(join(folder, name), "utf8").catch(() => undefined); // it may have ended meanwhile
    const work = workSchema.safeParse(text === undefined ? undefined : tryParse(text));
    if (work.success) found.push(work.data);
  }
  return found;
}

/** Removes what processes that were killed have left. */
function removeOrphans(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = pidOf(name);
    if (pid !== undefined && !isProcessAlive(pid)) rmSync(join(folder, name), { force: true });
  }
}

function pidOf(name: string): number | undefined {
  const [, pid] = /^progress\.(\d+)\.\w+\.json$/.exec(name) ?? [];
  return pid === undefined ? undefined : Number(pid);
}
