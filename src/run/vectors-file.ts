import { createHash } from "node:crypto";
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { messageOf, RunError } from "../errors.ts";
import { openAtomicFile } from "../files/atomic-file.ts";

/*
 * Vectors of rows in a `.npy` file, which NumPy and others read: 32-bit floats, a row a line, not a number (NaN) where a row has no vector.
 * The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

const magic = "\x93NUMPY\x01\x00";

export interface VectorsWriter {
  write(vector: Float32Array | undefined): Promise<void> | void;
  /** How many values a vector has; 0 while no row has one. */
  readonly dimensions: number;
  /** Moves the finished file to its path. Returns its SHA-256. */
  commit(): Promise<string>;
  discard(): Promise<void>;
}

const chunkBytes = 1 << 20;

/** Opens a file of so many rows for writing; it appears under its name when it is complete. */
export function openVectorsWriter(path: string, rows: number): VectorsWriter {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  let dimensions: number | undefined;
  let before = 0; // rows without a vector, before the first that has one
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    sha.update(bytes);
    await file.writeBytes(bytes);
  };
  const add = (bytes: Uint8Array): Promise<void> | void => {
    pending.push(bytes);
    pendingBytes += bytes.byteLength;
    return pendingBytes < chunkBytes ? undefined : flush();
  };
  const begin = async (size: number): Promise<void> => {
    dimensions = size;
    await add(header(rows, size));
    for (; before > 0; before--) await add(missing(size));
  };
  return {
    get dimensions() {
      return dimensions ?? 0;
    },
    write(vector) {
      if (dimensions !== undefined) return add(vector ? bytesOf(vector) : missing(dimensions));
      if (!vector) return void before++;
      return begin(vector.length).then(() => add(bytesOf(vector)));
    },
    async commit() {
      if (dimensions === undefined) await begin(0);
      await flush();
      await file.commit();
      return sha.digest("hex");
    },
    discard: () => file.discard(),
  };
}

function header(rows: number, dimensions: number): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dimensions}), }`;
  const length = Math.ceil((magic.length + 2 + text.length + 1) / 64) * 64 - magic.length - 2;
  const sizes = Buffer.alloc(2);
  sizes.writeUInt16LE(length);
  return Buffer.concat([Buffer.from(magic, "latin1"), sizes, Buffer.from(`${text.padEnd(length - 1)}\n`, "latin1")]);
}

function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer.slice(vector.byteOffset, vector.byteOffset + vector.byteLength));
}

function missing(dimensions: number): Uint8Array {
  return bytesOf(new Float32Array(dimensions).fill(NaN));
}

/** Vectors of rows, read from their file when they are asked for. */
export interface VectorsReader extends Disposable {
  readonly rows: number;
  readonly dimensions: number;
  /** A row's vector, undefined where it has none. */
  at(row: number): Float32Array | undefined;
}

/**
 * Opens a file of vectors.
 *
 * @param sha256 the expected hash of the file
 * @throws RunError when there is no such file, or it was changed
 */
export async function openVectors(path: string, sha256: string, advice: string): Promise<VectorsReader> {
  const fail = (got: string) =>
    new RunError(`${path}: expected the vectors that were written, got ${got}; make them again: ${advice}`);
  const sha = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 4 * chunkBytes })) sha.update(chunk as Buffer); // a stream of bytes
  } catch (cause) {
    throw fail((cause as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : messageOf(cause));
  }
  if (sha.digest("hex") !== sha256) throw fail("a changed file");
  const file = openSync(path, "r");
  const head = Buffer.alloc(10);
  readSync(file, head, 0, 10, 0);
  const from = 10 + head.readUInt16LE(8);
  const text = Buffer.alloc(from - 10);
  readSync(file, text, 0, text.length, 10);
  const [, rows, dimensions] = /'shape': \((\d+), (\d+)\)/.exec(text.toString("latin1"))!.map(Number); // by its hash, written here
  const rowBytes = 4 * dimensions!;
  if (fstatSync(file).size !== from + rows! * rowBytes) throw fail("a file of another size");
  const blockRows = Math.max(1, Math.floor(chunkBytes / Math.max(1, rowBytes)));
  const block = Buffer.alloc(rowBytes * blockRows);
  let [first, end] = [0, 0]; // the rows that the block holds
  let last = -1;
  return {
    rows: rows!,
    dimensions: dimensions!,
    at(row) {
      if (row < first || row >= end) {
        const count = row === last + 1 ? Math.min(blockRows, rows! - row) : 1; // one after the other, or here and there
        readSync(file, block, 0, count * rowBytes, from + row * rowBytes);
        [first, end] = [row, row + count];
      }
      last = row;
      const start = (row - first) * rowBytes;
      const vector = new Float32Array(Uint8Array.from(block.subarray(start, start + rowBytes)).buffer);
      return Number.isNaN(vector[0] ?? NaN) ? undefined : vector;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}
