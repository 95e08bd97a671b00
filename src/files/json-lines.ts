import { createHash } from "node:crypto";
import { RunError } from "../errors.ts";
import { openAtomicFile } from "./atomic-file.ts";

/** Writes values as JSON Lines and returns the file's SHA-256. The file appears when it is complete. */
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

/** The SHA-256 of the file that `writeJsonLines` writes of these values. */
export function hashJsonLines(values: Iterable<object>): string {
  const sha = createHash("sha256");
  for (const value of values) sha.update(`${JSON.stringify(value)}\n`);
  return sha.digest("hex");
}

/**
 * Parses a text that `writeJsonLines` wrote.
 *
 * @param expected for the error message: what a line should be, and advice if it is not
 * @throws RunError at a line that is not JSON
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
