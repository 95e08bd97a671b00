/*
 * Over 300 lines: a turn touches the queue, the limiter, the store and the endings together, and splitting it further would
 * hide their order.
 */
import { Terminated, type AlpagasusError } from "../errors.ts";
import { admitCalls, createCall, type Admission, type PendingCall } from "./admission.ts";
import { attemptCall, passageOf } from "./attempt.ts";
import { AttemptHandler } from "./attempt-handler.ts";
import { CallQueue } from "./call-queue.ts";
import type { CallStore } from "./call-store.ts";
import type { StoredCall } from "./stored-call.ts";
import { CallTally, type CallsReport, type StopReason } from "./call-tally.ts";
import { checkEngineOptions, type EngineOptions } from "./engine-options.ts";
import { Endings, goneStore, outcomeOf, pendingDetails, unwritableStore, writing, type Ending } from "./endings.ts";
import {
  defaultConcurrency,
  defaultTimeoutMs,
  ProviderHealth,
  errorOf,
  type Stop,
  defaultGraceMs,
} from "./give-up-policy.ts";
import type { ChatModel } from "./chat-model.ts";
import { Gates } from "./gates.ts";
import { nanosPerUsd } from "./price.ts";
import type { CallOutcome } from "./reply.ts";
import { highestCost } from "./request-cost.ts";
import { requestKey, type ModelRequest } from "./request.ts";
import { UsageEstimator } from "./usage-estimator.ts";
import { Waiters } from "./waiters.ts";

export type { EngineOptions } from "./engine-options.ts";

const elsewhereMs = 100; // how often a call that another process makes is looked for

/**
 * Makes calls to one model: as fast as the provider allows, each only once, none over the budget, none lost.
 *
 * It works in turns. A turn is one transaction of the store that writes the outcomes that have arrived and claims the
 * calls that may go next; only when it is on disk are outcomes told and calls sent. So whatever kills the process, a
 * reply that was told is stored, and a call that was sent is known to have been.
 */
export class Engine {
  readonly model: ChatModel;
  readonly #options: EngineOptions;
  readonly #store: CallStore;
  readonly #gates: Gates;
  readonly #budget: number;
  readonly #random: () => number;
  readonly #inProgress = new Map<string, Promise<CallOutcome>>();
  readonly #retried = new Set<string>(); // calls that failed earlier
  /** Ends what is in flight, when it may not be waited for any longer. */
  readonly #abandon = new AbortController();
  readonly #queue = new CallQueue<PendingCall>();
  readonly #estimator = new UsageEstimator();
  readonly #health: ProviderHealth;
  readonly #handler: AttemptHandler;
  readonly #tally = new CallTally();
  readonly #waiters = new Waiters();
  readonly #endings: Endings;
  #turn: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped: StopReason | undefined;
  #failure: AlpagasusError | undefined;
  readonly #storeAtStart: { readonly version: number; readonly lastPlace: number };
  /** Whether other processes use the store. */
  #isShared = false;
  /** The lowest cost of any call so far. */
  #leastCost = Infinity;
  /** The most that any call so far can cost, in billionths of a US dollar. */
  dearestCost = 0;
  /** Whether a call was left out because the budget could not bear it. */
  #hasPassedOver = false;
  #failedWrites = 0;
  #isWritingLater = false;

  /** @throws UsageError when an option makes no sense, or there is a budget but no price */
  constructor(model: ChatModel, options: EngineOptions) {
    checkEngineOptions(model, options);
    this.model = model;
    this.#options = options;
    this.#store = options.store;
    this.#gates = new Gates(model, {
      concurrency: options.concurrency ?? defaultConcurrency,
      limits: options.limits,
    });
    this.#random = options.random ?? Math.random;
    this.#budget = options.budgetUsd === undefined ? Infinity : Math.floor(options.budgetUsd * nanosPerUsd);
    this.#storeAtStart = { version: this.#store.version, lastPlace: this.#store.lastPlace };
    this.#endings = new Endings({
      store: this.#store,
      purse: options.purse,
      model: model.identity,
      tally: this.#tally,
    });
    this.#health = new ProviderHealth(this.#store.hasReplyOf(model.identity));
    this.#handler = new AttemptHandler({
      model,
      options,
      budget: this.#budget,
      queue: this.#queue,
      endings: this.#endings,
      health: this.#health,
      estimator: this.#estimator,
      tally: this.#tally,
      gates: this.#gates,
      stopped: () => this.#stopped,
      hasFailed: () => this.#failure !== undefined,
      fail: (stop) => this.#fail(stop),
    });
    if (options.signal?.aborted) this.stop();
    else options.signal?.addEventListener("abort", this.stop, { once: true });
  }

  /** Sends nothing new from here on; what is in flight is waited for (see `idle`) and kept. */
  readonly stop = (): void => {
    const { signal, graceMs = defaultGraceMs } = this.#options;
    signal?.removeEventListener("abort", this.stop);
    if (signal?.reason instanceof Terminated) setTimeout(() => this.#abandon.abort(), graceMs).unref();
    this.#stop("interrupted");
  };

  /** Sends nothing from here on, for a reason that its user knows; what is stored is still found. */
  hold(
    reason: StopReason,
    { failure, hasReplied = false }: { failure?: AlpagasusError | undefined; hasReplied?: boolean } = {},
  ): void {
    this.#failure ??= failure;
    this.#health.hasReplied ||= hasReplied;
    this.#stop(reason);
  }

  /** Whether the model has replied to this engine. */
  get hasReplied(): boolean {
    return this.#health.hasReplied;
  }

  /** What stopped the engine for good, if anything did: a wrong key, a model that is not there, a provider that is gone. */
  get failure(): AlpagasusError | undefined {
    return this.#failure;
  }

  get report(): CallsReport {
    return {
      ...this.#tally.counts,
      paid: this.model.price ? this.#tally.paid : null,
      inFlight: this.#gates.inFlight,
      waiting: this.#queue.timed,
      trouble: this.#gates.describeTrouble(this.#tally, performance.now()),
      failure: this.#failure?.message,
      stopped: this.#stopped ?? (this.#hasPassedOver ? "budget" : this.#tally.inBatches > 0 ? "batches" : undefined),
    };
  }

  /** What a reader of the results needs to know of the model's servers, a line each. */
  notes(): string[] {
    return this.#gates.notes();
  }

  /** The most that one attempt at a request can cost, in billionths of a US dollar; 0 without a price. */
  highestCost(request: ModelRequest): number {
    return highestCost(this.model.price, request);
  }

  /** The outcome of a call: at once when it is in the store, else when it is on disk. Never rejects. */
  call(request: ModelRequest): CallOutcome | Promise<CallOutcome> {
    const key = requestKey(this.model.identity, request);
    const same = this.#inProgress.get(key);
    if (same) {
      this.#tally.shared++;
      return same;
    }
    const stored = this.#findStored(key);
    if (stored) {
      this.#tally[stored.place! > this.#storeAtStart.lastPlace ? "shared" : "stored"]++; // later: of an identical row
      return outcomeOf(stored);
    }
    if (this.#stopped) return { state: "pending", key, detail: pendingDetails[this.#stopped] };
    if (this.#options.retryFailed && this.#store.find(key)) this.#retried.add(key);
    const { promise, resolve } = Promise.withResolvers<CallOutcome>();
    this.#inProgress.set(key, promise);
    const call = createCall(key, request, this.model.price, (outcome) => {
      this.#inProgress.delete(key);
      resolve(outcome);
    });
    this.#leastCost = Math.min(this.#leastCost, call.highestCost);
    this.dearestCost = Math.max(this.dearestCost, call.highestCost);
    this.#queue.add(call);
    this.#scheduleTurn();
    return promise;
  }

  /** Waits while enough calls are queued; undefined when more are welcome. Callers that heed it use bounded memory. */
  ready(): Promise<void> | undefined {
    return this.#stopped || this.#queue.size <= 2 * this.#room ? undefined : this.#waiters.waitForRoom();
  }

  /** How many calls may be queued before no more are welcome: enough that some can wait for their time. */
  get #room(): number {
    return Math.max(64, 2 * (this.#options.concurrency ?? defaultConcurrency) * this.#gates.size);
  }

  /** Resolves when no call is in progress any more. */
  async idle(): Promise<void> {
    if (!this.#isIdle) await this.#waiters.waitForIdle();
  }

  get #isIdle(): boolean {
    return this.#gates.inFlight === 0 && this.#queue.isEmpty && this.#endings.isEmpty && !this.#handler.hasDoubtful;
  }

  #findStored(key: string): StoredCall | undefined {
    const stored = this.#store.find(key);
    const isRetried = stored?.state === "failed" && this.#options.retryFailed && !this.#retried.has(key);
    return isRetried ? undefined : stored;
  }

  // --- turns ---

  #scheduleTurn(): void {
    if (this.#isWritingLater) return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#takeTurn();
    });
  }

  /** Writes what has ended and claims what may go next, in one transaction; then tells outcomes and sends calls. */
  #takeTurn(): void {
    this.#handler.settleDoubtful(this.#gates.inFlight === 0 && this.#queue.isEmpty);
    const now = performance.now();
    const endings = this.#endings.takeAll();
    const candidates = this.#stopped ? [] : this.#queue.take(now, (call) => this.#tryEnter(call, now));
    if (endings.length > 0 || candidates.length > 0) {
      let admission: Admission;
      try {
        admission = this.#store.transact(() => {
          for (const ending of endings) ending.write();
          return this.#admit(candidates);
        });
      } catch (cause) {
        this.#writeLater(cause, endings, candidates);
        return;
      }
      this.#failedWrites = 0;
      for (const ending of endings) ending.tell();
      this.#actOn(admission, now);
    }
    this.#afterTurn(now);
  }

  #tryEnter(call: PendingCall, now: number): boolean {
    call.estimate = this.#estimateUsage(call);
    return this.#gates.tryEnter(call, now);
  }

  #estimateUsage({ bytes, request }: PendingCall) {
    return this.#estimator.estimate(bytes, request.sampling.maxOutputTokens);
  }

  #admit(calls: readonly PendingCall[]): Admission {
    if (calls.length > 0) this.#isShared ||= this.#store.version !== this.#storeAtStart.version; // from then on, others' replies may appear
    return admitCalls(calls, {
      store: this.#store,
      purse: this.#options.purse,
      budget: this.#budget,
      leastCost: this.#leastCost,
      findElsewhere: this.#isShared ? (key) => this.#findElsewhere(key) : undefined,
      claimant: this,
    });
  }

  /** What another process may have stored meanwhile. */
  #findElsewhere(key: string): StoredCall | undefined {
    const stored = this.#store.find(key);
    return stored?.state === "failed" && this.#options.retryFailed ? undefined : stored;
  }

  #actOn(admission: Admission, now: number): void {
    const { toSend, found, elsewhere, short, unaffordable, inBatches, isOverBudget } = admission;
    for (const { call, stored } of found) {
      this.#gates.withdraw(call);
      this.#tally.stored++;
      if (call.isClaimed) this.#endings.release(call, 0, () => call.finish(outcomeOf(stored)));
      else call.finish(outcomeOf(stored));
    }
    for (const call of elsewhere) {
      this.#gates.withdraw(call);
      this.#isShared = true;
      call.isClaimed = false;
      call.notBefore = now + elsewhereMs * (0.5 + this.#random());
      this.#queue.add(call);
    }
    for (const call of [...short, ...unaffordable, ...inBatches]) this.#gates.withdraw(call);
    this.#queue.putBack(short);
    for (const call of unaffordable) {
      this.#hasPassedOver = true;
      this.#endings.leavePending(call, 0, "unaffordable");
    }
    for (const call of inBatches) {
      this.#tally.inBatches++;
      this.#endings.leavePending(call, 0, "batches");
    }
    for (const call of toSend) {
      call.isClaimed = true;
      void this.#attempt(call);
    }
    if (isOverBudget) this.#stop("budget");
    else if (found.length + elsewhere.length + unaffordable.length + inBatches.length > 0) this.#scheduleTurn(); // their places are free
  }

  #afterTurn(now: number): void {
    const hasRoom = this.#stopped !== undefined || this.#queue.size <= this.#room;
    this.#waiters.wake({ hasRoom, isIdle: this.#isIdle });
    if (!this.#stopped && !this.#queue.isEmpty)
      this.#fail(
        goneStore(this.#store) ?? this.#gates.whyHopeless(now, this.#health.hasReplied, this.#tally.lastFailure),
      );
    if (this.#turn || this.#stopped) return;
    clearTimeout(this.#timer);
    const at = this.#nextTurnAt(now);
    if (at !== undefined)
      this.#timer = setTimeout(() => this.#scheduleTurn(), Math.min(2 ** 31 - 1, Math.max(1, at - now)));
  }

  /** When the next call may go, if no other call's end starts a turn before. */
  #nextTurnAt(now: number): number | undefined {
    let at = Infinity;
    for (const call of this.#queue.candidates()) {
      const opens = this.#gates.opensAt(this.#estimateUsage(call), now);
      if (opens !== undefined) at = Math.min(at, Math.max(call.notBefore, opens));
    }
    if (at === Infinity) return undefined;
    return at > now ? at : now + elsewhereMs; // it could go, but its money is reserved
  }

  // --- attempts ---

  async #attempt(call: PendingCall): Promise<void> {
    const enteredAt = performance.now();
    if (call.attempts++ === 0) call.firstSentAt = enteredAt;
    this.#tally.attempts++;
    const gate = call.gate!; // it has a place
    const passage = { enteredAt, estimate: call.estimate };
    const attempt = await attemptCall(
      gate.model,
      call.request,
      this.#options.timeoutMs ?? this.model.timeoutMs ?? defaultTimeoutMs,
      this.#abandon.signal,
    );
    const now = performance.now();
    this.#gates.leave(gate, attempt, { ...passage, ...passageOf(attempt, this.#health.hasAnswered) }, now);
    if ("reply" in attempt) this.#handler.storeReply(call, attempt.reply, now - enteredAt);
    else this.#handler.handleFailure(call, attempt, now);
    this.#scheduleTurn();
  }

  // --- stopping ---

  #fail(stop: Stop | undefined): void {
    if (!stop || this.#failure) return;
    this.#failure = errorOf(this.model, stop);
    this.#stop("failure");
  }

  #stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    clearTimeout(this.#timer);
    for (const call of this.#queue.drain()) this.#endings.leavePending(call, 0, reason);
    this.#scheduleTurn();
  }

  /** The store cannot be written: sends nothing more, keeps in memory what was paid for, and tries again for a while. */
  #writeLater(cause: unknown, endings: readonly Ending[], candidates: readonly PendingCall[]): void {
    for (const call of candidates) {
      this.#gates.withdraw(call);
      if (!call.isClaimed) this.#store.forget(call.key, this);
    }
    this.#queue.putBack(candidates);
    this.#endings.putBack(endings);
    this.#failure ??= unwritableStore(this.#store, cause);
    this.#stop("failure");
    clearImmediate(this.#turn);
    this.#turn = undefined;
    if (++this.#failedWrites <= writing.tries) {
      this.#isWritingLater = true;
      setTimeout(() => {
        this.#isWritingLater = false;
        this.#scheduleTurn();
      }, writing.againMs);
      return;
    }
    const lost = this.#endings.takeAll();
    this.#failure = unwritableStore(this.#store, cause, lost.filter(({ isReply }) => isReply).length);
    for (const { call } of lost) call.finish({ state: "pending", key: call.key, detail: pendingDetails.failure });
    this.#afterTurn(performance.now());
  }
}
