import { readBytes } from "../files/read-bytes.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import { createHash } from "node:crypto";
import { RunError } from "../errors.ts";
import { ratingStates, type Rating, type RatingState } from "./rating.ts";

/** One line of `ratings.jsonl`: which row, and its rating. */
export type RatingLine = { readonly index: number; readonly id?: string; readonly hash: string } & Rating;

export interface RatingsWriter {
  write(line: RatingLine): Promise<void> | void;
  /** Puts the finished file in its place and gives its SHA-256. */
  commit(): Promise<string>;
  discard(): Promise<void>;
}

/** Opens `ratings.jsonl` for writing; it appears under its name when it is complete. */
export function openRatingsWriter(path: string): RatingsWriter {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  return {
    write(line) {
      const text = `${JSON.stringify(line)}\n`;
      sha.update(text);
      return file.write(text);
    },
    async commit() {
      await file.commit();
      return sha.digest("hex");
    },
    discard: () => file.discard(),
  };
}

/** All lines of a `ratings.jsonl`, in batches. @throws RunError at a line that is not one of ours */
export async function* readRatings(path: string): AsyncGenerator<readonly RatingLine[]> {
  let rest = "";
  let line = 0;
  const decoder = new TextDecoder();
  for await (const chunk of readBytes({ path, gzipped: false })) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield lines.map((text) => parseLine(text, path, ++line));
  }
  if (rest.trim()) throw new RunError(`${path}:${line + 1}: the file ends in the middle of a line; rate the data again`);
}

function parseLine(text: string, path: string, line: number): RatingLine {
  const rating = parseObject(text) as Partial<RatingLine> | undefined; // checked field by field below
  const problem = !rating
    ? "a JSON object"
    : rating.index !== line - 1
      ? `"index" to be ${line - 1}`
      : typeof rating.hash !== "string"
        ? '"hash" to be text'
        : !ratingStates.includes(rating.state as RatingState) // any value may be asked for
          ? `"state" to be one of ${ratingStates.join(", ")}`
          : rating.state === "scored" && !Number.isFinite(rating.score)
            ? '"score" to be a number'
            : undefined;
  if (problem) throw new RunError(`${path}:${line}: expected ${problem}, got ${text.slice(0, 120)}; rate the data again`);
  return rating as RatingLine; // every field was checked
}

function parseObject(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
