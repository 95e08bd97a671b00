import { once } from "node:events";
import { createWriteStream, mkdirSync, readdirSync, rmSync, type WriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { finished } from "node:stream/promises";
import { createGzip, type Gzip } from "node:zlib";
import { isProcessAlive } from "../is-process-alive.ts";

/** A file that appears under its name only when it is complete. */
export interface AtomicFile {
  write(text: string): Promise<void> | void;
  /** Hands on what is gathered, for whoever reads the unfinished file. */
  flush(): Promise<void>;
  commit(): Promise<void>;
  /** Gives up and leaves nothing behind; does nothing after `commit`. */
  discard(): Promise<void>;
}

const flushCharacters = 256 * 1024;

/** Files that are not complete yet: when the process is ended at once, they go with it. */
const partials = new Set<string>();
process.on("exit", () => {
  for (const path of partials) {
    try {
      rmSync(path, { force: true });
    } catch {
      // what could not be written need not be removed
    }
  }
});

/** Opens a text file for writing in pieces, with the folders above it; pieces are gathered, and `write` waits when the disk is slower than the caller. */
export function openAtomicFile(path: string, { gzipped = false } = {}): AtomicFile {
  const partial = partialPath(path);
  mkdirSync(dirname(path), { recursive: true });
  partials.add(partial);
  removeOrphans(path);
  const file: WriteStream = createWriteStream(partial);
  const stream: WriteStream | Gzip = gzipped ? createGzip() : file;
  let failure: Error | undefined;
  file.on("error", (error) => (failure = error));
  if (stream !== file) {
    stream.pipe(file);
    file.on("error", (error) => stream.destroy(error));
    stream.on("error", (error: Error) => (failure = error));
  }
  let pending = "";
  let isOver = false;

  async function flush(): Promise<void> {
    if (failure) throw failure;
    if (isOver || !pending) return;
    const text = pending;
    pending = "";
    if (!stream.write(text)) await once(stream, "drain"); // rejects when the stream fails meanwhile
  }

  return {
    flush,
    write(text) {
      pending += text;
      return pending.length >= flushCharacters ? flush() : undefined;
    },
    async commit() {
      await flush();
      stream.end();
      await finished(file);
      if (failure) throw failure;
      await rename(partial, path);
      partials.delete(partial);
      isOver = true;
    },
    async discard() {
      if (isOver) return;
      isOver = true;
      const closed = file.closed ? undefined : once(file, "close").catch(() => {});
      stream.destroy();
      file.destroy();
      await closed; // a file that is still being opened would come back after it was removed
      await rm(partial, { force: true });
      partials.delete(partial);
    },
  };
}

/** Removes what processes that were killed have left of this file. */
function removeOrphans(path: string): void {
  const beginning = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    const [, pid] = (name.startsWith(beginning) && /^(\d+)\.partial$/.exec(name.slice(beginning.length))) || [];
    if (pid !== undefined && !isProcessAlive(Number(pid))) rmSync(join(dirname(path), name), { force: true });
  }
}

/** The name a file has until it is complete. */
export function partialPath(path: string): string {
  return `${path}.${process.pid}.partial`;
}
