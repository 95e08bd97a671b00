import { tryParse } from "../../files/try-parse.ts";
import { isPlain, renderBefore, renderTurn, splitReasoning, type ChatTurn } from "../conversation.ts";
import type { ExampleFields, Row } from "../example.ts";
import { FieldError, optionalLabel, optionalText, requireText, type Shape } from "../shape.ts";

/** Which column holds which field. */
export interface ColumnMap {
  readonly instruction: string;
  readonly input?: string;
  readonly output: string;
  readonly category?: string;
  readonly id?: string;
  /** A system text. */
  readonly system?: string;
  /** An answer that is known to be good. */
  readonly reference?: string;
  /** Earlier turns, as a list of pairs of the user's and the assistant's words (LLaMA-Factory). */
  readonly history?: string;
}

/** A shape in which every field is a column of its own; `input`, `category` and `id` may be absent or null. */
export function columnsShape(name: string, map: ColumnMap): Shape {
  return {
    name,
    columns: [map.instruction, map.input && `${map.input} (optional)`, map.output].filter(Boolean).join(", "),
    matches: (row) => Object.hasOwn(row, map.instruction) && Object.hasOwn(row, map.output),
    read: (row) => readColumns(row, map),
  };
}

function readColumns(row: Row, map: ColumnMap): ExampleFields {
  const fields: ExampleFields = {
    instruction: requireText(row, map.instruction),
    input: (map.input === undefined ? undefined : optionalText(row, map.input)) ?? "",
    output: requireText(row, map.output),
    category: map.category === undefined ? undefined : optionalLabel(row, map.category),
    id: map.id === undefined ? undefined : optionalLabel(row, map.id),
    ...readReference(row, map.reference),
  };
  const system = map.system === undefined ? undefined : row[map.system];
  const history = map.history === undefined ? [] : readHistory(row[map.history], map.history);
  const before: ChatTurn[] = [
    ...(typeof system === "string" && system.trim() !== "" ? [{ role: "system", text: system } as const] : []),
    ...history,
  ];
  const answer = splitReasoning({ role: "assistant", text: fields.output });
  if (before.length === 0 && answer.reasoning === undefined) return fields;
  const { instruction, input } = fields;
  const asked = input === "" ? instruction : `${instruction}\n\n${input}`;
  const conversation = { turns: [...before, { role: "user", text: asked } as const], answer, tools: [] };
  return {
    ...fields,
    ...(before.length > 0 && { instruction: renderBefore(conversation), input: "" }),
    output: renderTurn(answer),
    ...(!isPlain(conversation) && { conversation }),
  };
}

/** A reference answer, from the column that was named or from `reference` and `reference_answer`, where they hold text or a number. */
export function readReference(row: Row, column?: string): Pick<ExampleFields, "reference"> {
  if (column !== undefined) return { reference: optionalLabel(row, column) ?? optionalText(row, column) };
  const reference = optionalLabel(row, "reference") ?? optionalLabel(row, "reference_answer");
  return reference === undefined ? {} : { reference };
}

function readHistory(given: unknown, column: string): ChatTurn[] {
  const value: unknown = typeof given === "string" && /^\s*\[/.test(given) ? tryParse(given) : given; // as CSV holds it
  if (!Array.isArray(value) && !(typeof value === "object" && value !== null)) return []; // some other column of that name
  if (!Array.isArray(value)) throw new FieldError(`expected ${JSON.stringify(column)} to be a list of pairs of texts`);
  return value.flatMap((pair: unknown) => {
    const [asked, answered] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof asked !== "string" || typeof answered !== "string")
      throw new FieldError(`expected ${JSON.stringify(column)} to be a list of pairs of texts`);
    return [{ role: "user", text: asked }, splitReasoning({ role: "assistant", text: answered })] satisfies ChatTurn[];
  });
}
