import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { StudentModel } from "./student.ts";
import type { ViewedRow } from "./view-rows.ts";
import type { PackedRows, PackedViews } from "./view-worker.ts";

/** As many threads as help beside the main one: to view rows takes about twice as long as to read and write them. */
export const threadCount = Math.min(availableParallelism() - 1, 3);
/** Blocks that a thread is given ahead, so that it never waits. */
export const blocksAhead = 3;

/** Threads that view rows with a student. */
export interface ViewThreads extends AsyncDisposable {
  /** What `createRowsViewer`'s function returns; undefined where all threads have enough to do. @throws what ended a thread */
  view(rows: readonly ViewedRow[]): Promise<Float64Array> | undefined;
}

/** Starts {@link threadCount} threads, each with a copy of the model. */
export function startViewThreads(model: StudentModel): ViewThreads {
  const pack = createPacker();
  const threads = Array.from({ length: threadCount }, () => startThread(model, pack));
  return {
    view(rows) {
      const idlest = threads.reduce((least, thread) => (thread.waiting() < least.waiting() ? thread : least));
      return idlest.waiting() < blocksAhead ? idlest.view(rows) : undefined;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.stop()));
    },
  };
}

function startThread(model: StudentModel, packer: ReturnType<typeof createPacker>) {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"; // its sources, or what was made of them
  const worker = new Worker(new URL(`./view-worker.${extension}`, import.meta.url), { workerData: model });
  const waiting: PromiseWithResolvers<Float64Array>[] = [];
  let end: Error | undefined;
  const stopAll = (error: Error) => {
    end ??= error;
    for (const { reject } of waiting.splice(0)) reject(end);
  };
  worker.on("message", ({ views, texts }: PackedViews) => {
    packer.takeBack(texts);
    waiting.shift()?.resolve(views); // in the order they were sent; after an error nobody waits
  });
  worker.on("error", (error: unknown) => stopAll(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => stopAll(new Error("a thread that rates rows ended")));
  return {
    waiting: () => waiting.length,
    view(rows: readonly ViewedRow[]): Promise<Float64Array> {
      if (end) return Promise.reject(end);
      const packed = packer.pack(rows);
      worker.postMessage(packed, [packed.texts.buffer, packed.lengths.buffer]);
      const result = Promise.withResolvers<Float64Array>();
      waiting.push(result);
      return result.promise;
    },
    stop: () => worker.terminate(),
  };
}

const leastBuffer = 2 ** 19; // bytes; a block of Alpaca's rows takes 180 KB

function createPacker() {
  const spare: Uint8Array<ArrayBuffer>[] = [];
  return {
    pack(rows: readonly ViewedRow[]): PackedRows {
      const lengths = new Int32Array(rows.length * 4);
      let characters = 0;
      for (const [i, { instruction, input, output, hasTurns }] of rows.entries()) {
        lengths[4 * i] = instruction.length;
        lengths[4 * i + 1] = input.length;
        lengths[4 * i + 2] = output.length;
        lengths[4 * i + 3] = hasTurns ? 1 : 0;
        characters += instruction.length + input.length + output.length;
      }
      const last = spare.pop();
      const texts =
        last && last.length >= 2 * characters ? last : new Uint8Array(Math.max(leastBuffer, 2 * characters));
      const buffer = Buffer.from(texts.buffer);
      let at = 0;
      for (const { instruction, input, output } of rows) {
        at += buffer.write(instruction, at, "utf16le");
        at += buffer.write(input, at, "utf16le");
        at += buffer.write(output, at, "utf16le");
      }
      return { texts, lengths };
    },
    /** Takes a buffer that is no longer needed. */
    takeBack: (texts: Uint8Array<ArrayBuffer>) => void spare.push(texts),
  };
}
