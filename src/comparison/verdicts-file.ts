import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { RunError } from "../errors.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import type { PairVerdict } from "./verdict.ts";

/** Writes a comparison's pairs, a line each, and gives the file's SHA-256. */
export async function writeVerdicts(path: string, verdicts: readonly PairVerdict[]): Promise<string> {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  try {
    for (const verdict of verdicts) {
      const text = `${JSON.stringify(verdict)}\n`;
      sha.update(text);
      await file.write(text);
    }
    await file.commit();
  } finally {
    await file.discard();
  }
  return sha.digest("hex");
}

/** Reads them again. @throws RunError at a line that is not one of ours */
export async function readVerdicts(path: string): Promise<PairVerdict[]> {
  const lines = (await readFile(path, "utf8")).split("\n").filter(Boolean);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as PairVerdict; // as writeVerdicts wrote it
    } catch (cause) {
      throw new RunError(`${path}:${i + 1}: expected a pair's verdicts, got something else; compare again`, { cause });
    }
  });
}
