import { csvTable } from "./csv-table.ts";
import type { LabelsRead } from "../page/people-labels.ts";

const columns = ["a", "b", "annotator", "set", "id", "label", "winner", "repeat", "left", "note", "at", "ms"] as const;

/** All labels as a table: a row a label, skipped ones included. `label` is A or B as in the comparison, `winner` the arm's name. */
export function exportLabels({ a, b, annotators }: LabelsRead, format: "csv" | "json"): string {
  const rows = annotators.flatMap(({ labels }) =>
    labels.map(({ annotator, set, id, label, repeat, left, note, at, ms }) => {
      const winner = label === "A" ? a : label === "B" ? b : label;
      return { a, b, annotator, set, id, label, winner, repeat: String(repeat), left, note, at, ms };
    }),
  );
  return format === "json" ? `${JSON.stringify(rows, null, 2)}\n` : csvTable(columns, rows);
}

/** Whether a text is what `exportLabels` made. */
export function isExport(text: string): boolean {
  return text.startsWith(columns.join(",")) || /^\[\s*(\{\s*"a":|\])/.test(text);
}
