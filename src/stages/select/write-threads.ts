import { availableParallelism } from "node:os";
import type { RowBlock } from "../../dataset/dataset.ts";
import type { SpareBuffers } from "../../dataset/record-source.ts";
import type { DatasetRecord } from "../../run/records/dataset.ts";
import { RatingBytes } from "../../run/ratings-file.ts";
import { idlestOf, startThread, type Thread } from "../../threads.ts";
import { type ArmFiles, type OpenArm, openArm, type WrittenRows } from "./arm-files.ts";
import type { Counts } from "./decide-rows.ts";
import type { ReasonDetail } from "../../selection/decision.ts";
import type { FateTable, RowFate } from "./fates.ts";
import type { BlockToWrite, WorkerStart, WrittenBlock } from "./write-worker.ts";

/*
 * Arms of large JSON Lines files are written by threads: this one cuts the data and the ratings into blocks of the same rows, each thread
 * decides the rows of a block and gives them back as bytes, and this one writes those in order. The files are those that one thread writes.
 */

/** Bytes of data from which on threads are worth their start: on two cores they lose a tenth at 36 MB, and are even at 64. */
const leastBytes = 2 ** 26;
const mostThreads = 4; // each has memory of its own; more were not tried
const blocksAhead = 2; // that a thread is given, so that it never waits

type Writer = Thread<BlockToWrite | "counts", WrittenBlock | Counts>;

/** Writes the arm in threads; undefined where one thread has to: what is wrong with the data is then told by that one. */
export async function writeInThreads(
  files: ArmFiles,
  record: DatasetRecord,
  ratingsPath: string,
  ratingsHash: string,
): Promise<WrittenRows | undefined> {
  const { dataset, options } = files;
  const count = Math.min(availableParallelism(), mostThreads);
  const bytes = dataset.files.reduce((sum, file) => sum + file.bytes, 0);
  const isSimple = options.by === undefined && options.watch === undefined;
  if (!dataset.lineBlocks || count < 2 || bytes < leastBytes || !isSimple) return undefined;
  const spare: SpareBuffers = [];
  const arm = openArm(files);
  const ratings = new RatingBytes(ratingsPath, ratingsHash);
  const { map, shape } = record;
  const start: WorkerStart = {
    shape: map ? { map } : { shape },
    table: shared(files.table),
    fullTraining: options.fullTraining,
  };
  const threads: Writer[] = [];
  try {
    for (let i = 0; i < count; i++) threads.push(startThread(new URL("./write-worker", import.meta.url), start));
    if (!(await writeBlocks(dataset.lineBlocks(spare), spare, ratings, ratingsPath, threads, arm, files)))
      return undefined;
    await arm.finish();
    return { decider: arm.decider, candidates: arm.candidates, watched: undefined };
  } finally {
    await Promise.all(threads.map((thread) => thread.stop()));
    await ratings.close();
    await arm.discard();
  }
}

/** False where something is wrong. @throws the reason to stop, where the caller gives one */
async function writeBlocks(
  blocks: AsyncIterable<RowBlock>,
  spare: SpareBuffers,
  ratings: RatingBytes,
  ratingsPath: string,
  threads: readonly Writer[],
  { decider, candidates, rows, decisions }: OpenArm,
  { table, options: { signal, onProgress } }: ArmFiles,
): Promise<boolean> {
  const underWay: { readonly index: number; readonly block: Promise<WrittenBlock | Counts> }[] = [];
  const writeNext = async () => {
    const { index, block } = underWay.shift()!;
    const { kept, decisions: lines, candidates: some, reasons } = (await block) as WrittenBlock; // what a block is answered with
    for (const reason of reasons) decider.reasons[reason] ??= 0; // in the order of the rows
    candidates.set(some, index);
    await rows.writeLines!(kept);
    spare.push(kept.buffer);
    await decisions.writeBytes(lines);
    onProgress?.({ stage: "select", doing: "writing", done: index + some.length, unit: "rows" });
  };
  try {
    for await (const { bytes, place, index, records } of blocks) {
      if (underWay.length >= threads.length * blocksAhead) await writeNext();
      const part = {
        data: bytes,
        ratings: await ratings.take(records),
        ratingsPath,
        place,
        index,
        fates: fatesWithin(table, index, records),
      };
      const block = idlestOf(threads).ask(part, [part.data.buffer, part.ratings.buffer]);
      block.catch(() => {}); // it is looked at in its turn
      underWay.push({ index, block });
    }
    while (underWay.length > 0) await writeNext();
    await ratings.end();
    for (const thread of threads) decider.add((await thread.ask("counts", [])) as Counts); // what it is answered with
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    if (isOfDisk(error)) throw error;
    return false;
  }
}

/** Whether an arm's file could not be written, which one thread could not either. */
function isOfDisk(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

/** The table with its lists in memory that threads share; what it says of single rows comes with their block. */
function shared(table: FateTable): FateTable {
  if (table.kind === "immediate") return { ...table, listed: table.listed && share(table.listed) };
  const { kept, standing, filtered, details } = table;
  return {
    ...table,
    kept: share(kept),
    standing: share(standing),
    filtered: filtered && share(filtered),
    rejected: new Map(),
    excluded: new Map(),
    details: details && new Map(),
  };
}

/** What the table says of single rows of a block. */
function fatesWithin(table: FateTable, from: number, count: number): BlockToWrite["fates"] {
  if (table.kind === "immediate") return undefined;
  const { rejected, excluded, details } = table;
  if (rejected.size + excluded.size + (details?.size ?? 0) === 0) return undefined;
  const others: [number, RowFate][] = [];
  const kept: [number, ReasonDetail][] = [];
  for (let row = from; row < from + count; row++) {
    const other = excluded.get(row) ?? rejected.get(row);
    if (other) others.push([row, other]);
    const detail = details?.get(row);
    if (detail) kept.push([row, detail]);
  }
  return { others, kept };
}

function share(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
