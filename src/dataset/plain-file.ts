import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readBytes } from "../files/read-bytes.ts";
import type { DatasetFile } from "./source.ts";

/** The file itself, or an unpacked copy for a compressed one (Parquet and Arrow need random access). Disposing deletes the copy. */
export async function plainFile(file: DatasetFile): Promise<{ path: string } & AsyncDisposable> {
  if (!file.compression) return { path: file.path, [Symbol.asyncDispose]: async () => {} };
  const folder = await mkdtemp(join(tmpdir(), "alpagasus-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "plain");
    await pipeline(readBytes(file), createWriteStream(path));
    return { path, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
