import { randomUUID } from "node:crypto";
import { formatCount } from "../../format.ts";
import { describeWarning, toCallOptions } from "../ask-model.ts";
import { highestCost } from "../request-cost.ts";
import { promptBytes, requestKey, type ModelRequest } from "../request.ts";
import type { BatchContext } from "./batch-context.ts";
import { isRefusal } from "./batch-failure.ts";
import type { BatchCall } from "./batch-book.ts";
import type { LostBatches } from "./find-lost.ts";
import {
  bytesAround,
  bytesShare,
  defaultBatchSize,
  isQueueFull,
  isTooLarge,
  leastRoomShare,
  mostTries,
  mostUnknownStarts,
  queueDelayMs,
  retryDelay,
  startTimeoutMs,
} from "./policy.ts";

type Chunk = Map<string, { readonly call: BatchCall; readonly request: ModelRequest }>;

/** Result of a submission. `later`: refused for now, or not confirmed. `stopped`: refused for good. */
type Start = "taken" | "later" | "stopped";

/** Submits calls in batches, as many at a time as the provider, its queue and the budget allow. */
export class HandIn {
  readonly #context: BatchContext;
  readonly #lost: LostBatches;
  readonly #batchSize: number;
  /** Whether calls were left out because too little of the budget is free. */
  isOverBudget = false;
  /** Whether calls wait for room in the provider's queue. */
  isQueueFull = false;
  #refusals = 0;
  #unknownStarts = 0;

  constructor(context: BatchContext, lost: LostBatches) {
    this.#context = context;
    this.#lost = lost;
    const { batchSize } = context.options;
    this.#batchSize = Math.min(batchSize ?? defaultBatchSize, context.batches.mostCalls);
  }

  /** Submits every call that is neither stored nor in a batch. Returns how many calls other processes are making. */
  async pass(requests: () => AsyncIterable<readonly ModelRequest[]>): Promise<number> {
    const { model, batches } = this.#context;
    this.#context.isPassDue = false;
    this.isOverBudget = false;
    this.isQueueFull = false;
    let chunk: Chunk = new Map();
    let bytes = 0;
    let elsewhere = 0;
    let room = this.#room();
    const flush = async () => {
      if (chunk.size > 0) elsewhere += await this.#handInOne(chunk);
      chunk = new Map();
      bytes = 0;
      room = this.#room();
    };
    const isOver = () =>
      this.#context.isInterrupted() || this.isOverBudget || this.isQueueFull || this.#context.isPassDue;
    for await (const some of requests()) {
      for (const request of some) {
        const key = requestKey(model.identity, request);
        if (chunk.has(key) || !this.#isToBeAsked(key)) continue;
        const size = Buffer.byteLength(JSON.stringify(this.#callOptions(request))) + bytesAround; // all that is sent: reply schemas too
        if (chunk.size >= room || (chunk.size > 0 && bytes + size > batches.mostBytes * bytesShare)) await flush();
        if (isOver()) return elsewhere;
        if (room < 1) {
          this.isQueueFull = true;
          return elsewhere;
        }
        bytes += size;
        const promptSize = promptBytes(request);
        const reserved = highestCost(batches.price, request, promptSize);
        chunk.set(key, { request, call: { key, reserved, promptBytes: promptSize } });
      }
    }
    if (!isOver()) await flush();
    return elsewhere;
  }

  /** Most calls for the next batch; 0 while the queue has too little room to be worth one. */
  #room(): number {
    const { batch, queue } = this.#context.limits;
    const most = Math.min(this.#batchSize, batch.value);
    if (queue.value === Infinity) return most;
    const inQueue = this.#inQueue();
    const free = queue.value - inQueue;
    return inQueue > 0 && free < Math.min(most, leastRoomShare * queue.value) ? 0 : Math.min(most, free);
  }

  #inQueue(): number {
    const { ended } = this.#context;
    return this.#context
      .open()
      .reduce((sum, { id, left, problem }) => sum + (problem === null && !ended.has(id) ? left : 0), 0);
  }

  #isToBeAsked(key: string): boolean {
    const { store, awaited, settled, options } = this.#context;
    const batch = store.batches.batchOf(key);
    if (batch !== undefined) {
      awaited.add(batch);
      return false;
    }
    const state = store.stateOf(key);
    if (state === undefined) return true;
    return state === "failed" && (options.retryFailed ?? false) && !settled.has(key);
  }

  /** Submits one batch: calls that no other process is making and that fit the budget. Returns how many others are making. */
  async #handInOne(chunk: Chunk): Promise<number> {
    const { store, model, options, batches, awaited, account } = this.#context;
    const id = randomUUID();
    const taken: BatchCall[] = [];
    let elsewhere = 0;
    const price = batches.price && {
      input: batches.price.inputUsdPerMillion,
      output: batches.price.outputUsdPerMillion,
    };
    store.transact(() => {
      const { paid, perhapsPaid, reserved } = store.purse(options.purse);
      let free = this.#context.budget - paid - perhapsPaid - reserved;
      for (const [key, { call }] of chunk) {
        if (!this.#isToBeAsked(key)) continue;
        if (store.isClaimed(key)) elsewhere++;
        else if (call.reserved > free) this.isOverBudget = true;
        else {
          taken.push(call);
          free -= call.reserved;
        }
      }
      if (taken.length > 0)
        store.batches.begin({ id, model: model.identity, purse: options.purse, account, price: price ?? null }, taken);
    });
    if (taken.length === 0) return elsewhere;
    awaited.add(id);
    this.#context.queuedWith.set(id, this.#inQueue());
    const calls = taken.map(({ key }) => ({ key, request: chunk.get(key)!.request }));
    const end = await this.#start(id, calls);
    if (end === "taken") this.#context.tally.attempts += taken.length;
    else this.#context.isPassDue = true;
    return elsewhere;
  }

  async #start(id: string, calls: readonly { readonly key: string; readonly request: ModelRequest }[]): Promise<Start> {
    const { store, batches, tally } = this.#context;
    const { transport } = batches;
    const send = () => store.transact(() => store.batches.sent(id, transport?.providerNow() ?? 0));
    if (transport) transport.onSend.set(id, send);
    else send();
    store.batches.beingSent.add(id);
    try {
      const started = await batches.api.doStartBatch({
        requests: calls.map(({ key, request }) => ({
          id: key,
          type: "text",
          modelId: batches.modelId,
          options: this.#callOptions(request),
        })),
        abortSignal: AbortSignal.timeout(startTimeoutMs), // not the user's signal: once sent, the batch's id is needed
        ...(transport && { headers: { [transport.markHeader]: id } }),
      });
      store.transact(() => store.batches.handedIn(id, started.batchId));
      for (const { warning } of started.warnings) tally.warnings.add(describeWarning(warning));
      this.#refusals = 0;
      this.#unknownStarts = 0;
      delete this.#context.troubles.room;
      return "taken";
    } catch (error) {
      return await this.#meet(id, calls.length, error);
    } finally {
      store.batches.beingSent.delete(id);
      transport?.onSend.delete(id);
    }
  }

  /** Handles a failed submission: the batch was refused, or it is unknown whether it was accepted. */
  async #meet(id: string, calls: number, error: unknown): Promise<Start> {
    const { store } = this.#context;
    const failure = this.#context.readFailure(error);
    const status = (error as { statusCode?: unknown } | null)?.statusCode;
    const isUnsent = this.#context.batches.transport !== undefined && this.#context.find(id)?.sentAt === null;
    if (!isUnsent && !isRefusal(error, failure)) {
      this.#context.troubles.room = `the provider has not confirmed a batch of ${formatCount(calls)} calls (${failure.detail}); they are held until that is clear`;
      await this.#lost.look(id);
      if (this.#context.find(id)?.providerId != null) return "taken";
      if (++this.#unknownStarts >= mostUnknownStarts)
        this.#context.fail(
          failure.detail,
          false,
          "run the same command again later; it searches for what was submitted",
        );
      else this.#waitFor(this.#unknownStarts, failure.kind === "retry" ? failure.retryAfterMs : undefined);
      return "later";
    }
    store.transact(() => store.batches.end(id, failure.detail)); // certainly not created: frees its calls and their money
    const text = failure.detail;
    if (isQueueFull(text) && (failure.kind === "retry" || failure.kind === "doubtful" || failure.kind === "state")) {
      this.refuse(id, calls, text);
      if (failure.kind === "retry" && failure.retryAfterMs !== undefined) this.#waitFor(1, failure.retryAfterMs);
      return "later";
    }
    if (isTooLarge(typeof status === "number" ? status : undefined, text) && calls > 1) {
      this.#context.limits.batch.refused(calls);
      return "later";
    }
    if (failure.kind === "retry") {
      this.#context.troubles.room = text;
      const mayWait = this.#context.options.wait !== false && (this.#context.hasReplied || !failure.isUnreachable);
      if (++this.#refusals < mostTries || mayWait) {
        this.#waitFor(this.#refusals, failure.retryAfterMs);
        return "later";
      }
    }
    this.#context.fail(`the provider did not accept the batch (${text})`, failure.kind === "stop" && failure.isUsage);
    return "stopped";
  }

  /** Lowers the queue limit after the provider's queue was full, so that later batches are smaller. */
  refuse(id: string, calls: number, why: string): void {
    const { limits, queuedWith, clock, troubles } = this.#context;
    const others = this.#inQueue();
    if (others === 0 && calls <= 1) this.#context.notBefore = clock.now() + queueDelayMs; // full of batches that are not ours
    limits.queue.refused(Math.min(queuedWith.get(id) ?? Infinity, others + calls));
    troubles.room = why;
    this.#context.isPassDue = true;
  }

  #waitFor(attempt: number, retryAfterMs: number | undefined): void {
    this.#context.notBefore = this.#context.clock.now() + retryDelay(attempt, retryAfterMs);
  }

  #callOptions(request: ModelRequest) {
    const { model, batches } = this.#context;
    const { abortSignal: _, headers: __, ...options } = toCallOptions(model, request);
    const names = new Set([...Object.keys(options.providerOptions ?? {}), ...Object.keys(batches.options ?? {})]);
    if (names.size === 0) return options;
    const merged = [...names].map((name) => [name, { ...batches.options?.[name], ...options.providerOptions?.[name] }]);
    return { ...options, providerOptions: Object.fromEntries(merged) as NonNullable<typeof options.providerOptions> };
  }
}
