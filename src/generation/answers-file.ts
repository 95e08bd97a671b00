import { createHash, hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { RunError } from "../errors.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import type { AnsweredPrompt } from "./answerer.ts";

/** Writes answers, a line each, and gives the file's SHA-256. */
export async function writeAnswers(path: string, answers: readonly AnsweredPrompt[]): Promise<string> {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  try {
    for (const answer of answers) {
      const text = `${JSON.stringify(answer)}\n`;
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
 * Reads them again, with the file's SHA-256; none where there is no file.
 *
 * @throws RunError at a line that is not one of ours
 */
export async function readOwnAnswers(path: string): Promise<{ answers: AnsweredPrompt[]; sha256: string }> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const answers = text
    .split("\n")
    .filter(Boolean)
    .map((line, i) => {
      try {
        return JSON.parse(line) as AnsweredPrompt; // as writeAnswers wrote it
      } catch (cause) {
        throw new RunError(`${path}:${i + 1}: expected an answer, got something else; remove the file`, { cause });
      }
    });
  return { answers, sha256: hash("sha256", text) };
}
