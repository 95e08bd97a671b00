import type { ExampleFields } from "../dataset/example.ts";
import { createRandom } from "../stats/random.ts";
import { createCorrupter } from "./corrupt.ts";

/** A row's texts, and the answer that does not fit. */
export interface LmTexts {
  readonly prompt: string;
  readonly answer: string;
  readonly spoilt: string;
}

/** The text of a row's prompt, for its vector. */
export function promptText({ instruction, input }: ExampleFields): string {
  return input === "" ? instruction : `${instruction}\n${input}`;
}

/**
 * The texts of some rows of a training set, spoilt as the set's builder spoilt them.
 *
 * @param examples the set's rows, in its order
 * @param wanted numbers of rows in the set
 * @param seed of the set's builder
 */
export async function readLmTexts(
  examples: AsyncIterable<ExampleFields>,
  wanted: readonly number[],
  seed: number,
): Promise<LmTexts[]> {
  const corrupt = createCorrupter(createRandom(seed)); // it draws among the rows before, so that all are shown to it
  const places = new Map(wanted.map((row, at) => [row, at]));
  const texts: LmTexts[] = [];
  let row = 0;
  for await (const example of examples) {
    const spoilt = corrupt(example);
    const at = places.get(row++);
    if (at !== undefined) texts[at] = { prompt: promptText(example), answer: example.output, spoilt: spoilt.output };
  }
  return texts;
}
