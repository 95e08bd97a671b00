import { randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { join } from "node:path";
import { tryParse } from "../files/try-parse.ts";
import { isTokenRunning, processToken, tokenPattern } from "../process-identity.ts";
import { workSchema, type Work } from "./work.ts";
import type { RunFolder } from "./run-folder.ts";

/*
 * A running stage reports its progress in the run's folder, as `progress.PROCESS.MARK.json`; the file is deleted when it ends.
 */

export interface ProgressFile extends Disposable {
  /** Can be called often; writes at most once a second, and not in the first second. */
  show(progress: Omit<Work, "pid" | "startedAt" | "rating">): void;
}

const intervalMs = 1_000;
const staleMs = 15_000; // a stage that has not reported for this long is not running

/** Opens a stage's progress file; a stage that ends within a second never writes one. */
export function openProgressFile(run: Pick<RunFolder, "folder">, rating?: Work["rating"]): ProgressFile {
  const path = join(run.folder, `progress.${processToken}.${randomUUID().slice(0, 8)}.json`);
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
        // progress is optional; if the folder is broken, the stage itself reports that
      }
    },
    [Symbol.dispose]: () => {
      if (!isWritten) return;
      process.off("exit", remove);
      remove();
    },
  };
}

/** The stages that are running in a run's folder. */
export async function readWork({ folder }: Pick<RunFolder, "folder">): Promise<Work[]> {
  const names = await readdir(folder).catch(() => []);
  const found: Work[] = [];
  for (const name of names) {
    const token = tokenOf(name);
    if (token === undefined || isTokenRunning(token) === false) continue;
    const written = await stat(join(folder, name)).catch(() => undefined);
    if (!written || Date.now() - written.mtimeMs > staleMs) continue; // left by a process that was killed on another host
    const text = await readWhole(join(folder, name), "utf8").catch(() => undefined); // the stage may have just ended
    const work = workSchema.safeParse(text === undefined ? undefined : tryParse(text));
    if (work.success) found.push(work.data);
  }
  return found;
}

/** Removes progress files that killed processes left behind. */
function removeOrphans(folder: string): void {
  for (const name of readdirSync(folder)) {
    const token = tokenOf(name);
    if (token !== undefined && isTokenRunning(token) === false) rmSync(join(folder, name), { force: true });
  }
}

const nameForm = new RegExp(`^progress\\.(${tokenPattern})\\.\\w+\\.json$`);

function tokenOf(name: string): string | undefined {
  return nameForm.exec(name)?.[1];
}
