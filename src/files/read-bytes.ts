import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { createGunzip } from "node:zlib";
import { DataError, messageOf } from "../errors.ts";
import { expectFile } from "./read-file.ts";
import { readZstdFrames } from "./zstd-frames.ts";

const chunkBytes = 64 * 1024; // about a hundred rows: their objects die young in the garbage collector, so memory stays flat
const chunksPerTurn = 64; // chunks between two turns of the event loop (signals, timers)

/** A file to be read as bytes. */
interface ByteFile {
  readonly path: string;
  readonly compression?: Compression | undefined;
}

export type Compression = "gzip" | "zstd";

/**
 * The file's bytes, decompressed, in chunks. A chunk is valid until the next one is requested: its memory is reused.
 *
 * @throws DataError when it cannot be read or the compression is damaged
 */
export async function* readBytes(file: ByteFile): AsyncGenerator<Buffer> {
  try {
    expectFile(file.path);
    yield* file.compression ? readCompressed(file.path, file.compression) : readPlain(file.path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause)
      throw new DataError(`${file.path}: cannot be read: ${messageOf(cause)}`, { cause });
    throw cause;
  }
}

/** Reads synchronously into one buffer: no thread pool round trip per chunk, and no garbage to collect. */
async function* readPlain(path: string): AsyncGenerator<Buffer> {
  const file = openSync(path, "r");
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  try {
    for (let chunks = 1; ; chunks++) {
      const length = readSync(file, chunk);
      if (length === 0) return;
      yield length === chunkBytes ? chunk : chunk.subarray(0, length);
      if (chunks % chunksPerTurn === 0) await setImmediate();
    }
  } finally {
    closeSync(file);
  }
}

async function* readCompressed(path: string, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === "zstd") return yield* readZstdFrames(path, readPlain(path), chunkBytes);
  const raw = createReadStream(path, { highWaterMark: chunkBytes });
  const stream = raw.pipe(createGunzip({ chunkSize: chunkBytes }));
  raw.on("error", (error) => stream.destroy(error));
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    raw.destroy();
    stream.destroy();
  }
}
