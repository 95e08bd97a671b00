import { createHash } from "node:crypto";
import type { Dataset } from "../dataset/dataset.ts";
import type { ExampleFields } from "../dataset/example.ts";
import { openDataset } from "../dataset/open.ts";
import { readPrompts } from "../dataset/prompts.ts";
import { DataError, messageOf, UsageError } from "../errors.ts";
import type { EmbeddedText } from "../run/records/embedding.ts";

/** The text of a row that its vector is of: its prompt, its answer, or both, with a line feed between the parts. */
function textOf({ instruction, input, output }: ExampleFields, text: EmbeddedText): string {
  const prompt = input === "" ? instruction : `${instruction}\n${input}`;
  return text === "answer" ? output : text === "prompt" ? prompt : `${prompt}\n${output}`;
}

/** The texts of a dataset's rows; an empty one for a row that cannot be read. */
export async function* textsOf(dataset: Dataset, text: EmbeddedText): AsyncGenerator<readonly string[]> {
  for await (const batch of dataset.batches())
    yield batch.map((example) => (example.unreadable === undefined ? textOf(example, text) : ""));
}

/**
 * Reads the texts of a file of examples that rows are to be chosen near to. Of the text `prompt`, prompts suffice.
 *
 * @throws UsageError when it has none, DataError when a row cannot be read
 */
export async function readTargetTexts(file: string, text: EmbeddedText): Promise<string[]> {
  if (file.trim() === "") throw new UsageError("--target: expected a file of examples, got an empty name");
  const texts: string[] = [];
  if (text === "prompt")
    for (const prompt of await readPrompts(file)) texts.push(textOf({ ...prompt, output: "" }, text));
  else
    try {
      for await (const batch of textsOf(await openDataset(file), text)) texts.push(...batch);
    } catch (cause) {
      if (!(cause instanceof DataError)) throw cause;
      throw new DataError(
        `${messageOf(cause).replace(/; (name yours|leave them out) with .*$/s, "")}; examples need a prompt and an answer; of prompts alone, make vectors with --text prompt`,
        { cause },
      );
    }
  if (texts.every((one) => one.trim() === ""))
    throw new UsageError(`${file}: expected rows to choose near to, got none with a text`);
  return texts;
}

/** The texts of a dataset, opened when they are needed, and of the files of examples. */
export async function* allTexts(
  dataset: () => Promise<Dataset>,
  text: EmbeddedText,
  targets: readonly string[],
): AsyncGenerator<readonly string[]> {
  yield* textsOf(await dataset(), text);
  for (const file of targets) yield await readTargetTexts(file, text);
}

/** Identifies texts in their order: the first 16 hexadecimal digits of SHA-256. */
export function hashTexts(texts: readonly string[]): string {
  const sha = createHash("sha256");
  for (const text of texts) sha.update(`${text.length}:${text}`);
  return sha.digest("hex").slice(0, 16);
}
