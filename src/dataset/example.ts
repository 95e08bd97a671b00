import { hash } from "node:crypto";
import type { Conversation } from "./conversation.ts";
import type { Place } from "./place.ts";

/** One row as its file gives it: column name to value. */
export type Row = Readonly<Record<string, unknown>>;

/** What a shape reads out of a row. Lengths of these texts are in characters (UTF-16 units) everywhere. */
export interface ExampleFields {
  readonly instruction: string;
  /** Further context for the instruction; empty when the row has none. */
  readonly input: string;
  readonly output: string;
  /** The row's group, where the data has one (Dolly's `category`). */
  readonly category?: string | undefined;
  /** The row's own name, where the data has one. */
  readonly id?: string | undefined;
  /** An answer that is known to be good, where the data has one. */
  readonly reference?: string | undefined;
  /** The turns, where the row is more than these texts: system text, several turns, tools, reasoning. The texts are a view of it. */
  readonly conversation?: Conversation | undefined;
  /** How many turns come after the answer, where there are some: no judge and no training sees them. */
  readonly turnsAfter?: number | undefined;
}

/** One row of an instruction dataset. */
export interface Example extends ExampleFields {
  /** Position in the whole dataset, over all its files, from 0. */
  readonly index: number;
  readonly row: Row;
  readonly place: Place;
  /** The row's text exactly as its file has it; of Parquet, whose rows have no text, its JSON. */
  readonly text: string;
  /** The name of its source, in a pool of several. */
  readonly source?: string | undefined;
  /** Why the row cannot be read; its texts are then empty. Only from datasets that keep such rows. */
  readonly unreadable?: string | undefined;
}

/**
 * The identity of what a judge can see: the first 16 hexadecimal digits of SHA-256 over instruction, input and output, over reasoning
 * and reference where the row has them, and over its tools and its options for the chat template.
 * Other columns (the category too, a label that a rubric may show), whitespace between fields and the file's format do not change it. A row that cannot be read is identified by all of
 * its text.
 */
export function hashExample(example: ExampleFields & Partial<Pick<Example, "unreadable" | "text" | "row">>): string {
  if (example.unreadable !== undefined)
    return hash("sha256", `unreadable\0${example.text || JSON.stringify(example.row)}`).slice(0, 16);
  const { instruction, input, output, conversation, reference } = example;
  const thoughts = conversation && [...conversation.turns, conversation.answer].map(({ reasoning }) => reasoning ?? "");
  const options = conversation?.templateOptions;
  const tools = toolsBeside(example);
  const parts = [thoughts, reference, ...(options || tools ? [options ?? null] : []), ...(tools ? [tools] : [])];
  const more =
    thoughts?.some(Boolean) || reference !== undefined || options || tools ? `\0${JSON.stringify(parts)}` : "";
  const texts = [instruction, input, output];
  const isPlain = texts.every((text) => !text.includes("\0") && text.isWellFormed()); // half characters are all the same in UTF-8
  const joined = isPlain ? texts.join("\0") : JSON.stringify(texts); // one meaning each
  return hash("sha256", `${joined}${more}`).slice(0, 16);
}

/** The tools that are offered, where the instruction does not tell them. */
export function toolsBeside({
  instruction,
  conversation,
}: Pick<ExampleFields, "instruction" | "conversation">): readonly unknown[] | undefined {
  const { tools = [] } = conversation ?? {};
  return tools.length === 0 || instruction.startsWith(`Tools: ${JSON.stringify(tools)}`) ? undefined : tools;
}
