import type { ExampleFields, Row } from "../example.ts";
import { optionalLabel, optionalText, requireText, type Shape } from "../shape.ts";

/** Which column holds which field. */
export interface ColumnMap {
  readonly instruction: string;
  readonly input?: string;
  readonly output: string;
  readonly category?: string;
  readonly id?: string;
}

/** A shape in which every field is a column of its own; `input`, `category` and `id` may be absent or null. */
export function columnsShape(name: string, map: ColumnMap): Shape {
  return {
    name,
    columns: [map.instruction, map.input && `${map.input} (optional)`, map.output].filter(Boolean).join(", "),
    matches: (row) => map.instruction in row && map.output in row,
    read: (row) => readColumns(row, map),
  };
}

function readColumns(row: Row, map: ColumnMap): ExampleFields {
  return {
    instruction: requireText(row, map.instruction),
    input: (map.input === undefined ? undefined : optionalText(row, map.input)) ?? "",
    output: requireText(row, map.output),
    category: map.category === undefined ? undefined : optionalLabel(row, map.category),
    id: map.id === undefined ? undefined : optionalLabel(row, map.id),
  };
}
