import { DataError, kindOf } from "../errors.ts";
import { valueAt } from "./column-path.ts";
import type { Row } from "./example.ts";
import { dataErrorAt } from "./place.ts";
import { openRecords } from "./records.ts";
import type { FileRecord } from "./record-source.ts";
import { findDatasetFiles } from "./source.ts";

/** One prompt of a test set. */
export interface TestPrompt {
  /** The row's `set` or `dataset`, otherwise the path it was read from. */
  readonly set: string;
  /** The row's id, otherwise its number from 1. */
  readonly id: string;
  readonly instruction: string;
  readonly input: string;
  /** The kind of task, if the set has one (Vicuna's category, WizardLM's skill). */
  readonly category?: string | undefined;
}

const instructionColumns = ["instruction", "Instruction", "prompt", "text", "question", "query"];
const inputColumns = ["input", "context", "instances.0.input"];
const idColumns = ["id", "question_id", "idx"];
const setColumns = ["set", "dataset"];
const categoryColumns = ["category", "Skill"];

/**
 * Reads the prompts of a test set in any common layout (Vicuna, Koala, WizardLM, Self-Instruct, Alpaca).
 *
 * @throws DataError when the file cannot be read or a row has no prompt
 */
export async function readPrompts(path: string): Promise<TestPrompt[]> {
  const prompts: TestPrompt[] = [];
  for (const file of await findDatasetFiles(path)) {
    for await (const batch of (await openRecords(file)).batches()) {
      for (const record of batch) prompts.push(readPrompt(record, path, prompts.length + 1));
    }
  }
  if (prompts.length === 0) throw new DataError(`${path}: expected test prompts, got none`);
  return prompts;
}

/** Reads one prompt. @param set its set if the row names none @param ordinal its id if the row has none */
export function readPrompt({ value, place }: FileRecord, set: string, ordinal: number): TestPrompt {
  if (typeof value === "string") return { set, id: String(ordinal), instruction: value, input: "" };
  if (typeof value !== "object" || value === null)
    throw dataErrorAt(place, `expected a prompt or an object with one, got ${kindOf(value)}`);
  const row = value as Row; // an object read from a file
  const instruction = firstText(row, instructionColumns);
  if (instruction === undefined) {
    const other = instructionColumns.find((column) => valueAt(row, column) !== undefined);
    if (other !== undefined)
      throw dataErrorAt(place, `expected ${JSON.stringify(other)} to be a text, got ${kindOf(valueAt(row, other))}`);
    const wanted = instructionColumns.join(", ");
    throw dataErrorAt(
      place,
      `expected a prompt in one of the columns ${wanted}, got ${Object.keys(row).join(", ") || "none"}`,
    );
  }
  const id = idColumns
    .map((column) => row[column])
    .find((label) => typeof label === "string" || typeof label === "number");
  const category = firstText(row, categoryColumns);
  return {
    set: firstText(row, setColumns) ?? set,
    id: String(id ?? ordinal),
    instruction,
    input: firstText(row, inputColumns) ?? "",
    category,
  };
}

function firstText(row: Row, columns: readonly string[]): string | undefined {
  return columns.map((column) => valueAt(row, column)).find((value): value is string => typeof value === "string");
}
