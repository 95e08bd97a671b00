import { setImmediate as nextTurn } from "node:timers/promises";
import type { Engine } from "./engine.ts";
import type { CallOutcome } from "./reply.ts";
import type { ModelRequest } from "./request.ts";

const openItems = 20_000; // how far results may run ahead of the slowest one
const callsAtOnce = 16; // new calls in a row; then the engine may send them, since making requests holds it up

/** The requests about one item, and how to read its result from their outcomes, which are in the same order. */
export interface Inquiry<Result> {
  readonly requests: readonly ModelRequest[];
  readonly read: (outcomes: readonly CallOutcome[]) => Result;
}

/**
 * Asks a model about each of many items. Yields the results in the items' order, as soon as they are ready. Memory is bounded
 * for any number of items.
 *
 * When the engine stops after it got replies, the remaining requests are `pending`.
 *
 * @throws what stopped the engine for good before it got a reply
 */
export async function* askInOrder<Item, Result extends object>(
  engine: Engine,
  items: AsyncIterable<readonly Item[]>,
  inquire: (item: Item) => Inquiry<Result>,
): AsyncGenerator<readonly Result[]> {
  const window = new Window<Result>();
  let isDone = false;
  let inARow = 0;
  try {
    for await (const batch of items) {
      for (const item of batch) {
        const { requests, read } = inquire(item);
        const calls = requests.map((request) => engine.call(request));
        const isStored = areSettled(calls);
        window.add(isStored ? read(calls) : Promise.all(calls.map(async (call) => call)).then(read));
        const isFull = engine.ready();
        if (!isFull && window.size < openItems) {
          if (isStored || ++inARow < callsAtOnce) continue;
          inARow = 0;
          await nextTurn();
          continue;
        }
        inARow = 0;
        await (isFull ?? window.first);
        yield window.take();
      }
      yield window.take();
      if (isHopeless(engine)) break;
    }
    while (window.size > 0) {
      await window.first;
      yield window.take();
    }
    isDone = true;
  } finally {
    if (!isDone) engine.stop(); // an error, or the caller stopped early: calls in flight are still paid for
    await engine.idle();
  }
  if (isHopeless(engine)) throw engine.failure!;
}

/** Whether the engine failed before it got any reply. After the first one, the results are worth keeping. */
function isHopeless(engine: Engine): boolean {
  return engine.failure !== undefined && !engine.hasReplied;
}

function areSettled(calls: readonly (CallOutcome | Promise<CallOutcome>)[]): calls is CallOutcome[] {
  return !calls.some((call) => call instanceof Promise);
}

/** Results in the items' order, some not ready yet. */
class Window<Result extends object> {
  #slots: { result: Result | undefined; readonly settled: Promise<unknown> | undefined }[] = [];
  #from = 0;

  get size(): number {
    return this.#slots.length - this.#from;
  }

  /** Resolves when the first result is ready. */
  get first(): Promise<unknown> | undefined {
    return this.#slots[this.#from]?.settled;
  }

  add(result: Result | Promise<Result>): void {
    if (!(result instanceof Promise)) {
      this.#slots.push({ result, settled: undefined });
      return;
    }
    const slot: { result: Result | undefined; settled: Promise<unknown> } = {
      result: undefined,
      settled: result.then((settled) => (slot.result = settled)),
    };
    this.#slots.push(slot);
  }

  /** Takes the results at the front that are ready. */
  take(): readonly Result[] {
    const taken: Result[] = [];
    for (let result; (result = this.#slots[this.#from]?.result); this.#from++) taken.push(result);
    if (this.#from > 1000) {
      this.#slots = this.#slots.slice(this.#from);
      this.#from = 0;
    }
    return taken;
  }
}
