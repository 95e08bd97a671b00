import { readLineBlocks } from "../files/line-blocks.ts";
import { readBytes } from "../files/read-bytes.ts";
import { tryParse } from "../files/try-parse.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import { createHash } from "node:crypto";
import { RunError } from "../errors.ts";
import { ratingStates, type Rating } from "./rating.ts";

/** One line of `ratings.jsonl`: a row and its rating. */
export type RatingLine = { readonly index: number; readonly id?: string | undefined; readonly hash: string } & Rating;

export interface RatingsWriter {
  write(line: RatingLine): Promise<void> | void;
  /** Writes out the lines so far, for readers of the unfinished file. */
  flush(): Promise<void>;
  /** Moves the finished file to its path and returns its SHA-256 and its size. */
  commit(): Promise<{ readonly ratingsHash: string; readonly ratingsBytes: number }>;
  discard(): Promise<void>;
}

/** Opens `ratings.jsonl` for writing; it appears under its name when it is complete. */
export function openRatingsWriter(path: string): RatingsWriter {
  const file = openAtomicFile(path);
  const sha = createHash("sha256");
  let ratingsBytes = 0;
  return {
    write(line) {
      const text = `${JSON.stringify(line)}\n`;
      sha.update(text);
      ratingsBytes += Buffer.byteLength(text);
      return file.write(text);
    },
    flush: () => file.flush(),
    async commit() {
      await file.commit();
      return { ratingsHash: sha.digest("hex"), ratingsBytes };
    },
    discard: () => file.discard(),
  };
}

/**
 * Reads all lines of a `ratings.jsonl`, in batches.
 *
 * @param sha256 the expected hash of the file, if known; checked when all is read
 * @param options.isUnfinished whether the file is still being written: an incomplete last line is then skipped
 * @throws RunError at an invalid line, or at the end if the file was changed
 */
export async function* readRatings(
  path: string,
  sha256?: string,
  { isUnfinished = false }: { readonly isUnfinished?: boolean } = {},
): AsyncGenerator<readonly RatingLine[]> {
  const sha = createHash("sha256");
  let count = 0;
  for await (const { text, isCutOff } of readLineBlocks(
    path,
    sha256 === undefined ? undefined : (bytes) => sha.update(bytes),
  )) {
    if (isCutOff) {
      if (isUnfinished) return;
      throw new RunError(`${path}:${count + 1}: the file ends in the middle of a line; rate the data again`);
    }
    const ratings = parseRatings(text, path, count);
    count += ratings.length;
    yield ratings;
  }
  if (sha256 !== undefined && sha.digest("hex") !== sha256) throw changed(path);
}

function changed(path: string): RunError {
  return new RunError(`${path}: expected the ratings that were written, got a changed file; rate the data again`);
}

/** The lines of a `ratings.jsonl` as bytes, for threads that parse them. */
export class RatingBytes {
  readonly #path: string;
  readonly #sha256: string;
  readonly #sha = createHash("sha256");
  readonly #chunks: AsyncGenerator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  /** @param sha256 the expected hash of the file */
  constructor(path: string, sha256: string) {
    this.#path = path;
    this.#sha256 = sha256;
    this.#chunks = readBytes({ path });
  }

  /** The next lines, in memory of their own, without the last line feed. @throws RunError when there are fewer */
  async take(lines: number): Promise<Buffer<ArrayBuffer>> {
    const taken: Buffer[] = [];
    for (let found = 0; ;) {
      let end = 0;
      while (found < lines && (end = this.#rest.indexOf(0x0a, end) + 1) > 0) if (++found === lines) break;
      if (found === lines) {
        taken.push(this.#rest.subarray(0, end - 1));
        this.#rest = this.#rest.subarray(end);
        return Buffer.from(new Uint8Array(Buffer.concat(taken)).buffer);
      }
      taken.push(Buffer.from(this.#rest)); // its memory is reused
      if (!(await this.#next())) throw changed(this.#path);
    }
  }

  /** @throws RunError when lines are left, or the file is not the expected one */
  async end(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#next()) || this.#sha.digest("hex") !== this.#sha256)
      throw changed(this.#path);
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    this.#rest = Buffer.alloc(0);
    if (done) return false;
    this.#sha.update(value);
    this.#rest = value;
    return true;
  }
}

/**
 * Parses whole lines, from line `before` + 1 on. Parsing them all at once is faster than one by one.
 *
 * @throws RunError at an invalid line
 */
export function parseRatings(text: string, path: string, before: number): RatingLine[] {
  let values: unknown[];
  try {
    values = JSON.parse(`[${text.replaceAll("\n", ",")}]`) as unknown[]; // an array, by its brackets
  } catch {
    values = text.split("\n").map((line) => tryParse(line));
  }
  values.forEach((value, i) => {
    const problem = findProblem(value, before + i);
    if (!problem) return;
    throw new RunError(
      `${path}:${before + i + 1}: expected ${problem}, got ${(JSON.stringify(value) ?? "something else").slice(0, 120)}; rate the data again`,
    );
  });
  return values as RatingLine[]; // every field was checked
}

/** What is wrong with a line; undefined when nothing is. */
function findProblem(value: unknown, index: number): string | undefined {
  if (typeof value !== "object" || value === null) return "a JSON object";
  const rating = value as Partial<RatingLine>; // checked field by field below
  if (rating.index !== index) return `"index" to be ${index}`;
  if (typeof rating.hash !== "string") return '"hash" to be text';
  if (!states.has(rating.state!)) return `"state" to be one of ${ratingStates.join(", ")}`;
  if (rating.state === "scored" && !Number.isFinite(rating.score)) return '"score" to be a number';
  return undefined;
}

const states: ReadonlySet<string> = new Set(ratingStates);
