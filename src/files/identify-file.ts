import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** What tells a file from another: its size and its SHA-256. */
export interface FileIdentity {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads a file whole, in pieces. */
export async function identifyFile(path: string): Promise<FileIdentity> {
  const sha = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    sha.update(chunk as Buffer); // a stream of bytes
    bytes += (chunk as Buffer).length; // likewise
  }
  return { bytes, sha256: sha.digest("hex") };
}
