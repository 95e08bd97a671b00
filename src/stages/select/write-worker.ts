/*
 * The program of a worker thread that decides rows and writes them as bytes: `write-threads` starts it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { hashExample } from "../../dataset/example.ts";
import { eachLineRecord } from "../../dataset/json/records.ts";
import type { Place } from "../../dataset/place.ts";
import { readExample } from "../../dataset/read-example.ts";
import { chooseShape, type ShapeChoice } from "../../dataset/shapes/index.ts";
import { parseRatings } from "../../run/ratings-file.ts";
import type { FullTraining } from "../../selection/what-if.ts";
import { type Counts, RowDecider } from "./decide-rows.ts";
import type { ReasonDetail } from "../../selection/decision.ts";
import type { FateTable, RowFate } from "./fates.ts";

/** What a thread begins with. */
export interface WorkerStart {
  readonly shape: ShapeChoice;
  readonly table: FateTable;
  readonly fullTraining: FullTraining | undefined;
}

/** Some rows of the data and their ratings. */
export interface BlockToWrite {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly ratings: Uint8Array<ArrayBuffer>;
  readonly ratingsPath: string;
  readonly place: Place;
  readonly index: number;
  /** Of single rows: what became of those that were left out, and what is told of kept ones. */
  readonly fates:
    | {
        readonly others: readonly (readonly [row: number, fate: RowFate])[];
        readonly kept: readonly (readonly [row: number, detail: ReasonDetail])[];
      }
    | undefined;
}

/** What comes back for a block, or at the end. */
export interface WrittenBlock {
  /** The kept rows with a line feed between them, in the memory of the data; empty when none is kept. */
  readonly kept: Uint8Array<ArrayBuffer>;
  readonly decisions: Uint8Array<ArrayBuffer>;
  readonly candidates: Uint8Array<ArrayBuffer>;
  /** Reasons that this thread had not met before, in the order of the rows. */
  readonly reasons: readonly string[];
}

const { shape: choice, table, fullTraining } = workerData as WorkerStart;
const shape = chooseShape(choice)!; // a run's record names it
const decider = new RowDecider(table, fullTraining);
const encoder = new TextEncoder();
const lineFeed = 0x0a;

parentPort?.on("message", (question: BlockToWrite | "counts") => {
  if (question === "counts") return parentPort?.postMessage(decider.counts() satisfies Counts, []);
  const written = write(question);
  parentPort?.postMessage(written, [written.kept.buffer, written.decisions.buffer, written.candidates.buffer]);
});

/** Puts other entries into a map of this thread's own copy of the table. */
function refill<Value>(map: ReadonlyMap<number, Value>, entries: readonly (readonly [number, Value])[]): void {
  const own = map as Map<number, Value>;
  own.clear();
  for (const [row, value] of entries) own.set(row, value);
}

/** @throws Error at a row that is not the one that was rated, or that may hide others */
function write({ data, ratings, ratingsPath, place, index, fates }: BlockToWrite): WrittenBlock {
  if (fates && table.kind === "picked") {
    refill(table.excluded, fates.others);
    if (table.details) refill(table.details, fates.kept);
  }
  const before = new Set(Object.keys(decider.reasons));
  const bytes = Buffer.from(data.buffer, 0, data.length);
  const lines = parseRatings(Buffer.from(ratings.buffer).toString(), ratingsPath, index);
  const candidates = new Uint8Array(lines.length);
  let end = 0;
  const decisions: string[] = [];
  let i = 0;
  eachLineRecord(bytes, place, (record, span) => {
    const example = readExample(record, index + i, shape);
    const rating = lines[i];
    if (record.hidesOthers || rating?.hash !== hashExample(example)) throw new Error("another row than was rated");
    const { isKept, isCandidate, line } = decider.decide({ example, rating });
    if (isKept) {
      bytes.copyWithin(end, span.start, span.end); // never over a row that is still to be read
      end += span.end - span.start;
      bytes[end++] = lineFeed;
    }
    if (isCandidate) candidates[i] = 1;
    decisions.push(line);
    i++;
  });
  return {
    kept: data.subarray(0, Math.max(0, end - 1)),
    decisions: encoder.encode(`${decisions.join("\n")}\n`),
    candidates,
    reasons: Object.keys(decider.reasons).filter((reason) => !before.has(reason)),
  };
}
