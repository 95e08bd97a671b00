import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import { CallQueue } from "./call-queue.ts";
import type { CallStore, StoredCall } from "./call-store.ts";
import { askModel, noReplyWithin } from "./ask-model.ts";
import { readFailure, type Failure } from "./failure.ts";
import { Gate, type Estimate, type Limits } from "./gate.ts";
import { readLimits, type Headers } from "./headers.ts";
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
  /** Replies whose provider told no usage; they are counted at the most that they can cost. */
  readonly withoutUsage: number;
  /** Calls that wait to be tried again. */
  readonly waiting: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What the calls that were made cost; null when no price is known. */
  readonly paid: number | null;
  /** At most this much may be on the bill for attempts whose reply never arrived. */
  readonly perhapsPaid: number;
  readonly inFlight: number;
  readonly stopped: StopReason | undefined;
  /** What stopped it for good, in a line. */
  readonly failure: string | undefined;
  /** Calls that are in batches at the provider, without an outcome yet. */
  readonly inBatches: number;
  /** What the model's client left out of the requests. */
  readonly warnings: readonly string[];
}

/** `batches`: what is left is in batches that have not ended. */
export type StopReason = "interrupted" | "budget" | "failure" | "batches";

const defaultConcurrency = 32;
const defaultTimeoutMs = 120_000;
const defaultMaxAttempts = 6;
const congestionAttempts = 40; // a provider that only wants us slower is asked longer
const unreachableAttempts = 3; // of a call, before anything was ever answered
const doubtfulCalls = 8; // refused as malformed before anything was ever answered: the request itself is wrong
const callsWithoutLogprobs = 3; // replied without what was asked for: the provider does not tell it
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
  tooDear: "what it can cost at most is more than the budget has left",
  failure: "the run stopped before it was asked",
  batches: "in a batch that has not ended",
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
  /** When it was first sent. */
  firstSentAt: number;
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
  /** Their money is reserved for others. */
  readonly short: Call[];
  /** Their money will never be there. */
  readonly unaffordable: Call[];
  /** They are in a batch at the provider. */
  readonly inBatches: Call[];
  /** Whether there is money for no call at all. */
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
  readonly #storeVersion: number;
  /** Whether anybody else works on the store. */
  #isShared = false;
  /** The least that any call so far can cost. */
  #leastCost = Infinity;
  /** Whether a call was left out because the budget could not bear it. */
  #hasPassedOver = false;
  #failedWrites = 0;
  #isWritingLater = false;
  #hasAnswered = false;
  /** Whether there was a reply in this process, and when the last one came. */
  #hasReplied = false;
  #repliedAt = -Infinity;
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
    withoutUsage: 0,
    inputTokens: 0,
    outputTokens: 0,
    paid: 0,
    perhapsPaid: 0,
    inBatches: 0,
  };
  /** Replies that came without the probabilities that were asked for; -1 when one had them. */
  #withoutLogprobs = 0;

  /** @throws UsageError when an option makes no sense, or there is a budget but no price */
  constructor(model: ChatModel, options: EngineOptions) {
    checkOptions(options);
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
    this.#storeVersion = this.#store.version;
    this.#hasAnswered = this.#store.hasReplyOf(model.identity); // in an earlier run
    if (options.signal?.aborted) this.stop();
    else options.signal?.addEventListener("abort", this.stop, { once: true });
  }

  /** Sends nothing new from here on; what is in flight is waited for (see `idle`) and kept. */
  readonly stop = (): void => {
    this.#options.signal?.removeEventListener("abort", this.stop);
    this.#stop("interrupted");
  };

  /** Asks nothing from here on, for a reason that its user knows; what is stored is still found. */
  hold(
    reason: StopReason,
    { failure, hasReplied = false }: { failure?: AlpagasusError; hasReplied?: boolean } = {},
  ): void {
    this.#failure ??= failure;
    this.#hasReplied ||= hasReplied;
    this.#stop(reason);
  }

  /** Whether the model has replied to this engine. */
  get hasReplied(): boolean {
    return this.#hasReplied;
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
      waiting: this.#queue.timed,
      failure: this.#failure?.message,
      stopped: this.#stopped ?? (this.#hasPassedOver ? "budget" : this.#count.inBatches > 0 ? "batches" : undefined),
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
    if (this.#options.retryFailed && this.#store.find(key)) this.#askedAgain.add(key);
    const { promise, resolve } = Promise.withResolvers<CallOutcome>();
    this.#underWay.set(key, promise);
    const bytes = promptBytes(request);
    const highestCost = this.highestCost(request, bytes);
    this.#leastCost = Math.min(this.#leastCost, highestCost);
    this.#queue.add({
      key,
      request,
      bytes,
      highestCost,
      finish: (outcome) => {
        this.#underWay.delete(key);
        resolve(outcome);
      },
      estimate: { inputTokens: 0, outputTokens: 0 },
      attempts: 0,
      congestions: 0,
      firstSentAt: 0,
      notBefore: 0,
      isClaimed: false,
    });
    this.#scheduleTurn();
    return promise;
  }

  /** Waits while enough calls are queued; undefined when more are welcome. Callers that heed it use bounded memory. */
  ready(): Promise<void> | undefined {
    if (this.#stopped || this.#queue.size <= 2 * this.#room) return undefined;
    if (!this.#readiness) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#readiness = { promise, resolve };
    }
    return this.#readiness.promise;
  }

  /** How many calls may be queued before no more are welcome: enough that some can wait for their time. */
  get #room(): number {
    return Math.max(64, 2 * (this.#options.concurrency ?? defaultConcurrency));
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
    if (this.#isWritingLater) return;
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

  /** Within a turn: takes calls for this process and reserves their money. Changes nothing that a failed turn would have to undo. */
  #admit(calls: readonly Call[]): Admission {
    const begun: Call[] = [];
    const found: { call: Call; stored: StoredCall }[] = [];
    const elsewhere: Call[] = [];
    const short: Call[] = [];
    const unaffordable: Call[] = [];
    const inBatches: Call[] = [];
    let isOverBudget = false;
    if (calls.length > 0) {
      const { purse } = this.#options;
      const isLimited = this.#budget < Infinity;
      const { paid, perhapsPaid, reserved } = isLimited ? this.#store.purse(purse) : noMoney;
      const left = this.#budget - paid - perhapsPaid;
      let free = left - reserved;
      isOverBudget = left < this.#leastCost;
      const hasBatches = !this.#store.batches.isEmpty;
      this.#isShared ||= this.#store.version !== this.#storeVersion; // from then on, others' replies may appear
      for (const call of calls) {
        const stored = this.#isShared ? this.#findElsewhere(call.key) : undefined;
        if (stored) found.push({ call, stored });
        else if (hasBatches && this.#store.batches.batchOf(call.key) !== undefined) inBatches.push(call);
        else if (call.highestCost > left) unaffordable.push(call);
        else if (call.highestCost > free) short.push(call);
        else if (this.#store.claim(call.key, purse, call.highestCost, this)) {
          begun.push(call);
          free -= call.highestCost;
        } else elsewhere.push(call);
      }
      if (short.length > 0) this.#store.buryDead(); // what the dead have reserved is not coming back by itself
    }
    return { begun, found, elsewhere, short, unaffordable, inBatches, isOverBudget };
  }

  /** After a turn: does what was decided. */
  #begin(admission: Admission, now: number): void {
    const { begun, found, elsewhere, short, unaffordable, inBatches, isOverBudget } = admission;
    for (const { call, stored } of found) {
      this.#gate.withdraw(call.estimate);
      this.#count.stored++;
      if (call.isClaimed) this.#postponed(call, 0, () => call.finish(outcomeOf(stored)));
      else call.finish(outcomeOf(stored));
    }
    for (const call of elsewhere) {
      this.#gate.withdraw(call.estimate);
      this.#isShared = true;
      call.isClaimed = false;
      call.notBefore = now + elsewhereMs * (0.5 + this.#random());
      this.#queue.add(call);
    }
    for (const call of [...short, ...unaffordable, ...inBatches]) this.#gate.withdraw(call.estimate);
    this.#queue.putBack(short);
    for (const call of unaffordable) {
      this.#hasPassedOver = true;
      this.#postponed(call, 0, () => call.finish({ state: "pending", key: call.key, detail: details.tooDear }));
    }
    for (const call of inBatches) {
      this.#count.inBatches++;
      this.#postponed(call, 0, () => call.finish({ state: "pending", key: call.key, detail: details.batches }));
    }
    for (const call of begun) {
      call.isClaimed = true;
      void this.#attempt(call);
    }
    if (isOverBudget) this.#stop("budget");
    else if (found.length + elsewhere.length + unaffordable.length + inBatches.length > 0) this.#scheduleTurn(); // their places are free
  }

  /** What another process may have stored meanwhile. */
  #findElsewhere(key: string): StoredCall | undefined {
    const stored = this.#store.find(key);
    return stored?.state === "failed" && this.#options.retryFailed ? undefined : stored;
  }

  #afterTurn(now: number): void {
    if (this.#readiness && (this.#stopped || this.#queue.size <= this.#room)) {
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
    if (call.attempts++ === 0) call.firstSentAt = enteredAt;
    this.#count.attempts++;
    const passage = { enteredAt, estimate: call.estimate };
    const attempt = await this.#ask(call);
    const now = performance.now();
    if ("reply" in attempt) {
      const { reply, headers } = attempt;
      const announced = readLimits(headers, Date.now());
      this.#gate.leave({ ...passage, result: "answered", announced, ...(reply.usage && { used: reply.usage }) }, now);
      this.#keep(call, reply, now - enteredAt);
    } else {
      const { kind } = attempt;
      this.#gate.leave(
        {
          ...passage,
          result: this.#resultOf(attempt),
          used: { inputTokens: 0, outputTokens: 0 },
          ...(kind === "retry" && attempt.retryAfterMs !== undefined && { retryAfterMs: attempt.retryAfterMs }),
        },
        now,
      );
      this.#meet(call, attempt, now);
    }
    this.#scheduleTurn();
  }

  /** What a failure means for the gate: a question that is refused was answered, one that nobody heard was not. */
  #resultOf(failure: Failure): "answered" | "congested" | "failed" {
    if (failure.kind === "retry") return failure.isCongestion ? "congested" : "failed";
    return failure.kind === "state" || this.#hasAnswered ? "answered" : "failed";
  }

  async #ask({ request }: Call): Promise<{ readonly reply: Reply; readonly headers: Headers } | Failure> {
    try {
      return await askModel(this.model, request, this.#timeoutMs);
    } catch (error) {
      const failure = readFailure(error, Date.now());
      return { ...failure, detail: this.model.redact(failure.detail) };
    }
  }

  /** A reply has arrived. */
  #keep(call: Call, reply: Reply, latencyMs: number): void {
    const { usage } = reply;
    const cost = this.model.price ? this.#costOf(call, usage) : null;
    this.#hasAnswered = true;
    this.#hasReplied = true;
    this.#repliedAt = performance.now();
    this.#givenUpInARow = 0;
    if (!usage) this.#count.withoutUsage++;
    for (const warning of reply.warnings) this.#warnings.add(warning);
    if (usage) this.#learn(call, usage);
    if (call.request.topLogprobs !== undefined) this.#expectLogprobs(reply);
    if (cost !== null && cost > call.highestCost && this.#budget < Infinity)
      this.#fail(
        `a call cost more ($${(cost / nanosPerUsd).toFixed(6)}) than its limits allow ($${(call.highestCost / nanosPerUsd).toFixed(6)}), so that a budget cannot be kept`,
        { isUsage: false, advice: "lower --reasoning, or go on without --budget" },
      );
    this.#end(call, {
      state: "replied",
      text: reply.text,
      ...(reply.logprobs && { logprobs: reply.logprobs }),
      finish: reply.finish,
      detail: null,
      build: reply.build ?? null,
      usage: usage ?? null,
      cost,
      latencyMs: Math.round(latencyMs),
    });
  }

  /** A provider that never tells probabilities is not paid for all rows to find that out. */
  #expectLogprobs(reply: Reply): void {
    if (reply.logprobs) this.#withoutLogprobs = -1;
    else if (this.#withoutLogprobs >= 0 && ++this.#withoutLogprobs >= callsWithoutLogprobs)
      this.#fail(`it tells no token probabilities (${callsWithoutLogprobs} replies came without them)`, {
        isUsage: true,
        advice: "use --samples instead of --logprobs",
      });
  }

  /** What a reply cost; the most that it can, where the provider tells no usage, or one that makes no sense. */
  #costOf(call: Call, usage: Usage | undefined): number {
    if (!usage) return call.highestCost;
    try {
      return this.model.price!.costOf(usage);
    } catch {
      return call.highestCost;
    }
  }

  #learn({ bytes }: Call, { inputTokens, outputTokens }: Usage): void {
    const weight = 0.05;
    this.#tokensPerByte += weight * (inputTokens / Math.max(1, bytes) - this.#tokensPerByte);
    this.#meanOutput = (this.#meanOutput ?? outputTokens) * (1 - weight) + outputTokens * weight;
  }

  /** An attempt has failed. */
  #meet(call: Call, failure: Failure, now: number): void {
    if (failure.kind === "state") return this.#end(call, withoutReply(failure.state, failure.detail));
    if (failure.kind === "doubtful") {
      if (this.#hasAnswered) return this.#giveUp(call, failure.detail, 0);
      this.#doubtful.push({ call, detail: failure.detail });
      this.#endings.push({
        call,
        write: () => this.#store.settle(call.key, this.#options.purse, 0), // it cost nothing: others may have its money
        tell: () => {},
      });
      if (++this.#doubts >= doubtfulCalls)
        this.#fail(`the request is not accepted (${failure.detail})`, { isUsage: false });
      return;
    }
    if (failure.kind === "stop") {
      if (failure.isRowPossible && this.#hasAnswered) return this.#giveUp(call, failure.detail, 0);
      this.#fail(failure.detail, failure);
      return this.#postpone(call, 0);
    }
    if (failure.isCongestion) call.congestions++;
    const perhapsPaid = failure.mayBePaid ? call.highestCost : 0;
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
    if (!hasAttemptsLeft)
      return this.#giveUp(call, `gave up after ${call.attempts} attempts: ${failure.detail}`, perhapsPaid);
    call.notBefore = now + this.#delay(call.attempts, failure.retryAfterMs);
    this.#queue.add(call);
    this.#endings.push({
      call,
      write: () => this.#store.settle(call.key, this.#options.purse, perhapsPaid),
      tell: () => (this.#count.perhapsPaid += perhapsPaid),
    });
  }

  /**
   * There will be no reply. Many of these are an outage, if they were all sent after the last reply came: calls that fail
   * for reasons of their own end last, since they are tried for long, and are then in a row as well.
   */
  #giveUp(call: Call, detail: string, perhapsPaid: number): void {
    if (call.firstSentAt > this.#repliedAt && ++this.#givenUpInARow >= silentCalls) {
      const isSlow = detail.includes(noReplyWithin);
      this.#fail(`${silentCalls} calls in a row got no reply (the last: ${detail})`, {
        isUsage: false,
        advice: `run the same command again later, with --retry-failed${isSlow ? ", or with a longer --timeout" : ""}`,
      });
    }
    this.#end(call, withoutReply("failed", detail), perhapsPaid);
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
        this.#count.paid += stored.cost ?? 0;
        this.#count.perhapsPaid += perhapsPaid;
        this.#count.inputTokens += stored.usage?.inputTokens ?? 0;
        this.#count.outputTokens += stored.usage?.outputTokens ?? 0;
        call.finish(outcomeOf(stored));
      },
    });
  }

  /** The call stays without an outcome; another time, it goes on. */
  #postpone(call: Call, perhapsPaid: number): void {
    this.#postponed(call, perhapsPaid, () =>
      call.finish({ state: "pending", key: call.key, detail: details[this.#stopped ?? "interrupted"] }),
    );
  }

  /** The same, told in another way. */
  #postponed(call: Call, perhapsPaid: number, tell: () => void): void {
    this.#endings.push({
      call,
      write: () => {
        if (!call.isClaimed) return;
        this.#store.settle(call.key, this.#options.purse, perhapsPaid);
        this.#store.release(call.key);
      },
      tell: () => {
        this.#count.perhapsPaid += perhapsPaid;
        tell();
      },
    });
    this.#scheduleTurn();
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
    for (const call of admitted) {
      this.#gate.withdraw(call.estimate);
      if (!call.isClaimed) this.#store.forget(call.key, this);
    }
    this.#queue.putBack(admitted);
    this.#endings.unshift(...endings);
    const isBusy = /locked|busy/i.test(messageOf(cause));
    this.#failure ??= new AlpagasusError(
      `${this.#store.path}: the call store cannot be written (${messageOf(cause)}); ${isBusy ? "another program holds it: end that" : "make room"}, then run the same command again`,
      { cause },
    );
    this.#stop("failure");
    clearImmediate(this.#turn);
    this.#turn = undefined;
    if (++this.#failedWrites <= writeTries) {
      this.#isWritingLater = true;
      setTimeout(() => {
        this.#isWritingLater = false;
        this.#scheduleTurn();
      }, writeAgainMs);
      return;
    }
    for (const { call } of this.#endings.splice(0))
      call.finish({ state: "pending", key: call.key, detail: details.failure });
    this.#afterTurn(performance.now());
  }
}

/** @throws UsageError at a number that makes no sense */
function checkOptions({ concurrency, budgetUsd, timeoutMs, maxAttempts, limits = {} }: EngineOptions): void {
  const expect = (name: string, value: number | undefined, isRight: (value: number) => boolean, what: string) => {
    if (value !== undefined && !isRight(value)) throw new UsageError(`${name}: expected ${what}, got ${value}`);
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value > 0;
  expect("concurrency", concurrency, isCount, "a whole number from 1");
  expect("maxAttempts", maxAttempts, isCount, "a whole number from 1");
  expect("timeoutMs", timeoutMs, (value) => value > 0 && value < 2 ** 31, "milliseconds over 0");
  expect("budgetUsd", budgetUsd, (value) => value >= 0 && value < 1e6, "US dollars from 0");
  for (const [kind, limit] of Object.entries(limits))
    expect(`limits.${kind}`, limit, (value) => value > 0, "a number over 0");
}

const noMoney = { paid: 0, perhapsPaid: 0, reserved: 0 };

function outcomeOf({ key, state, text, logprobs, finish, detail }: StoredCall): CallOutcome {
  return state === "replied"
    ? { state, key, text, finish: finish ?? "other", ...(logprobs && { logprobs }) }
    : { state, key, detail: detail ?? "no reply" };
}

function withoutReply(
  state: "failed" | "refused",
  detail: string,
): Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts"> {
  return { state, text: "", finish: null, detail, build: null, usage: null, cost: 0, latencyMs: 0 };
}
