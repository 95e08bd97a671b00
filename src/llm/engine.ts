import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import { CallQueue } from "./call-queue.ts";
import type { CallStore, StoredCall } from "./call-store.ts";
import { askModel } from "./ask-model.ts";
import { readFailure, type Failure } from "./failure.ts";
import { Gate, type Estimate, type Limits } from "./gate.ts";
import { readLimits } from "./headers.ts";
import type { ChatModel } from "./open-model.ts";
import { nanosPerUsd } from "./price.ts";
import type { CallOutcome, Reply, Usage } from "./reply.ts";
import { promptBytes, requestKey, type ModelRequest } from "./request.ts";

export interface EngineOptions {
  readonly store: CallStore;
  /** What the calls are made for; a budget holds over everything that was ever paid under this name. */
  readonly purse: string;
  /** The most calls in flight at a time. */
  readonly concurrency?: number;
  readonly limits?: Limits;
  /** US dollars that may be spent from the purse, by all processes together. */
  readonly budgetUsd?: number;
  /** How long one attempt may take. */
  readonly timeoutMs?: number;
  /** How often a call is tried that fails for other reasons than the provider's load. */
  readonly maxAttempts?: number;
  /** Ask again for calls that failed earlier; other outcomes stay what they are. */
  readonly retryFailed?: boolean;
  /** Stops the engine: nothing new is sent, what is in flight is waited for and kept. */
  readonly signal?: AbortSignal;
  readonly random?: () => number;
}

/** What an engine did, so far. Money in billionths of a US dollar. */
export interface CallsReport {
  /** Calls that the model was asked and that have an outcome. */
  readonly made: number;
  /** Calls whose outcome was in the store. */
  readonly stored: number;
  /** Calls that were the same as one under way, and share its reply. */
  readonly shared: number;
  readonly attempts: number;
  readonly failed: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What the calls that were made cost; null when no price is known. */
  readonly paid: number | null;
  /** At most this much may be on the bill for attempts whose reply never arrived. */
  readonly perhapsPaid: number;
  readonly inFlight: number;
  readonly stopped: StopReason | undefined;
  /** What the model's client left out of the requests. */
  readonly warnings: readonly string[];
}

export type StopReason = "interrupted" | "budget" | "failure";

const defaultConcurrency = 32;
const defaultTimeoutMs = 120_000;
const defaultMaxAttempts = 6;
const congestionAttempts = 40; // a provider that only wants us slower is asked longer
const unreachableAttempts = 3; // of a call, before anything was ever answered
const doubtfulCalls = 3; // refused as malformed before anything was ever answered: the request itself is wrong
const silentCalls = 10; // given up in a row: the provider is gone
const firstDelayMs = 500;
const longestDelayMs = 30_000;
const longestRetryAfterMs = 600_000;
const elsewhereMs = 100; // how often a call that another process makes is looked for
const writeTries = 10; // while the store cannot be written
const writeAgainMs = 1_000;
const inputTokensPerByte = 0.3; // until replies tell
const slackTokens = 64; // what providers may add around messages

const details = {
  interrupted: "interrupted before it was asked",
  budget: "the budget was reached before it was asked",
  failure: "the run stopped before it was asked",
};

/** A call that has no outcome yet. */
interface Call {
  readonly key: string;
  readonly request: ModelRequest;
  readonly bytes: number;
  /** The most that one attempt can cost. */
  readonly highestCost: number;
  readonly finish: (outcome: CallOutcome) => void;
  estimate: Estimate;
  attempts: number;
  congestions: number;
  notBefore: number;
  isClaimed: boolean;
}

/** Something to be written in the next turn, and what to do once it is on disk. */
interface Ending {
  readonly call: Call;
  readonly write: () => void;
  readonly tell: () => void;
}

/** What a turn does with the calls that the gate has let through. */
interface Admission {
  /** To be sent. */
  readonly begun: Call[];
  /** Another process has made them meanwhile. */
  readonly found: { readonly call: Call; readonly stored: StoredCall }[];
  /** Another process is at them. */
  readonly elsewhere: Call[];
  /** Their money is not there, or reserved. */
  readonly short: readonly Call[];
  /** Whether the money will never be there. */
  readonly isOverBudget: boolean;
}

/**
 * Makes calls to one model: as fast as the provider allows, each only once, none over the budget, none lost.
 *
 * It works in turns. A turn is one transaction of the store that writes the outcomes that have arrived and takes the
 * calls that may go next; only when it is on disk are outcomes told and calls sent. So whatever kills the process, a
 * reply that was told is stored, and a call that was sent is known to have been.
 */
export class Engine {
  readonly model: ChatModel;
  readonly #options: EngineOptions;
  readonly #store: CallStore;
  readonly #gate: Gate;
  readonly #maxAttempts: number;
  readonly #timeoutMs: number;
  readonly #budget: number;
  readonly #random: () => number;
  readonly #underWay = new Map<string, Promise<CallOutcome>>();
  readonly #askedAgain = new Set<string>();
  readonly #queue = new CallQueue<Call>();
  #endings: Ending[] = [];
  #doubtful: { call: Call; detail: string }[] = [];
  #turn: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #readiness: { promise: Promise<void>; resolve: () => void } | undefined;
  #idleness: (() => void)[] = [];
  #stopped: StopReason | undefined;
  #failure: AlpagasusError | undefined;
  #doubts = 0;
  /** Whether another process works on the store. */
  #isShared = false;
  #failedWrites = 0;
  #hasAnswered = false;
  #givenUpInARow = 0;
  #tokensPerByte = inputTokensPerByte;
  #meanOutput: number | undefined;
  readonly #warnings = new Set<string>();
  readonly #count = {
    made: 0,
    stored: 0,
    shared: 0,
    attempts: 0,
    failed: 0,
    inputTokens: 0,
    outputTokens: 0,
    paid: 0,
    perhapsPaid: 0,
  };

  /** @throws UsageError when there is a budget but no price */
  constructor(model: ChatModel, options: EngineOptions) {
    this.model = model;
    this.#options = options;
    this.#store = options.store;
    this.#gate = new Gate({
      concurrency: options.concurrency ?? defaultConcurrency,
      ...(options.limits && { limits: options.limits }),
    });
    this.#maxAttempts = options.maxAttempts ?? defaultMaxAttempts;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#random = options.random ?? Math.random;
    this.#budget = options.budgetUsd === undefined ? Infinity : Math.floor(options.budgetUsd * nanosPerUsd);
    if (options.budgetUsd !== undefined && !model.price)
      throw new UsageError(
        `--budget: expected a model whose price is known, got ${model.name}; give its price with --price INPUT/OUTPUT (US dollars for a million tokens)`,
      );
    this.#store.hasChangedElsewhere(); // what was written until now is found by looking
    if (options.signal?.aborted) this.#stop("interrupted");
    else options.signal?.addEventListener("abort", () => this.#stop("interrupted"), { once: true });
  }

  /** What stopped the engine for good, if anything did: a wrong key, a model that is not there, a provider that is gone. */
  get failure(): AlpagasusError | undefined {
    return this.#failure;
  }

  get report(): CallsReport {
    return {
      ...this.#count,
      paid: this.model.price ? this.#count.paid : null,
      inFlight: this.#gate.inFlight,
      stopped: this.#stopped,
      warnings: [...this.#warnings],
    };
  }

  /** The most that one attempt at a request can cost, in billionths of a US dollar; 0 without a price. */
  highestCost(request: ModelRequest, bytes = promptBytes(request)): number {
    const inputTokens = bytes + slackTokens + 8 * request.messages.length;
    return this.model.price?.highestCost(inputTokens, request.sampling.maxOutputTokens) ?? 0;
  }

  /** The outcome of a call: at once when it is in the store, else when it is on disk. Never rejects. */
  call(request: ModelRequest): CallOutcome | Promise<CallOutcome> {
    const key = requestKey(this.model.identity, request);
    const same = this.#underWay.get(key);
    if (same) {
      this.#count.shared++;
      return same;
    }
    const stored = this.#findStored(key);
    if (stored) {
      this.#count.stored++;
      return outcomeOf(stored);
    }
    if (this.#stopped) return { state: "pending", key, detail: details[this.#stopped] };
    if (this.#options.retryFailed) this.#askedAgain.add(key);
    const { promise, resolve } = Promise.withResolvers<CallOutcome>();
    this.#underWay.set(key, promise);
    const bytes = promptBytes(request);
    this.#queue.add({
      key,
      request,
      bytes,
      highestCost: this.highestCost(request, bytes),
      finish: (outcome) => {
        this.#underWay.delete(key);
        resolve(outcome);
      },
      estimate: { inputTokens: 0, outputTokens: 0 },
      attempts: 0,
      congestions: 0,
      notBefore: 0,
      isClaimed: false,
    });
    this.#scheduleTurn();
    return promise;
  }

  /** Waits while enough calls are queued; undefined when more are welcome. Callers that heed it use bounded memory. */
  ready(): Promise<void> | undefined {
    if (this.#stopped || this.#queue.fresh <= 2 * (this.#options.concurrency ?? defaultConcurrency)) return undefined;
    if (!this.#readiness) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#readiness = { promise, resolve };
    }
    return this.#readiness.promise;
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => this.#idleness.push(resolve));
  }

  get #isIdle(): boolean {
    return (
      this.#gate.inFlight === 0 && this.#queue.isEmpty && this.#endings.length === 0 && this.#doubtful.length === 0
    );
  }

  #findStored(key: string): StoredCall | undefined {
    const stored = this.#store.find(key);
    const isAskedAgain = stored?.state === "failed" && this.#options.retryFailed && !this.#askedAgain.has(key);
    return isAskedAgain ? undefined : stored;
  }

  #scheduleTurn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#takeTurn();
    });
  }

  /** Writes what has ended and takes what may go next, in one transaction; then tells and sends. */
  #takeTurn(): void {
    this.#settleDoubtful();
    const now = performance.now();
    const endings = this.#endings.splice(0);
    const admitted = this.#stopped ? [] : this.#queue.take(now, (call) => this.#enter(call, now));
    if (endings.length > 0 || admitted.length > 0) {
      let admission: Admission;
      try {
        admission = this.#store.transact(() => {
          for (const ending of endings) ending.write();
          return this.#admit(admitted);
        });
      } catch (cause) {
        this.#keepUnwritten(cause, endings, admitted);
        return;
      }
      this.#failedWrites = 0;
      for (const ending of endings) ending.tell();
      this.#begin(admission, now);
    }
    this.#afterTurn(now);
  }

  #enter(call: Call, now: number): boolean {
    call.estimate = this.#estimate(call);
    return this.#gate.tryEnter(call.estimate, now);
  }

  /** Within a turn: takes calls for this process and reserves their money. Changes nothing but the store. */
  #admit(calls: readonly Call[]): Admission {
    const admission = { begun: [] as Call[], found: [] as Admission["found"], elsewhere: [] as Call[] };
    if (calls.length === 0) return { ...admission, short: [], isOverBudget: false };
    const { purse } = this.#options;
    const isLimited = this.#budget < Infinity;
    const { paid, perhapsPaid, reserved } = isLimited ? this.#store.purse(purse) : noMoney;
    let free = this.#budget - paid - perhapsPaid - reserved;
    this.#isShared ||= this.#store.hasChangedElsewhere(); // from then on, replies may appear that this process did not write
    for (const [i, call] of calls.entries()) {
      const stored = call.isClaimed || !this.#isShared ? undefined : this.#findElsewhere(call.key);
      if (stored) admission.found.push({ call, stored });
      else if (call.highestCost > free) {
        const isOverBudget = paid + perhapsPaid + call.highestCost > this.#budget;
        return { ...admission, short: calls.slice(i), isOverBudget };
      } else if (this.#store.claim(call.key, purse, call.highestCost)) {
        admission.begun.push(call);
        free -= call.highestCost;
      } else admission.elsewhere.push(call);
    }
    return { ...admission, short: [], isOverBudget: false };
  }

  /** After a turn: does what was decided. */
  #begin({ begun, found, elsewhere, short, isOverBudget }: Admission, now: number): void {
    for (const { call, stored } of found) {
      this.#gate.withdraw(call.estimate);
      this.#count.stored++;
      call.finish(outcomeOf(stored));
    }
    for (const call of elsewhere) {
      this.#gate.withdraw(call.estimate);
      call.notBefore = now + elsewhereMs * (0.5 + this.#random());
      this.#queue.add(call);
    }
    for (const call of short) this.#gate.withdraw(call.estimate);
    this.#queue.putBack(short);
    for (const call of begun) {
      call.isClaimed = true;
      void this.#attempt(call);
    }
    if (isOverBudget && this.#gate.inFlight === 0) this.#stop("budget"); // else what is in flight may cost less than its most
    if (found.length + elsewhere.length > 0) this.#scheduleTurn(); // their places are free
  }

  /** What another process may have stored meanwhile. */
  #findElsewhere(key: string): StoredCall | undefined {
    const stored = this.#store.find(key);
    return stored?.state === "failed" && this.#options.retryFailed ? undefined : stored;
  }

  #afterTurn(now: number): void {
    if (this.#readiness && (this.#stopped || this.#queue.fresh <= (this.#options.concurrency ?? defaultConcurrency))) {
      this.#readiness.resolve();
      this.#readiness = undefined;
    }
    if (this.#isIdle) for (const resolve of this.#idleness.splice(0)) resolve();
    if (this.#turn || this.#stopped) return;
    clearTimeout(this.#timer);
    const at = this.#nextTurnAt(now);
    if (at !== undefined) this.#timer = setTimeout(() => this.#scheduleTurn(), Math.max(1, at - now));
  }

  /** When there will be something to do that no call's end brings about. */
  #nextTurnAt(now: number): number | undefined {
    let at = Infinity;
    for (const call of this.#queue.candidates()) {
      const opens = this.#gate.opensAt(this.#estimate(call), now);
      if (opens !== undefined) at = Math.min(at, Math.max(call.notBefore, opens));
    }
    if (at === Infinity) return undefined;
    return at > now ? at : now + elsewhereMs; // it could go, but its money is reserved
  }

  #estimate({ bytes, request }: Call): Estimate {
    return {
      inputTokens: Math.ceil(bytes * this.#tokensPerByte),
      outputTokens: Math.ceil(this.#meanOutput ?? request.sampling.maxOutputTokens / 2),
    };
  }

  async #attempt(call: Call): Promise<void> {
    const enteredAt = performance.now();
    call.attempts++;
    this.#count.attempts++;
    const passage = { enteredAt, estimate: call.estimate };
    try {
      const { reply, headers } = await askModel(this.model.language, call.request, this.#timeoutMs);
      const now = performance.now();
      const announced = readLimits(headers, Date.now());
      this.#gate.leave({ ...passage, result: "answered", announced, ...(reply.usage && { used: reply.usage }) }, now);
      this.#keep(call, reply, now - enteredAt);
    } catch (error) {
      const failure = readFailure(error, Date.now());
      const now = performance.now();
      this.#gate.leave(
        {
          ...passage,
          result: failure.kind === "retry" && failure.isCongestion ? "congested" : "failed",
          used: { inputTokens: 0, outputTokens: 0 },
          ...("retryAfterMs" in failure && { retryAfterMs: failure.retryAfterMs }),
        },
        now,
      );
      this.#meet(call, { ...failure, detail: this.model.redact(failure.detail) }, now);
    }
    this.#scheduleTurn();
  }

  /** A reply has arrived. */
  #keep(call: Call, reply: Reply, latencyMs: number): void {
    const { usage } = reply;
    const price = this.model.price;
    const cost = price ? (usage ? price.costOf(usage) : call.highestCost) : null; // no usage told: the most it can be
    this.#hasAnswered = true;
    this.#givenUpInARow = 0;
    for (const warning of reply.warnings) this.#warnings.add(warning);
    if (usage) this.#learn(call, usage);
    this.#count.paid += cost ?? 0;
    this.#end(call, {
      state: "replied",
      text: reply.text,
      finish: reply.finish,
      detail: null,
      build: reply.build ?? null,
      usage: usage ?? null,
      cost,
      latencyMs: Math.round(latencyMs),
    });
  }

  #learn({ bytes }: Call, { inputTokens, outputTokens }: Usage): void {
    const weight = 0.05;
    this.#count.inputTokens += inputTokens;
    this.#count.outputTokens += outputTokens;
    this.#tokensPerByte += weight * (inputTokens / Math.max(1, bytes) - this.#tokensPerByte);
    this.#meanOutput = (this.#meanOutput ?? outputTokens) * (1 - weight) + outputTokens * weight;
  }

  /** An attempt has failed. */
  #meet(call: Call, failure: Failure, now: number): void {
    if (failure.kind === "state") return this.#end(call, withoutReply(failure.state, failure.detail));
    if (failure.kind === "doubtful") {
      if (this.#hasAnswered) return this.#end(call, withoutReply("failed", failure.detail));
      this.#doubtful.push({ call, detail: failure.detail });
      if (++this.#doubts >= doubtfulCalls)
        this.#fail(`the request is not accepted (${failure.detail})`, { isUsage: false });
      return;
    }
    if (failure.kind === "stop") {
      this.#fail(failure.detail, failure);
      return this.#postpone(call, 0);
    }
    if (failure.isCongestion) call.congestions++;
    const perhapsPaid = failure.mayBePaid ? call.highestCost : 0;
    this.#count.perhapsPaid += perhapsPaid;
    if ((failure.retryAfterMs ?? 0) > longestRetryAfterMs) {
      this.#fail(`it asks to wait ${Math.ceil(failure.retryAfterMs! / 60_000)} minutes (${failure.detail})`, {
        isUsage: false,
        advice: "run the same command again then",
      });
    } else if (failure.isUnreachable && !this.#hasAnswered && call.attempts >= unreachableAttempts) {
      this.#fail(failure.detail, { isUsage: false });
    }
    if (this.#stopped) return this.#postpone(call, perhapsPaid);
    const hasAttemptsLeft =
      call.attempts - call.congestions < this.#maxAttempts && call.congestions < congestionAttempts;
    if (!hasAttemptsLeft) {
      if (++this.#givenUpInARow >= silentCalls)
        this.#fail(`${silentCalls} calls in a row got no reply (the last: ${failure.detail})`, {
          isUsage: false,
          advice: "run the same command again later, with --retry-failed",
        });
      return this.#end(
        call,
        withoutReply("failed", `gave up after ${call.attempts} attempts: ${failure.detail}`),
        perhapsPaid,
      );
    }
    call.notBefore = now + this.#delay(call.attempts, failure.retryAfterMs);
    this.#queue.add(call);
    this.#endings.push({
      call,
      write: () => this.#store.settle(call.key, this.#options.purse, perhapsPaid),
      tell: () => {},
    });
  }

  /** Half of the delay is drawn at random, so that calls that failed together do not come back together. */
  #delay(attempts: number, retryAfterMs: number | undefined): number {
    const delay = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 16));
    const jittered = delay * (0.5 + 0.5 * this.#random());
    return retryAfterMs === undefined ? jittered : retryAfterMs + Math.min(jittered, 0.1 * retryAfterMs);
  }

  /** The call has its outcome: it is written in the next turn and told after it. */
  #end(call: Call, outcome: Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts">, perhapsPaid = 0): void {
    const stored: StoredCall = {
      key: call.key,
      model: this.model.identity,
      promptBytes: call.bytes,
      attempts: call.attempts,
      ...outcome,
    };
    this.#endings.push({
      call,
      write: () => {
        if (perhapsPaid > 0) this.#store.settle(call.key, this.#options.purse, perhapsPaid);
        this.#store.save(stored, this.#options.purse);
      },
      tell: () => {
        this.#count.made++;
        if (stored.state === "failed") this.#count.failed++;
        call.finish(outcomeOf(stored));
      },
    });
  }

  /** The call stays without an outcome; another time, it goes on. */
  #postpone(call: Call, perhapsPaid: number): void {
    this.#endings.push({
      call,
      write: () => {
        if (!call.isClaimed) return;
        this.#store.settle(call.key, this.#options.purse, perhapsPaid);
        this.#store.release(call.key);
      },
      tell: () => call.finish({ state: "pending", key: call.key, detail: details[this.#stopped ?? "interrupted"] }),
    });
  }

  /** Doubtful calls have failed as soon as another one went well, or none is left that could. */
  #settleDoubtful(): void {
    if (this.#doubtful.length === 0) return;
    const isAlone = this.#gate.inFlight === 0 && this.#queue.isEmpty;
    if (!this.#hasAnswered && !isAlone && !this.#stopped) return;
    for (const { call, detail } of this.#doubtful.splice(0)) {
      if (this.#failure) this.#postpone(call, 0);
      else this.#end(call, withoutReply("failed", detail));
    }
  }

  #fail(detail: string, { isUsage, advice }: { isUsage: boolean; advice?: string }): void {
    if (this.#failure) return;
    const message = `${this.model.name}: ${detail}${advice === undefined ? "" : `; ${advice}`}`;
    this.#failure = isUsage ? new UsageError(message) : new AlpagasusError(message);
    this.#stop("failure");
  }

  /** Nothing new is sent from here on. */
  #stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    clearTimeout(this.#timer);
    for (const call of this.#queue.drain()) this.#postpone(call, 0);
    this.#scheduleTurn();
  }

  /** The store cannot be written: nothing more is sent, and what was paid for is kept in memory and tried again for a while. */
  #keepUnwritten(cause: unknown, endings: readonly Ending[], admitted: readonly Call[]): void {
    for (const call of admitted) this.#gate.withdraw(call.estimate);
    this.#queue.putBack(admitted);
    this.#endings.unshift(...endings);
    this.#failure ??= new AlpagasusError(
      `${this.#store.path}: the call store cannot be written (${messageOf(cause)}); make room, then run the same command again`,
      { cause },
    );
    this.#stop("failure");
    clearImmediate(this.#turn);
    this.#turn = undefined;
    if (++this.#failedWrites <= writeTries) {
      setTimeout(() => this.#scheduleTurn(), writeAgainMs);
      return;
    }
    for (const { call } of this.#endings.splice(0))
      call.finish({ state: "pending", key: call.key, detail: details.failure });
    this.#afterTurn(performance.now());
  }
}

const noMoney = { paid: 0, perhapsPaid: 0, reserved: 0 };

function outcomeOf({ key, state, text, finish, detail }: StoredCall): CallOutcome {
  return state === "replied"
    ? { state, key, text, finish: finish ?? "other" }
    : { state, key, detail: detail ?? "no reply" };
}

function withoutReply(
  state: "failed" | "refused",
  detail: string,
): Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts"> {
  return { state, text: "", finish: null, detail, build: null, usage: null, cost: 0, latencyMs: 0 };
}
