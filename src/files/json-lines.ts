import { createHash } from "node:crypto";
import { RunError } from "../errors.ts";
import { openAtomicFile } from "./atomic-file.ts";

/** Writes values as JSON, a line each, and gives the file's SHA-256. It appears when it is complete. */
export async function writeJsonLines(path: string, values: Iterable<object>): Promise<string> {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  try {
    for (const value of values) {
      const text = `${JSON.stringify(value)}\n`;
      sha.update(text);
      await file.write(text);
    }
    await file.commit();
  } finally {
    await file.discard();
  }
  return sha.digest("hex");
}

/**
 * The values of a text that `writeJsonLines` wrote.
 *
 * @param expected what a line should be, and what to do where it is not, for the message
 * @throws RunError at a line that is no JSON
 */
export function parseJsonLines<Value>(text: string, path: string, expected: { what: string; advice: string }): Value[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line, i) => {
      try {
        return JSON.parse(line) as Value; // as it was written
      } catch (cause) {
        throw new RunError(`${path}:${i + 1}: expected ${expected.what}, got something else; ${expected.advice}`, {
          cause,
        });
      }
    });
}
