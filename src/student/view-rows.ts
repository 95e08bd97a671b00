import type { ExampleFields } from "../dataset/example.ts";
import { createViewer, expectedScore, type StudentModel } from "./student.ts";
import { findUnlike } from "./unlike.ts";

/** A row as the student sees it. */
export interface ViewedRow extends ExampleFields {
  /** Whether it is a conversation of several turns. */
  readonly hasTurns: boolean;
}

/** The columns of {@link createRowsViewer}'s result; the probability of each score follows. */
export const viewColumns = { score: 0, fits: 1, unlike: 2, probabilities: 3 } as const;

/** The width of {@link createRowsViewer}'s result. */
export function viewWidth({ card }: StudentModel): number {
  return viewColumns.probabilities + card.scores.length;
}

/**
 * Creates a function that returns a student's view of rows, [row, {@link viewColumns}]: the expected score rounded to three decimals, the
 * probabilities to four, and in what the row is unlike the embedded student's.
 */
export function createRowsViewer(model: StudentModel): (rows: readonly ViewedRow[]) => Float64Array<ArrayBuffer> {
  const view = createViewer(model);
  const { scores } = model.card;
  const width = viewWidth(model);
  return (rows) => {
    const views = new Float64Array(rows.length * width);
    for (const [i, row] of rows.entries()) {
      const at = i * width;
      const { probabilities, fits } = view(row);
      views[at + viewColumns.score] = round(expectedScore(probabilities, scores), 1e3);
      views[at + viewColumns.fits] = round(fits, 1e4);
      views[at + viewColumns.unlike] = findUnlike(row, row.hasTurns);
      for (let c = 0; c < scores.length; c++) views[at + viewColumns.probabilities + c] = round(probabilities[c]!, 1e4);
    }
    return views;
  };
}

function round(value: number, steps: number): number {
  return Math.round(value * steps) / steps;
}
