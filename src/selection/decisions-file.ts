import { RunError } from "../errors.ts";
import { readLineBlocks } from "../files/line-blocks.ts";
import { tryParse } from "../files/try-parse.ts";
import type { Decision } from "./decision.ts";

/** Yields the lines of an arm's `ARM.decisions.jsonl` in batches. @throws RunError when the file is cut off or malformed */
export async function* readDecisions(path: string): AsyncGenerator<readonly Decision[]> {
  let count = 0;
  for await (const { text, isCutOff } of readLineBlocks(path)) {
    if (isCutOff) throw new RunError(`${path}:${count + 1}: the file ends in the middle of a line; select again`);
    const decisions = parseLines(text, path, count);
    count += decisions.length;
    yield decisions;
  }
}

function parseLines(text: string, path: string, before: number): Decision[] {
  const lines = tryParse(`[${text.replaceAll("\n", ",")}]`) as Decision[] | undefined; // as select wrote them; checked below
  if (lines?.every(({ index, reason }, i) => index === before + i && typeof reason === "string")) return lines;
  throw new RunError(`${path}: expected the decisions of every row in order, got something else; select again`);
}
