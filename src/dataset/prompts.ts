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
  /** The prompt; with several turns, the user's turns with blank lines between them. */
  readonly instruction: string;
  readonly input: string;
  /** The user's turns, where there are several: the model answers one after the other. */
  readonly turns?: readonly string[] | undefined;
  /** Answers that are known to be good, one a turn, where the set has them. */
  readonly references?: readonly string[] | undefined;
  /** The kind of task, if the set has one (Vicuna's category, WizardLM's skill). */
  readonly category?: string | undefined;
  /** How hard it is, 1 to 10, if the set says so (WizardLM's levels). */
  readonly difficulty?: number | undefined;
}

/** A question and a model's answer to it. */
export interface Exchange {
  readonly question: string;
  readonly answer: string;
}

const instructionColumns = ["instruction", "Instruction", "prompt", "text", "question", "query"];
const inputColumns = ["input", "context", "instances.0.input"];
const idColumns = ["id", "question_id", "idx", "uid"];
const setColumns = ["set", "dataset"];
const categoryColumns = ["category", "Skill"];
const difficultyColumns = ["difficulty", "Difficulty"];

/**
 * Reads the prompts of a test set in any common layout (Vicuna, Koala, WizardLM, Self-Instruct, Alpaca, MT-Bench, Arena-Hard).
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
  const turns = readTexts(row["turns"]);
  const instruction = turns?.join("\n\n") ?? firstText(row, instructionColumns);
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
  const references = readTexts(row["references"] ?? row["reference"]);
  return {
    set: firstText(row, setColumns) ?? set,
    id: String(id ?? ordinal),
    instruction,
    input: turns ? "" : (firstText(row, inputColumns) ?? ""),
    ...(turns && turns.length > 1 && { turns }),
    ...(references && references.length === (turns?.length ?? 1) && { references }),
    category,
    ...readDifficulty(row),
  };
}

/** The difficulty of a prompt; nothing unless it is a level from 1 to 10. */
export function readDifficulty(row: Row): { readonly difficulty?: number } {
  const level = difficultyColumns.map((column) => row[column]).find((value) => typeof value === "number");
  return level !== undefined && level >= 1 && level <= 10 ? { difficulty: level } : {};
}

/** A list of texts, or of objects with their text in `content` (Arena-Hard's turns); undefined for anything else. */
function readTexts(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const texts = value.map(
    (one: unknown) => (typeof one === "object" && one !== null ? (one as Row)["content"] : one), // an object read from a file
  );
  return texts.every((text) => typeof text === "string") ? texts : undefined;
}

function firstText(row: Row, columns: readonly string[]): string | undefined {
  return columns.map((column) => valueAt(row, column)).find((value): value is string => typeof value === "string");
}
