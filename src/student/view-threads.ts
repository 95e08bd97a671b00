import { availableParallelism } from "node:os";
import { idlestOf, startThread } from "../threads.ts";
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
  const packer = createPacker();
  const threads = Array.from({ length: threadCount }, () =>
    startThread<PackedRows, PackedViews>(new URL("./view-worker", import.meta.url), model),
  );
  return {
    view(rows) {
      const idlest = idlestOf(threads);
      if (idlest.waiting() >= blocksAhead) return undefined;
      const packed = packer.pack(rows);
      return idlest.ask(packed, [packed.texts.buffer, packed.lengths.buffer]).then(({ views, texts }) => {
        packer.takeBack(texts);
        return views;
      });
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.stop()));
    },
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
