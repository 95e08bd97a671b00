import { RunError } from "../errors.ts";
import { readBytes } from "../files/read-bytes.ts";
import type { Decision } from "./decision.ts";

/** All lines of an arm's `ARM.decisions.jsonl`, in batches. @throws RunError at a line that is not one of ours */
export async function* readDecisions(path: string): AsyncGenerator<readonly Decision[]> {
  const decoder = new TextDecoder();
  let rest = "";
  let count = 0;
  for await (const chunk of readBytes({ path, gzipped: false })) {
    const text = rest + decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n");
    rest = text.slice(end + 1);
    if (end < 0) continue;
    const decisions = parseLines(text.slice(0, end), path, count);
    count += decisions.length;
    yield decisions;
  }
  if (rest.trim()) throw new RunError(`${path}:${count + 1}: the file ends in the middle of a line; select again`);
}

function parseLines(text: string, path: string, before: number): Decision[] {
  try {
    const lines = JSON.parse(`[${text.replaceAll("\n", ",")}]`) as Decision[]; // as select wrote them; checked below
    if (lines.every(({ index, reason }, i) => index === before + i && typeof reason === "string")) return lines;
  } catch {
    // said below
  }
  throw new RunError(`${path}: expected the decisions of every row in order, got something else; select again`);
}
