import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";

/**
 * Megabytes of a thread's young generation, in V8's terms of one of its halves. From V8's own 1 MB it grows only where rows live long, so
 * that threads collect garbage very often (some 1,600 times a thread, over 936,036 rows); 4 MB save a tenth of all processor time for some MB more, and 16 save no more.
 */
const nurseryMegabytes = 4;

/** A worker thread that answers questions in the order they come. */
export interface Thread<Question, Answer> {
  /** How many questions it has not answered yet. */
  waiting(): number;
  /** @param handOver buffers that are the thread's from now on @throws what ended the thread */
  ask(question: Question, handOver: readonly ArrayBuffer[]): Promise<Answer>;
  stop(): Promise<unknown>;
}

/**
 * Starts the program of a worker, which answers each message by one of its own.
 *
 * @param program its address without an extension, beside the file that asks: `new URL("./view-worker", import.meta.url)`
 * @param data what the program begins with (`workerData`)
 */
export function startThread<Question, Answer>(program: URL, data: unknown): Thread<Question, Answer> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"; // its sources, or what was made of them
  setFlagsFromString(`--min-semi-space-size=${nurseryMegabytes}`); // of heaps that are made from now on
  const worker = new Worker(new URL(`${program.href}.${extension}`), { workerData: data });
  const waiting: PromiseWithResolvers<Answer>[] = [];
  let end: Error | undefined;
  const stopAll = (error: Error) => {
    end ??= error;
    for (const { reject } of waiting.splice(0)) reject(end);
  };
  worker.on("message", (answer: Answer) => waiting.shift()?.resolve(answer)); // in the order they were asked; after an error nobody waits
  worker.on("error", (error: unknown) => stopAll(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => stopAll(new Error("a thread ended by itself")));
  return {
    waiting: () => waiting.length,
    ask(question, handOver) {
      if (end) return Promise.reject(end);
      worker.postMessage(question, handOver);
      const answer = Promise.withResolvers<Answer>();
      waiting.push(answer);
      return answer.promise;
    },
    stop: () => worker.terminate(),
  };
}

/** The one of several that has the least to do. */
export function idlestOf<Question, Answer>(threads: readonly Thread<Question, Answer>[]): Thread<Question, Answer> {
  return threads.reduce((least, thread) => (thread.waiting() < least.waiting() ? thread : least));
}
