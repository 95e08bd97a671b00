import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import * as z from "zod";
import { RunError } from "../errors.ts";
import { labelSampling } from "./label-sample.ts";
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
  /** Of the texts that were shown: it says whether the label is about the answers of today. */
  answers: z.string(),
  /** How the pairs were chosen. */
  by: z.enum(labelSampling),
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
  for (const [i, text] of wholeLines(readBytes(path)).entries()) {
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
  const [first = ""] = wholeLines(readBytes(path));
  return labelSchema.safeParse(tryParse(first)).success;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0); // readFile fails with errors of this kind
    throw cause;
  }
}

/** The lines of a file; a last one without its end counts where it is whole. */
function wholeLines(bytes: Buffer): string[] {
  const end = bytes.lastIndexOf(newline) + 1;
  const rest = bytes.toString("utf8", end);
  const lines = bytes.toString("utf8", 0, end).split("\n");
  return lineSchema.safeParse(tryParse(rest)).success ? [...lines, rest] : lines;
}

const newline = 10;

/** A file that labels are appended to. Only one process may have it open. */
export class LabelWriter implements Disposable {
  readonly #file: number;
  #size: number;

  constructor(path: string) {
    const bytes = readBytes(path);
    const end = bytes.lastIndexOf(newline) + 1;
    const isWhole = lineSchema.safeParse(tryParse(bytes.toString("utf8", end))).success;
    this.#file = openSync(path, "a");
    this.#size = isWhole ? bytes.length : end;
    if (this.#size < bytes.length) ftruncateSync(this.#file, this.#size); // a killed process left it unfinished
    if (isWhole) this.#write("\n"); // an editor has taken its end
  }

  /** Returns when the line is on the disk. @throws Error when it cannot be written; the file is then as it was */
  append(line: LabelLine): void {
    this.#write(`${JSON.stringify(line)}\n`);
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
      fsyncSync(this.#file);
      this.#size += bytes.length;
    } catch (cause) {
      ftruncateSync(this.#file, this.#size); // a part of a line would spoil the next one
      throw cause;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
