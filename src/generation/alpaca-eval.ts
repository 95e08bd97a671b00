import { tryParse } from "../files/try-parse.ts";
import type { AnsweredPrompt } from "./answerer.ts";

/**
 * Answers as AlpacaEval reads a model's outputs: a JSON list of `dataset`, `instruction`, `output` and `generator`. Prompts without an answer are
 * left out, and so are conversations, of which it has none.
 */
export function toAlpacaEval(
  answers: readonly AnsweredPrompt[],
  generator: string,
): { readonly text: string; readonly written: number; readonly leftOut: number } {
  const rows = answers.flatMap(({ set, instruction, input, output, turns }) => {
    if (output === null || turns !== undefined) return [];
    return [
      { dataset: set, instruction: input === "" ? instruction : `${instruction}\n\n${input}`, output, generator },
    ];
  });
  return {
    text: `${JSON.stringify(rows, null, 2)}\n`,
    written: rows.length,
    leftOut: answers.length - rows.length,
  };
}

/** Whether a file's text may be replaced by a model's outputs: it is such a file, and no annotations. */
export function areOutputs(text: string): boolean {
  const rows = tryParse(text);
  return (
    Array.isArray(rows) &&
    rows.every((row: unknown) => typeof row === "object" && row !== null && "output" in row && "generator" in row)
  );
}
