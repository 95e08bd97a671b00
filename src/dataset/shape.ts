import type { ExampleFields, Row } from "./example.ts";
import { kindOf } from "../errors.ts";

/** How a dataset stores an example in its columns: the interface that every layout implements. */
export interface Shape {
  readonly name: string;
  /** Which column holds which field; only present where the user chose the columns (--map). */
  readonly map?: Readonly<Record<string, string>> | undefined;
  /** The columns of this shape in words, for error messages. */
  readonly columns: string;
  /** Whether a row has the columns of this shape; their content is not checked. */
  matches(row: Row): boolean;
  /** @throws FieldError when a column's content is not what the shape expects */
  read(row: Row): ExampleFields;
  /** Columns that it looks at, and passes over in this row since they mean something else. */
  passesOver?(row: Row): readonly string[];
}

/** A column is not what its shape expects. The caller that knows the row's place turns this into a DataError. */
export class FieldError extends Error {}

/** The text of a column. @throws FieldError when it holds anything but text */
export function requireText(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw new FieldError(`expected ${JSON.stringify(column)} to be a string, got ${kindOf(value)}`);
}

/** The text of a column that may be absent or null. */
export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === undefined || row[column] === null ? undefined : requireText(row, column);
}

/** A name or label, from text or a number. Any other value is ignored. */
export function optionalLabel(row: Row, column: string): string | undefined {
  const value = row[column];
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}
