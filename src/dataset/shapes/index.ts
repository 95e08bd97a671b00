import { UsageError } from "../../errors.ts";
import type { Row } from "../example.ts";
import type { Shape } from "../shape.ts";
import { columnsShape, type ColumnMap } from "./columns.ts";
import { conversationShape } from "./conversation.ts";

const columnMaps = {
  alpaca: { instruction: "instruction", input: "input", output: "output", category: "category", id: "id" },
  dolly: { instruction: "instruction", input: "context", output: "response", category: "category", id: "id" },
} satisfies Record<string, ColumnMap>;

/** The shapes that are detected from a row; add a new one here. The first that matches is the row's shape. */
const shapes: readonly Shape[] = [
  conversationShape("messages", "messages", "{role, content}"),
  conversationShape("sharegpt", "conversations", "{from, value}"),
  columnsShape("alpaca", columnMaps.alpaca),
  columnsShape("dolly", columnMaps.dolly),
];

export const shapeNames = shapes.map((shape) => shape.name);

export interface ShapeChoice {
  /** One of {@link shapeNames}; found from the first row when absent. */
  readonly shape?: string | undefined;
  /** Columns that hold fields under other names; they override the shape's: `{ instruction: "prompt" }`. */
  readonly map?: Partial<ColumnMap> | undefined;
}

/** The shape that the caller named; undefined to detect it from the data. @throws UsageError when there is no such shape */
export function chooseShape({ shape, map }: ShapeChoice): Shape | undefined {
  const named = shape === undefined ? undefined : shapes.find(({ name }) => name === shape);
  if (shape !== undefined && !named)
    throw new UsageError(`--shape: expected one of ${shapeNames.join(", ")}, got ${JSON.stringify(shape)}`);
  if (!map || Object.keys(map).length === 0) return named;
  if (shape === "messages" || shape === "sharegpt")
    throw new UsageError(`--map: expected a shape with a column for each field, got --shape ${shape}`);
  const base: ColumnMap = shape === "dolly" ? columnMaps.dolly : columnMaps.alpaca;
  const chosen = { ...base, ...map };
  return { ...columnsShape("mapped", chosen), map: chosen };
}

export function findShape(row: Row): Shape | undefined {
  return shapes.find((shape) => shape.matches(row));
}

/** The columns of all known shapes, for the error message when none fits. */
export function describeShapes(): string {
  return shapes.map((shape) => `${shape.columns} [${shape.name}]`).join("; ");
}
