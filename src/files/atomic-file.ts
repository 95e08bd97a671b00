import { once } from "node:events";
import { createWriteStream, readdirSync, rmSync, statSync, type WriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Transform } from "node:stream";
import { finished } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";
import { isTokenRunning, processToken, tokenPattern } from "../process-identity.ts";
import { RunError } from "../errors.ts";
import { makeFolder } from "./make-folder.ts";
import type { Compression } from "./read-bytes.ts";

/** A file that appears under its name only when it is complete. */
export interface AtomicFile {
  write(text: string): Promise<void> | void;
  /** Writes bytes, whose memory may be used again when this resolves. */
  writeBytes(bytes: Uint8Array): Promise<void>;
  /** Writes out the buffered text, for readers of the unfinished file. */
  flush(): Promise<void>;
  commit(): Promise<void>;
  /** Deletes the unfinished file; does nothing after `commit`. */
  discard(): Promise<void>;
}

const flushCharacters = 256 * 1024;

/** Incomplete files, which are deleted if the process exits early. */
const partials = new Set<string>();
process.on("exit", () => {
  for (const path of partials) {
    try {
      rmSync(path, { force: true });
    } catch {
      // a file that could not be written need not be removed
    }
  }
});

/**
 * Opens a text file for writing in pieces, and creates its parent folders. Pieces are buffered; `write` waits when the disk
 * is slower than the caller.
 *
 * @throws RunError when this process is writing the file already
 */
export function openAtomicFile(
  path: string,
  { compression }: { readonly compression?: Compression | undefined } = {},
): AtomicFile {
  const partial = partialPath(path);
  if (partials.has(partial))
    throw new RunError(
      `${path}: another call of this program is writing it; wait until that has ended, or use another run`,
    );
  makeFolder(dirname(path));
  removeOrphans(path);
  partials.add(partial);
  const file: WriteStream = createWriteStream(partial);
  const stream: WriteStream | Transform =
    compression === undefined ? file : compression === "gzip" ? createGzip() : createZstdCompress();
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
    if (!stream.write(text)) await once(stream, "drain"); // rejects if the stream fails in the meantime
  }

  return {
    flush,
    async writeBytes(bytes) {
      await flush();
      if (failure) throw failure;
      if (isOver) return;
      await new Promise<void>((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
    },
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
      await closed; // a file that is still being opened would reappear after its removal
      await rm(partial, { force: true });
      partials.delete(partial);
    },
  };
}

/** Writes a text to a file that appears when it is complete. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const file = openAtomicFile(path);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.discard();
  }
}

const partialEnd = new RegExp(`^(${tokenPattern})\\.partial$`);

const longAgoMs = 7 * 24 * 3_600_000; // a file of another host, or of this one before it was started again

function isLeftOver(token: string, path: string): boolean {
  const isRunning = isTokenRunning(token);
  if (isRunning !== undefined) return !isRunning;
  const info = statSync(path, { throwIfNoEntry: false });
  return info !== undefined && Date.now() - info.mtimeMs > longAgoMs;
}

/** Removes partial files of this path that killed processes left behind. */
function removeOrphans(path: string): void {
  const beginning = `${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    const [, token] = (name.startsWith(beginning) && partialEnd.exec(name.slice(beginning.length))) || [];
    if (token !== undefined && isLeftOver(token, join(dirname(path), name)))
      rmSync(join(dirname(path), name), { force: true });
  }
}

/** The name a file has until it is complete. */
export function partialPath(path: string): string {
  return `${path}.${processToken}.partial`;
}
