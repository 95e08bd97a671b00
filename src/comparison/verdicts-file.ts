import { readWhole } from "../files/read-file.ts";
import { parseJsonLines } from "../files/json-lines.ts";
import type { PairVerdict } from "./verdict.ts";

/** Reads a comparison's pairs, as written by `writeJsonLines`. @throws RunError at a line that was not written by it */
export async function readVerdicts(path: string): Promise<PairVerdict[]> {
  const text = await readWhole(path, "utf8");
  return parseJsonLines(text, path, { what: "a pair's verdicts", advice: "compare again" });
}
