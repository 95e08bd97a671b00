import { kindOf } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import type { Example, Row } from "./example.ts";
import type { FileRecord } from "./record-source.ts";
import { FieldError, optionalLabel, type Shape } from "./shape.ts";
import { findShape } from "./shapes/index.ts";

/** The example that a record holds, or one that says why it cannot be read. */
export function readExample(record: FileRecord, index: number, shape: Shape): Example {
  const unread = (problem: string): Example => ({
    index,
    instruction: "",
    input: "",
    output: "",
    row: isRow(record.value) ? record.value : {},
    text: record.text,
    place: record.place,
    ...(isRow(record.value) && { id: optionalLabel(record.value, "id") }),
    unreadable: problem,
  });
  const problem = record.problem ?? describeNoRow(record.value);
  if (problem !== undefined) return unread(problem);
  const row = record.value as Row; // what is none was described
  try {
    const { instruction, input, output, category, id, reference, conversation, turnsAfter } = shape.read(row);
    const more = {
      ...(conversation && { conversation }),
      ...(reference !== undefined && { reference }),
      ...(turnsAfter !== undefined && { turnsAfter }),
    };
    return { index, instruction, input, output, category, id, ...more, row, text: record.text, place: record.place };
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    const other = shape.matches(row) ? undefined : findShape(row);
    return unread(
      other
        ? `expected the ${shape.name} shape of the earlier rows (${shape.columns}), got the ${other.name} shape; split the data by shape`
        : error.message,
    );
  }
}

/** Whether it is an object read from JSON, CSV or Parquet: its keys are its columns. */
export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a record's value is that is no row; undefined where it is one. */
export function describeNoRow(value: unknown): string | undefined {
  if (isRow(value)) return undefined;
  const isPacked = typeof value === "string" && isRow(tryParse(value));
  return `expected a row to be an object, got ${kindOf(value)}${isPacked ? " that holds one; unpack it (jq -c fromjson FILE)" : ""}`;
}
