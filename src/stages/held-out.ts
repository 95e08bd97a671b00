import { hash } from "node:crypto";
import { numberPrompts } from "../comparison/prompt-numbers.ts";
import type { Dataset } from "../dataset/dataset.ts";
import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { StageOptions } from "./progress.ts";

/** Held-out rows that can be measured. */
export interface HeldOut {
  readonly items: readonly Example[];
  /** Each item's prompt, numbered from 0: answers to one prompt are not independent. */
  readonly promptOf: Uint32Array;
  readonly rows: number;
  readonly trainedOn: number;
}

/**
 * Reads held-out rows, without those whose prompt is in the data that models may have been trained on.
 *
 * @throws UsageError when a row has no answer, or none is left
 */
export async function readHeldOut(
  dataset: Dataset,
  trained: Pick<Dataset, "source" | "batches"> | undefined,
  { onProgress }: StageOptions,
): Promise<HeldOut> {
  const all: Example[] = [];
  for await (const batch of dataset.batches()) all.push(...batch.filter(({ unreadable }) => unreadable === undefined));
  const empty = all.filter(({ output }) => output === "");
  if (empty.length > 0)
    throw new UsageError(
      `${dataset.source}: expected rows with answers, got ${formatNumbered(empty.length, "row", "rows")} without one, the first row ${empty[0]!.index + 1}`,
    );
  const asked = new Set(all.map(promptHash));
  const known = new Set<string>();
  if (trained) {
    let done = 0;
    for await (const batch of trained.batches()) {
      for (const example of batch) {
        const prompt = promptHash(example);
        if (asked.has(prompt)) known.add(prompt);
      }
      done += batch.length;
      onProgress?.({ stage: "evaluate", doing: "looking for trained prompts", done, unit: "rows" });
    }
  }
  const items = all.filter((example) => !known.has(promptHash(example)));
  if (items.length === 0)
    throw new UsageError(
      `${dataset.source}: expected prompts that no model was trained on, got ${all.length === 0 ? "no rows" : `${formatCount(all.length)} rows whose prompts are all in ${trained!.source}`}`,
    );
  const promptOf = numberPrompts(items.map((item) => ({ set: "", id: promptHash(item) })));
  return { items, promptOf, rows: all.length, trainedOn: all.length - items.length };
}

function promptHash({ instruction, input }: Pick<Example, "instruction" | "input">): string {
  return hash("sha256", `${instruction.trim()}\0${input.trim()}`).slice(0, 24);
}
