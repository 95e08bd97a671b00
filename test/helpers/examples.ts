import type { Example } from "../../src/dataset/example.ts";
import { openDataset, type OpenDatasetOptions } from "../../src/dataset/open.ts";

/** All examples of a dataset. */
export async function readExamples(source: string, options?: OpenDatasetOptions): Promise<Example[]> {
  const examples: Example[] = [];
  for await (const batch of (await openDataset(source, options)).batches()) examples.push(...batch);
  return examples;
}

/** An example made by hand. */
export function example(index: number, fields: Partial<Example> & { output: string }): Example {
  const { instruction = `Instruction ${index}`, input = "" } = fields;
  const place = { path: "test", format: "jsonl", line: index + 1, ordinal: index + 1 } as const;
  return { instruction, input, category: undefined, id: undefined, index, row: {}, text: "", place, ...fields };
}
