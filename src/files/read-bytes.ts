import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { DataError, messageOf } from "../errors.ts";

const chunkBytes = 256 * 1024; // some hundred rows: large enough to amortise the hop, small enough to keep memory flat

/** The file's bytes, decompressed, in chunks. @throws DataError when it cannot be read or the compression is damaged */
export async function* readBytes(file: { readonly path: string; readonly gzipped: boolean }): AsyncGenerator<Buffer> {
  const raw = createReadStream(file.path, { highWaterMark: chunkBytes });
  const stream = file.gzipped ? raw.pipe(createGunzip({ chunkSize: chunkBytes })) : raw;
  raw.on("error", (error) => stream.destroy(error));
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new DataError(`${file.path}: cannot be read: ${messageOf(cause)}`, { cause });
  } finally {
    raw.destroy();
    stream.destroy();
  }
}
