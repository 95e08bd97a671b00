import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** SHA-256 of a file's bytes; undefined when there is no such file. */
export async function hashFile(path: string): Promise<string | undefined> {
  const sha = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) sha.update(chunk as Buffer); // a stream of bytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // streams fail with errors of this kind
    throw error;
  }
  return sha.digest("hex");
}
