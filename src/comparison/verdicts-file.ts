import { readFile } from "node:fs/promises";
import { parseJsonLines } from "../files/json-lines.ts";
import type { PairVerdict } from "./verdict.ts";

/** A comparison's pairs, as `writeJsonLines` wrote them. @throws RunError at a line that is not one of ours */
export async function readVerdicts(path: string): Promise<PairVerdict[]> {
  const text = await readFile(path, "utf8");
  return parseJsonLines(text, path, { what: "a pair's verdicts", advice: "compare again" });
}
