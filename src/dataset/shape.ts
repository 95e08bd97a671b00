import type { ExampleFields, Row } from "./example.ts";
import { kindOf } from "../errors.ts";

/** How a dataset lays out an example in its columns: the seam that every layout implements. */
export interface Shape {
  readonly name: string;
  /** Which column holds which field, where each has its own and somebody chose them. */
  readonly map?: Readonly<Record<string, string>>;
  /** The columns a row of this shape has, in words, for error messages. */
  readonly columns: string;
  /** Whether a row has the columns of this shape; says nothing about their content. */
  matches(row: Row): boolean;
  /** @throws FieldError when a column holds something else than it should */
  read(row: Row): ExampleFields;
}

/** A column that is not what its shape expects. Whoever knows the row's place turns it into a DataError. */
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

/** A name or label, text or a number. Anything else in a column that happens to have the name is no label. */
export function optionalLabel(row: Row, column: string): string | undefined {
  const value = row[column];
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}
