import { UsageError, type AlpagasusError } from "../../errors.ts";
import { formatCount, formatDuration } from "../../format.ts";
import type { OpenBatch } from "./batch-book.ts";
import { BatchContext, type BatchAskerOptions } from "./batch-context.ts";
import { LostBatches } from "./find-lost.ts";
import { FollowUp } from "./follow-up.ts";
import { HandIn } from "./hand-in.ts";
import { looksBeforeGone, pollDelay } from "./policy.ts";
import { unwritableStore } from "../endings.ts";
import { isOutOfRoom } from "../spare-room.ts";
import type { CallsReport, StopReason } from "../call-tally.ts";
import type { ChatModel } from "../chat-model.ts";
import type { ModelRequest } from "../request.ts";

export type { BatchAskerOptions, BatchClock } from "./batch-context.ts";

/** State of the batches, for a progress line. */
export interface BatchProgress {
  /** Submitted calls that have an outcome now. */
  readonly done: number;
  readonly total: number;
  /** `3 batches under way, the oldest for 12 min` */
  readonly note: string;
}

/**
 * Makes calls in batches, and stores their replies under the same keys as direct calls. The store records a batch from before
 * its submission until its last outcome is stored, so that any later process can continue; `docs/batches.md` describes every
 * state. Ended batches are fetched before new ones are submitted.
 */
export class BatchAsker {
  readonly #context: BatchContext;
  readonly #handIn: HandIn;
  readonly #followUp: FollowUp;
  /** By batch: consecutive looks that found a problem. */
  readonly #problems = new Map<string, number>();
  /** By batch: when waiting for it began, by `clock`. */
  readonly #waitedSince = new Map<string, number>();

  /** @throws UsageError when the model has no batches, or there is a budget and no price */
  constructor(model: ChatModel, options: BatchAskerOptions) {
    if (!model.batches)
      throw new UsageError(
        `--batch: expected a model of a provider with batches (openai:, anthropic:, google:), got ${model.name}; leave --batch out`,
      );
    if (options.budgetUsd !== undefined && !model.batches.price)
      throw new UsageError(
        `--budget: expected a model whose price is known, got ${model.name}; give its price with --price INPUT/OUTPUT (US dollars for a million tokens, in batches)`,
      );
    this.#context = new BatchContext(model, model.batches, options);
    const lost = new LostBatches(this.#context);
    this.#handIn = new HandIn(this.#context, lost);
    this.#followUp = new FollowUp(this.#context, this.#handIn, lost);
  }

  /** The error that stopped it for good, if any. */
  get failure(): AlpagasusError | undefined {
    return this.#context.failure;
  }

  get hasReplied(): boolean {
    return this.#context.hasReplied;
  }

  /** Why calls are left over; undefined when none are. */
  get stopped(): StopReason | undefined {
    return this.#context.stopped;
  }

  get report(): Omit<CallsReport, "stored" | "shared"> {
    const { tally, batches, failure, stopped } = this.#context;
    const left = this.#awaited.reduce((sum, batch) => sum + batch.left, 0);
    const { stored: _, shared: __, ...counts } = tally.counts;
    return {
      ...counts,
      paid: batches.price || counts.paid > 0 ? counts.paid : null,
      inFlight: left,
      inBatches: left,
      waiting: 0,
      failure: failure?.message,
      stopped,
    };
  }

  /** Open batches that hold calls this command needs. */
  get #awaited(): OpenBatch[] {
    return this.#context.open().filter(({ id }) => this.#context.awaited.has(id));
  }

  /** Fetches this model's ended batches, whichever process submitted them, without waiting. Never throws. */
  async fetchEnded(): Promise<void> {
    await this.#whileWritable(() => this.#lookAtAll());
    this.#context.stopped = undefined; // fetching alone reports no problem
    this.#context.failure = undefined;
  }

  /**
   * Makes the calls that are not in the store, and waits for them.
   *
   * @param requests gives all requests, from the beginning each time it is called
   * @throws whatever `requests` throws; provider errors, and a store without room, are in `failure`
   */
  ask(
    requests: () => AsyncIterable<readonly ModelRequest[]>,
    onProgress?: (progress: BatchProgress) => void,
  ): Promise<void> {
    return this.#whileWritable(() => this.#ask(requests, onProgress));
  }

  /** Stops where the store has no room: what is at the provider stays there, and is fetched by the next command. */
  async #whileWritable(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
      this.#context.failure ??= unwritableStore(this.#context.store, error);
      this.#context.stopped ??= "failure";
    }
  }

  async #ask(
    requests: () => AsyncIterable<readonly ModelRequest[]>,
    onProgress?: (progress: BatchProgress) => void,
  ): Promise<void> {
    const context = this.#context;
    const { clock, options } = context;
    let elsewhere = 0;
    context.isPassDue = true;
    while (!context.isInterrupted()) {
      const before = context.open().length;
      await this.#lookAtAll();
      if (context.isInterrupted()) break;
      const hasEnded = context.open().length < before;
      if (elsewhere > 0 || (hasEnded && (this.#handIn.isOverBudget || this.#handIn.isQueueFull)))
        context.isPassDue = true;
      const isHandingIn = context.isPassDue && clock.now() >= context.notBefore;
      if (isHandingIn) elsewhere = await this.#handInMore(requests);
      this.#show(onProgress);
      if (context.isInterrupted()) break;
      if (isHandingIn && context.isPassDue && clock.now() >= context.notBefore) continue;
      const awaited = this.#awaited;
      if (!context.isPassDue && elsewhere === 0 && awaited.every((batch) => this.#isGone(batch))) {
        this.#finish(awaited);
        break;
      }
      if (options.wait === false) {
        this.#leave(awaited);
        break;
      }
      const pollMs = pollDelay(this.#waitedFor(awaited));
      await context.sleep(context.isPassDue ? Math.min(pollMs, Math.max(0, context.notBefore - clock.now())) : pollMs);
    }
    if (context.stopped === "failure") await this.#lookAtAll(); // results of batches that ended meanwhile must not expire
  }

  /** Submits what queue and budget allow, then checks all batches. Returns how many calls other processes are making. */
  async #handInMore(requests: () => AsyncIterable<readonly ModelRequest[]>): Promise<number> {
    const context = this.#context;
    const elsewhere = await this.#handIn.pass(requests);
    const before = context.open().length;
    if (!context.isInterrupted()) await this.#lookAtAll();
    if (context.open().length < before && (this.#handIn.isOverBudget || this.#handIn.isQueueFull))
      context.isPassDue = true;
    return elsewhere;
  }

  /** Checks every open batch of the model, whichever process submitted it. */
  async #lookAtAll(): Promise<void> {
    for (const { id } of this.#context.open()) {
      if (this.#context.options.signal?.aborted) return;
      const batch = this.#context.find(id); // its current state
      if (batch) await this.#followUp.look(batch);
    }
  }

  /** How long the longest-awaited of these has been waited for here, in milliseconds. */
  #waitedFor(batches: readonly OpenBatch[]): number {
    const now = this.#context.clock.now();
    const since = batches.map(({ id }) => {
      if (!this.#waitedSince.has(id)) this.#waitedSince.set(id, now);
      return this.#waitedSince.get(id)!;
    });
    return now - Math.min(now, ...since);
  }

  /** Whether several looks in a row could not fetch a batch; without waiting, one look is enough. */
  #isGone({ id, problem }: OpenBatch): boolean {
    if (problem !== null && this.#context.options.wait === false) return true;
    const times = problem === null ? 0 : (this.#problems.get(id) ?? 0) + 1;
    this.#problems.set(id, times);
    return times >= looksBeforeGone;
  }

  /** Ends when nothing is left to wait for; batches that cannot be fetched make it a failure. */
  #finish(gone: readonly OpenBatch[]): void {
    if (this.#handIn.isOverBudget) this.#context.stopped = "budget";
    if (gone.length === 0) return;
    const names = gone.map(({ id, providerId }) => providerId ?? id);
    const calls = gone.reduce((sum, { left }) => sum + left, 0);
    this.#context.fail(
      `${formatCount(calls)} calls are in ${gone.length === 1 ? "a batch that cannot be fetched" : `${formatCount(gone.length)} batches that cannot be fetched`}: ${gone.map(({ problem }, i) => `${names[i]} (${problem})`).join(", ")}`,
      false,
      `use the key that they were submitted with, or give them up with alpagasus batches --forget ${names.join(" ")}`,
    );
  }

  /** Ends without waiting; a later command continues with the rest. */
  #leave(awaited: readonly OpenBatch[]): void {
    const { troubles } = this.#context;
    if (awaited.length > 0) this.#context.stopped = "batches";
    else
      this.#context.fail(
        `the provider did not accept the batch (${troubles.room ?? troubles.answers ?? "the provider takes none now"})`,
        false,
        "run the same command again later",
      );
  }

  #show(onProgress: ((progress: BatchProgress) => void) | undefined): void {
    const { tally, troubles } = this.#context;
    const awaited = this.#awaited;
    const left = awaited.reduce((sum, batch) => sum + batch.left, 0);
    const oldest = Math.min(...awaited.map(({ begunAt }) => begunAt));
    const underWay =
      awaited.length === 0
        ? "no batch under way"
        : `${formatCount(awaited.length)} ${awaited.length === 1 ? "batch" : "batches"} under way, the oldest for ${formatDuration(Math.max(0, Date.now() - oldest))}`;
    onProgress?.({
      done: tally.made,
      total: tally.made + left,
      note: [underWay, ...Object.values(troubles)].join("; "),
    });
  }
}
