import { kindOf, UsageError } from "../../errors.ts";
import type { Row } from "../example.ts";
import type { ChatTurn } from "../conversation.ts";
import { FieldError, type Shape } from "../shape.ts";
import { columnsShape, type ColumnMap } from "./columns.ts";
import { treeShape } from "./oasst.ts";
import { conversationFields, conversationShape, listOf, readTurns } from "./conversation.ts";

/** The columns of the shapes that have one for each field, by the shape. */
const columnMaps: Readonly<Record<string, ColumnMap>> = {
  alpaca: {
    instruction: "instruction",
    input: "input",
    output: "output",
    category: "category",
    id: "id",
  },
  dolly: { instruction: "instruction", input: "context", output: "response", category: "category", id: "id" },
  openorca: { instruction: "question", output: "response", id: "id" },
  "query-response": { instruction: "query", output: "response", category: "category", id: "id" },
  "query-answer": { instruction: "query", output: "answer", category: "category", id: "id" },
  "question-answer": { instruction: "question", input: "context", output: "answer", category: "category", id: "id" },
  "prompt-completion": {
    instruction: "prompt",
    output: "completion",
    category: "category",
    id: "id",
  },
  "prompt-response": { instruction: "prompt", output: "response", category: "category", id: "id" },
};

/** The shapes that are detected from a row; add a new one here. The first that matches is the row's shape. */
const shapes: readonly Shape[] = [
  conversationShape("messages", "messages", "{role, content}"),
  conversationShape("sharegpt", "conversations", "{from, value}"),
  conversationShape("conversation", "conversation", "{role, content} or {input, output}"),
  conversationShape("dialog", "dialog", "{role, content}"),
  promptShape("prompt-messages", "completion"),
  promptShape("prompt-chosen", "chosen"),
  treeShape,
  alternatingShape(),
  ...Object.entries(columnMaps).map(([name, map]) => columnsShape(name, map)),
];

/**
 * TRL's conversations: `prompt` and the answer are lists of messages.
 *
 * @param answer the answer's column: `completion`, or `chosen` of preferences, whose `rejected` is left aside
 */
function promptShape(name: string, answer: string): Shape {
  return {
    name,
    columns: `prompt, ${answer} (lists of {role, content})`,
    matches: (row) =>
      Array.isArray(listOf(row["prompt"])) &&
      Array.isArray(listOf(row[answer])) &&
      !(answer === "chosen" && hasColumns(row)),
    read: (row) => {
      const [before, turns] = [readTurns(row["prompt"], "prompt"), readTurns(row[answer], answer)];
      return conversationFields(joinTurns(before, turns), {
        row,
        place: JSON.stringify(answer),
      });
    },
  };
}

/** Whether a row has a question and an answer in columns of their own. */
function hasColumns(row: Row): boolean {
  const isText = (value: unknown) => typeof value === "string" && value !== "";
  return Object.values(columnMaps).some(({ instruction, output }) => isText(row[instruction]) && isText(row[output]));
}

/** A prompt's turns and the answer's, which some write with the prompt, or its end, before it. */
function joinTurns(before: readonly ChatTurn[], turns: readonly ChatTurn[]): ChatTurn[] {
  const last = before.at(-1);
  const isLast = ({ role, text }: ChatTurn) => role === last?.role && text.trim() === last.text.trim();
  const at = turns[0]?.role === "assistant" ? -1 : turns.findIndex(isLast);
  return at >= 0 && at + 1 >= before.length ? [...turns] : [...before, ...turns.slice(at + 1)];
}

/** UltraChat's first form: `data` is a list of texts, of the user and the assistant in turn. */
function alternatingShape(): Shape {
  const isTexts = (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string");
  return {
    name: "ultrachat",
    columns: "data (a list of texts, of the user and the assistant in turn)",
    matches: ({ data }) => isTexts(data),
    read: (row) => {
      const texts = row["data"];
      if (!isTexts(texts)) throw new FieldError(`expected "data" to be a list of texts, got ${kindOf(texts)}`);
      const turns = texts.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content }));
      return conversationFields(readTurns(turns, "data"), { row, place: '"data"' });
    },
  };
}

/** The fields that columns can be named for. */
export const mapFields = [
  "instruction",
  "input",
  "output",
  "category",
  "id",
  "system",
  "history",
  "reference",
  "messages",
] as const;

export const shapeNames = shapes.map((shape) => shape.name);

export interface ShapeChoice {
  /** One of {@link shapeNames}; found from the first row when absent. */
  readonly shape?: string | undefined;
  /** Columns that hold fields under other names; they override the shape's: `{ instruction: "prompt" }`. */
  readonly map?: (Partial<ColumnMap> & { readonly messages?: string | undefined }) | undefined;
}

/** The shape that the caller named; undefined to detect it from the data. @throws UsageError when there is no such shape */
export function chooseShape({ shape, map }: ShapeChoice): Shape | undefined {
  const named = shape === undefined ? undefined : shapes.find(({ name }) => name === shape);
  if (shape !== undefined && !named)
    throw new UsageError(`--shape: expected one of ${shapeNames.join(", ")}, got ${JSON.stringify(shape)}`);
  if (!map || Object.keys(map).length === 0) return named;
  const other = Object.keys(map).find((field) => !(mapFields as readonly string[]).includes(field));
  if (other !== undefined)
    throw new UsageError(`--map: expected the fields ${mapFields.join(", ")}, got ${JSON.stringify(other)}`);
  if (map.messages !== undefined) {
    const { messages, system, reference, category, id, ...others } = map;
    if (shape !== undefined || Object.keys(others).length > 0)
      throw new UsageError(
        "--map: expected messages=COLUMN alone, or with system, reference, category or id; got other fields or --shape with it; leave them out",
      );
    const beside = { system, reference, category, id };
    return {
      ...conversationShape("mapped", messages, "{role, content} or {from, value}", beside),
      map: Object.fromEntries(
        Object.entries({ messages, ...beside }).filter(([, column]) => column !== undefined),
      ) as Record<string, string>, // by the filter
    };
  }
  if (named && !Object.hasOwn(columnMaps, named.name))
    throw new UsageError(`--map: expected a shape with a column for each field, got --shape ${shape}`);
  const { messages: _, ...given } = map;
  const base = columnMaps[named?.name ?? "alpaca"]!;
  const chosen = { ...base, ...given };
  return { ...columnsShape("mapped", chosen), map: chosen };
}

/** Columns that a shape reads texts from; those of conversations hold no plain texts. */
export function textColumns({ name, map }: Pick<Shape, "name" | "map">): string[] {
  const { instruction, input, output, reference } = { ...columnMaps[name], ...map } as Partial<Record<string, string>>;
  return [instruction, input, output, reference].filter((column) => column !== undefined);
}

export function findShape(row: Row): Shape | undefined {
  return shapes.find((shape) => shape.matches(row));
}

/** The columns of all known shapes, for the error message when none fits. */
export function describeShapes(): string {
  const [first, second, ...others] = ["alpaca", "messages", "sharegpt", "dolly"].map((name) =>
    shapes.find((shape) => shape.name === name)!,
  );
  const usual = [first!, second!, ...others].map((shape) => `${shape.columns} [${shape.name}]`);
  return `${usual.join("; ")}; or of another shape (${shapes
    .map(({ name }) => name)
    .filter((name) => !usual.some((text) => text.endsWith(`[${name}]`)))
    .join(", ")})`;
}
