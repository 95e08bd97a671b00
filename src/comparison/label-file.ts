import { closeSync, fsyncSync, openSync, readFileSync, statSync, truncateSync, writeSync } from "node:fs";
import * as z from "zod";
import { RunError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";

/*
 * One annotator's labels of one comparison: a file that only grows, a line a label or an undoing, each on the disk before it is answered.
 */

const labelChoices = ["A", "B", "tie", "skip"] as const;

const labelSchema = z.object({
  a: z.string(),
  b: z.string(),
  annotator: z.string(),
  set: z.string(),
  id: z.string(),
  /** Whose answer is better; `skip` where the annotator gave none. */
  label: z.enum(labelChoices),
  /** Whose answer stood on the left. */
  left: z.enum(["A", "B"]),
  /** Whether the pair had been shown before, to measure the annotator's consistency. */
  repeat: z.boolean(),
  note: z.string().optional(),
  at: z.string(),
  /** Time that the pair was on the screen, in milliseconds. */
  ms: z.number(),
});
const undoSchema = z.object({ undo: z.object({ set: z.string(), id: z.string(), repeat: z.boolean() }) });
const lineSchema = z.union([labelSchema, undoSchema]);

/** A label that an annotator gave, and did not take back. */
export type PairLabel = z.infer<typeof labelSchema>;
export type LabelLine = z.infer<typeof lineSchema>;

/** The key of a label: a pair, and whether it is shown again. */
export function labelKey({ set, id, repeat }: Pick<PairLabel, "set" | "id" | "repeat">): string {
  return JSON.stringify([set, id, repeat]);
}

/**
 * The labels of a file, in the order in which they were given, without those that were taken back. A last line that a killed process left
 * unfinished is no label.
 *
 * @throws RunError at a line that is none
 */
export function readLabelFile(path: string): PairLabel[] {
  const labels = new Map<string, PairLabel>();
  for (const [i, text] of wholeLines(readText(path)).entries()) {
    if (text.trim() === "") continue;
    const line = lineSchema.safeParse(tryParse(text));
    if (!line.success)
      throw new RunError(
        `${path}:${i + 1}: expected a label as alpagasus view --label writes it, got ${text.slice(0, 80)}`,
      );
    if ("undo" in line.data) labels.delete(labelKey(line.data.undo));
    else {
      labels.delete(labelKey(line.data)); // labelled again, it is the last one
      labels.set(labelKey(line.data), line.data);
    }
  }
  return [...labels.values()];
}

/** Whether a file begins as `view --label` writes it. */
export function isLabelFile(path: string): boolean {
  if (!path.endsWith(".jsonl") || !statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  const [first = ""] = wholeLines(readText(path));
  return labelSchema.safeParse(tryParse(first)).success;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return ""; // readFile fails with errors of this kind
    throw cause;
  }
}

function wholeLines(text: string): string[] {
  return text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
}

/** A file that labels are appended to. Only one process may have it open. */
export class LabelWriter implements Disposable {
  readonly #file: number;

  constructor(path: string) {
    const text = readText(path);
    const end = Buffer.byteLength(text.slice(0, text.lastIndexOf("\n") + 1));
    if (end < Buffer.byteLength(text)) truncateSync(path, end); // a killed process left it unfinished
    this.#file = openSync(path, "a");
  }

  /** Resolves when the line is on the disk. */
  append(line: LabelLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
