import { Readable } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import { DataError } from "../errors.ts";

/*
 * A zstd file may hold several frames, one after the other (RFC 8878): `cat a.zst b.zst` and pzstd write such files. Node's decompressor ends
 * after the first one and says nothing of the rest, so the frames are told apart here, by their headers, and each is decompressed by itself.
 */

const magic = 0xfd2fb528;
const skippable = 0x184d2a50; // the last four bits are free
const runLength = 1; // a block's type: one byte stands for many

/** The bytes of all frames, decompressed. @throws DataError at bytes that are no frame, or where the file ends within one */
export async function* readZstdFrames(
  path: string,
  chunks: AsyncIterable<Buffer>,
  chunkSize: number,
): AsyncGenerator<Buffer> {
  const bytes = new ByteReader(path, chunks);
  try {
    for (;;) {
      const start = await bytes.upTo(4);
      if (start.length === 0) return;
      if (start.length < 4) throw bytes.cutOff();
      const kind = start.readUInt32LE();
      if (kind - (kind % 16) === skippable) {
        const size = (await bytes.take(4)).readUInt32LE();
        for await (const _ of bytes.pass(size)); // left out
      } else if (kind === magic) yield* decompress(frame(start, bytes), chunkSize);
      else
        throw new DataError(`${path}: cannot be read: expected a zstd frame or the end of the file, got other bytes`);
    }
  } finally {
    await bytes.close();
  }
}

async function* decompress(frameBytes: AsyncIterable<Buffer>, chunkSize: number): AsyncGenerator<Buffer> {
  const source = Readable.from(frameBytes, { objectMode: false });
  const stream = createZstdDecompress({ chunkSize });
  source.on("error", (error) => stream.destroy(error));
  source.pipe(stream);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
    stream.destroy();
  }
}

/** The bytes of one frame as they are, after its first four: section 3.1.1 of the RFC. */
async function* frame(start: Buffer, bytes: ByteReader): AsyncGenerator<Buffer> {
  const descriptor = await bytes.take(1);
  const flags = descriptor[0]!;
  const isSingle = (flags & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6]!;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
  yield Buffer.concat([start, descriptor, await bytes.take((isSingle ? 0 : 1) + dictionaryBytes + sizeBytes)]);
  for (let isLast = false; !isLast;) {
    const header = await bytes.take(3);
    yield header;
    const fields = header.readUIntLE(0, 3);
    isLast = (fields & 1) === 1;
    yield* bytes.pass(((fields >> 1) & 3) === runLength ? 1 : fields >> 3);
  }
  if ((flags & 4) !== 0) yield await bytes.take(4); // checksum
}

/** Takes counted bytes from chunks of any size. What it gives is a copy, since a chunk's memory may be reused. */
class ByteReader {
  readonly #path: string;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest = Buffer.alloc(0);

  constructor(path: string, chunks: AsyncIterable<Buffer>) {
    this.#path = path;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Ends the reading of the file, also where not all was wanted. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  cutOff(): DataError {
    return new DataError(`${this.#path}: cannot be read: unexpected end of file`);
  }

  /** The next bytes; fewer only at the end of the file. */
  async upTo(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      const part = await this.#some(missing);
      if (!part) break;
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async take(count: number): Promise<Buffer> {
    const found = await this.upTo(count);
    if (found.length < count) throw this.cutOff();
    return found;
  }

  async *pass(count: number): AsyncGenerator<Buffer> {
    for (let missing = count; missing > 0;) {
      const part = await this.#some(missing);
      if (!part) throw this.cutOff();
      missing -= part.length;
      yield part;
    }
  }

  async #some(most: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return undefined;
      this.#rest = Buffer.from(value);
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
}
