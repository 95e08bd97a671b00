/*
 * The program of a worker thread that views rows with a student: `view-threads` starts it.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StudentModel } from "./student.ts";
import { createRowsViewer, type ViewedRow } from "./view-rows.ts";

/** Rows as they are sent: buffers are handed over, where strings would be copied one by one. */
export interface PackedRows {
  /** The rows' texts one after the other, in UTF-16. */
  readonly texts: Uint8Array<ArrayBuffer>;
  /** [row, 4] Lengths of instruction, input and output, in UTF-16 units; 1 for a conversation of several turns, else 0. */
  readonly lengths: Int32Array<ArrayBuffer>;
}

/** What comes back. */
export interface PackedViews {
  readonly views: Float64Array<ArrayBuffer>;
  /** The buffer that the texts were in, to be used again. */
  readonly texts: Uint8Array<ArrayBuffer>;
}

const view = createRowsViewer(workerData as StudentModel);

parentPort?.on("message", ({ texts, lengths }: PackedRows) => {
  const views = view(unpack(texts, lengths));
  parentPort?.postMessage({ views, texts } satisfies PackedViews, [views.buffer, texts.buffer]);
});

function unpack(texts: Uint8Array<ArrayBuffer>, lengths: Int32Array): ViewedRow[] {
  const buffer = Buffer.from(texts.buffer);
  const rows: ViewedRow[] = [];
  let at = 0;
  const next = (length: number) => buffer.toString("utf16le", at, (at += 2 * length));
  for (let i = 0; i < lengths.length; i += 4)
    rows.push({
      instruction: next(lengths[i]!),
      input: next(lengths[i + 1]!),
      output: next(lengths[i + 2]!),
      hasTurns: lengths[i + 3] === 1,
    });
  return rows;
}
