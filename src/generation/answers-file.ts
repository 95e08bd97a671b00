import { hash } from "node:crypto";
import { readWhole } from "../files/read-file.ts";
import { parseJsonLines } from "../files/json-lines.ts";
import type { AnsweredPrompt } from "./answerer.ts";

/**
 * Reads a model's answers, as `writeJsonLines` wrote them, and the file's SHA-256. A missing file reads as empty.
 *
 * @throws RunError at a line that is not an answer
 */
export async function readOwnAnswers(path: string): Promise<{ answers: AnsweredPrompt[]; sha256: string }> {
  const text = await readWhole(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return {
    answers: parseJsonLines(text, path, { what: "an answer", advice: "remove the file" }),
    sha256: hash("sha256", text),
  };
}
