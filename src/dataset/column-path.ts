import type { Row } from "./example.ts";

/** The value of a column or of a nested field: `score`, or `scores.quality` unless a column has that exact name. */
export function valueAt(row: Row, path: string): unknown {
  if (Object.hasOwn(row, path)) return row[path];
  let value: unknown = row;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    if (!Object.hasOwn(value, part)) return undefined;
    value = (value as Row)[part]; // an object read from a file
  }
  return value;
}
