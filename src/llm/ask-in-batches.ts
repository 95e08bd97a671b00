import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { InvalidArgumentError, InvalidResponseDataError } from "@ai-sdk/provider";
import type { Experimental_BatchV4ItemResult as ItemResult } from "@ai-sdk/provider";
import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import { formatCount, formatDuration } from "../format.ts";
import { asCallError, isRefusal } from "./batch-failure.ts";
import { describeWarning, readReply, toCallOptions } from "./ask-model.ts";
import type { BatchCall, OpenBatch } from "./batch-book.ts";
import type { CallStore, StoredCall } from "./call-store.ts";
import type { CallsReport, StopReason } from "./engine.ts";
import { readFailure, type Failure } from "./failure.ts";
import type { ChatModel, ModelBatches } from "./open-model.ts";
import { nanosPerUsd } from "./price.ts";
import { promptBytes, requestKey, type ModelRequest } from "./request.ts";

export interface BatchAskerOptions {
  readonly store: CallStore;
  /** What the calls are made for; a budget holds over everything that was ever paid under this name. */
  readonly purse: string;
  /** US dollars that may be spent from the purse, by all processes together. */
  readonly budgetUsd?: number;
  /** The most calls of one batch. */
  readonly batchSize?: number;
  /** Hand in again what failed earlier. */
  readonly retryFailed?: boolean;
  /** Wait until all batches have ended; otherwise what is ready is fetched, what is left is handed in, and that is all. */
  readonly wait?: boolean;
  /** Stops handing in and waiting; what was handed in stays at the provider, and is fetched another time. */
  readonly signal?: AbortSignal;
  /** How long after it was handed in a batch is sure to be in the provider's list. */
  readonly listedAfterMs?: number;
}

/** How the batches stand, for a progress line. */
export interface BatchProgress {
  /** Calls that have an outcome now, of those that were handed in. */
  readonly done: number;
  readonly total: number;
  /** `3 batches under way, the oldest for 12 min` */
  readonly note: string;
}

const defaultBatchSize = 10_000; // smaller ones end sooner, and less is to be done again when one fails
const leastBatchSize = 100; // when the provider takes only little at a time
const limitShare = 0.9; // of the provider's bytes
const bytesAround = 2_000; // of a call, beside its messages
const mostRounds = 4; // how often a call is handed in that expires, or fails for what passes
const mostTries = 6; // of one request about a batch
const firstDelayMs = 500;
const longestDelayMs = 30_000;
const leastPollMs = 500;
const longestPollMs = 60_000;
const pollShare = 0.1; // of the time that was waited already
const saveTogether = 500; // outcomes in one transaction
const startTimeoutMs = 900_000; // a large file takes its time
const askTimeoutMs = 300_000;
const defaultListedAfterMs = 5_000;
/** A provider's clock may be so much off, and handing in may take so long. */
const clockSkewMs = 120_000;
const handingInMs = 1_800_000;

/**
 * Has calls made in batches, and keeps their replies in the store, under the keys that direct calls have too. A batch is
 * written down before it is handed in and until its last outcome is stored, so that any later process goes on with it:
 *
 * - handed in, but killed before the provider's name of the batch was known: it is looked for in the provider's list, and
 *   known by the calls in it, which are named by their keys. Only when it is not there is it handed in again.
 * - ended: its results are fetched and stored call by call, each once.
 * - expired, cancelled, failed, or ended without some results: those calls are handed in again, a few times.
 */
export class BatchAsker {
  readonly #model: ChatModel;
  readonly #batches: ModelBatches;
  readonly #options: BatchAskerOptions;
  readonly #store: CallStore;
  readonly #budget: number;
  #batchSize: number;
  /** Batches that hold calls of this user's. */
  readonly #awaited = new Set<string>();
  /** How often a call was handed in for nothing, and why the last time. */
  readonly #rounds = new Map<string, { times: number; detail: string }>();
  readonly #askedAgain = new Set<string>();
  #stopped: StopReason | undefined;
  #failure: AlpagasusError | undefined;
  /** Whether calls may be left that are in no batch. */
  #isPassDue = true;
  #isOverBudget = false;
  /** Whether the provider takes no more before something has ended. */
  #isOverQuota = false;
  #lostStarts = 0;
  #hasReplied = false;
  readonly #warnings = new Set<string>();
  readonly #count = {
    made: 0,
    attempts: 0,
    failed: 0,
    withoutUsage: 0,
    inputTokens: 0,
    outputTokens: 0,
    paid: 0,
    perhapsPaid: 0,
  };

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
    this.#model = model;
    this.#batches = model.batches;
    this.#options = options;
    this.#store = options.store;
    this.#budget = options.budgetUsd === undefined ? Infinity : Math.floor(options.budgetUsd * nanosPerUsd);
    this.#batchSize = Math.min(options.batchSize ?? defaultBatchSize, model.batches.mostCalls);
  }

  /** What stopped it for good, if anything did. */
  get failure(): AlpagasusError | undefined {
    return this.#failure;
  }

  get hasReplied(): boolean {
    return this.#hasReplied;
  }

  /** Why there are calls left; undefined when there are none. */
  get stopped(): StopReason | undefined {
    return this.#stopped;
  }

  get report(): Omit<CallsReport, "stored" | "shared"> {
    const left = this.#open.reduce((sum, batch) => sum + batch.left, 0);
    return {
      ...this.#count,
      paid: this.#batches.price ? this.#count.paid : null,
      inFlight: left,
      inBatches: left,
      waiting: 0,
      failure: this.#failure?.message,
      stopped: this.#stopped,
      warnings: [...this.#warnings],
    };
  }

  /** The most that a call can cost in a batch, in billionths of a US dollar; 0 without a price. */
  #highestCost(request: ModelRequest, bytes: number): number {
    const inputTokens = bytes + 64 + 8 * request.messages.length; // no tokenizer makes more tokens than bytes
    return this.#batches.price?.highestCost(inputTokens, request.sampling.maxOutputTokens) ?? 0;
  }

  get #open(): OpenBatch[] {
    return this.#store.batches.open(this.#model.identity).filter(({ id }) => this.#awaited.has(id));
  }

  /** Fetches what batches of this model have ended, whoever handed them in, and waits for none. Never throws. */
  async fetchEnded(): Promise<void> {
    for (const batch of this.#store.batches.open(this.#model.identity)) {
      await this.#followUp(batch);
      if (this.#stopped) break;
    }
    this.#stopped = undefined; // whoever only looks leaves the rest as it is
    this.#failure = undefined;
  }

  /**
   * Has the calls made that are not in the store, and waits for them.
   *
   * @param requests all of them, from the beginning each time it is called
   * @throws whatever `requests` throws; what goes wrong at the provider is in `failure`
   */
  async ask(
    requests: () => AsyncIterable<readonly ModelRequest[]>,
    onProgress?: (progress: BatchProgress) => void,
  ): Promise<void> {
    const startedAt = Date.now();
    this.#isPassDue = true;
    while (!this.#isInterrupted()) {
      const elsewhere = this.#isPassDue ? await this.#handIn(requests) : 0;
      const before = this.#open;
      for (const batch of before) {
        if (this.#isInterrupted()) break;
        await this.#followUp(batch);
      }
      const open = this.#open;
      this.#show(open, onProgress);
      if (this.#isInterrupted()) break;
      const isMoneyBack = (this.#isOverBudget || this.#isOverQuota) && open.length < before.length;
      if (this.#isPassDue || isMoneyBack) {
        this.#isPassDue = true; // calls came back, or some are possible now
        continue;
      }
      if (open.length === 0 && elsewhere === 0) {
        if (this.#isOverBudget) this.#stopped = "budget";
        break;
      }
      if (this.#options.wait === false) {
        this.#stopped = "batches";
        break;
      }
      const waitedMs = Date.now() - Math.max(startedAt, Math.min(Date.now(), ...open.map(({ begunAt }) => begunAt)));
      await this.#delay(Math.min(longestPollMs, Math.max(leastPollMs, pollShare * waitedMs)));
      if (elsewhere > 0) this.#isPassDue = true;
    }
  }

  #delay(ms: number): Promise<void> {
    const { signal } = this.#options;
    return delay(ms, undefined, { ...(signal && { signal }) }).catch(() => {}); // whoever waits looks at the signal
  }

  #isInterrupted(): boolean {
    if (this.#options.signal?.aborted) this.#stopped ??= "interrupted";
    return this.#stopped !== undefined;
  }

  #show(open: readonly OpenBatch[], onProgress: ((progress: BatchProgress) => void) | undefined): void {
    const left = open.reduce((sum, batch) => sum + batch.left, 0);
    const oldest = Math.min(...open.map(({ begunAt }) => begunAt));
    onProgress?.({
      done: this.#count.made,
      total: this.#count.made + left,
      note:
        open.length === 0
          ? "no batch under way"
          : `${formatCount(open.length)} ${open.length === 1 ? "batch" : "batches"} under way, the oldest for ${formatDuration(Date.now() - oldest)}`,
    });
  }

  // --- handing in ---

  /** Hands in every call that is not in the store or in a batch. Gives how many others are making. */
  async #handIn(requests: () => AsyncIterable<readonly ModelRequest[]>): Promise<number> {
    this.#isPassDue = false;
    this.#isOverBudget = false;
    this.#isOverQuota = false;
    let chunk = new Map<string, { call: BatchCall; request: ModelRequest }>();
    let bytes = 0;
    let elsewhere = 0;
    const flush = async () => {
      if (chunk.size > 0) elsewhere += await this.#handInOne(chunk);
      chunk = new Map();
      bytes = 0;
    };
    for await (const some of requests()) {
      for (const request of some) {
        const key = requestKey(this.#model.identity, request);
        if (chunk.has(key) || !this.#isToBeAsked(key)) continue;
        const promptSize = promptBytes(request);
        const size = Buffer.byteLength(JSON.stringify(request.messages)) + bytesAround;
        if (chunk.size >= this.#batchSize || bytes + size > this.#batches.mostBytes * limitShare) await flush();
        if (this.#isInterrupted() || this.#isOverBudget || this.#isPassDue) return elsewhere;
        bytes += size;
        chunk.set(key, {
          request,
          call: { key, reserved: this.#highestCost(request, promptSize), promptBytes: promptSize },
        });
      }
    }
    if (!this.#isInterrupted()) await flush();
    return elsewhere;
  }

  #isToBeAsked(key: string): boolean {
    const batch = this.#store.batches.batchOf(key);
    if (batch !== undefined) {
      this.#awaited.add(batch);
      return false;
    }
    const state = this.#store.stateOf(key);
    if (state === undefined) return true;
    return state === "failed" && (this.#options.retryFailed ?? false) && !this.#askedAgain.has(key);
  }

  /** Hands in one batch, of what of it nobody else is making and the budget can bear. Gives how many others are making. */
  async #handInOne(chunk: ReadonlyMap<string, { call: BatchCall; request: ModelRequest }>): Promise<number> {
    const id = randomUUID();
    const taken: BatchCall[] = [];
    let elsewhere = 0;
    this.#store.transact(() => {
      const { paid, perhapsPaid, reserved } = this.#store.purse(this.#options.purse);
      let free = this.#budget - paid - perhapsPaid - reserved;
      for (const [key, { call }] of chunk) {
        if (!this.#isToBeAsked(key)) continue;
        if (this.#store.isClaimed(key)) elsewhere++;
        else if (call.reserved > free) this.#isOverBudget = true;
        else {
          taken.push(call);
          free -= call.reserved;
        }
      }
      if (taken.length > 0) this.#store.batches.begin(id, this.#model.identity, this.#options.purse, taken);
    });
    if (taken.length === 0) return elsewhere;
    this.#awaited.add(id);
    for (const { key } of taken) this.#askedAgain.add(key);
    const failure = await this.#start(
      id,
      taken.map(({ key }) => ({ key, request: chunk.get(key)!.request })),
    );
    if (failure) this.#isPassDue = true;
    else this.#count.attempts += taken.length;
    return elsewhere;
  }

  /** Hands a batch in. Gives why it was not taken; then its calls are free again, or it is looked for as after a kill. */
  async #start(id: string, calls: readonly { key: string; request: ModelRequest }[]): Promise<Failure | undefined> {
    for (let attempt = 1; ; attempt++) {
      const sentAt = Date.now();
      try {
        const started = await this.#batches.api.doStartBatch({
          requests: calls.map(({ key, request }) => ({
            id: key,
            type: "text",
            modelId: this.#batches.modelId,
            options: this.#callOptions(request),
          })),
          abortSignal: AbortSignal.timeout(startTimeoutMs), // not the user's: a batch that was sent is to be known
        });
        this.#store.transact(() => this.#store.batches.handedIn(id, started.batchId));
        for (const { warning } of started.warnings) this.#warnings.add(describeWarning(warning));
        this.#lostStarts = 0;
        return undefined;
      } catch (error) {
        const failure = this.#readFailure(error);
        if (!isRefusal(error, failure)) {
          const batch = this.#findOpen(id);
          if (batch) await this.#find({ ...batch, begunAt: sentAt });
          if (this.#findOpen(id)) return undefined; // found, or to be looked for again
          if (++this.#lostStarts >= mostTries) this.#fail(failure.detail, false, "run the same command again later");
          else await this.#pause(this.#lostStarts, failure.kind === "retry" ? failure.retryAfterMs : undefined);
          return failure;
        }
        const mayPass = failure.kind === "retry" && attempt < mostTries && !this.#isInterrupted();
        if (!mayPass) {
          this.#store.transact(() => this.#store.batches.end(id, failure.detail));
          if (!this.#stopped)
            this.#fail(`the batch was not taken (${failure.detail})`, failure.kind === "stop" && failure.isUsage);
          return failure;
        }
        await this.#pause(attempt, failure.retryAfterMs);
      }
    }
  }

  #callOptions(request: ModelRequest) {
    const { abortSignal: _, headers: __, ...options } = toCallOptions(this.#model, request);
    const names = new Set([...Object.keys(options.providerOptions ?? {}), ...Object.keys(this.#batches.options ?? {})]);
    if (names.size === 0) return options;
    const merged = [...names].map((name) => [
      name,
      { ...this.#batches.options?.[name], ...options.providerOptions?.[name] },
    ]);
    return { ...options, providerOptions: Object.fromEntries(merged) as NonNullable<typeof options.providerOptions> };
  }

  // --- following up ---

  #findOpen(id: string): OpenBatch | undefined {
    return this.#store.batches.open(this.#model.identity).find((batch) => batch.id === id);
  }

  /** Looks how a batch stands, and fetches its results when it has ended. */
  async #followUp(batch: OpenBatch): Promise<void> {
    if (batch.providerId === null) {
      if (!this.#store.isOwn(batch.owner) && this.#store.isAlive(batch.owner)) return; // whoever hands it in is at it
      await this.#find(batch);
      return;
    }
    const { providerId } = batch;
    const status = await this.#try(() =>
      this.#batches.api.doGetBatchStatus({ batchId: providerId, abortSignal: AbortSignal.timeout(askTimeoutMs) }),
    );
    if (!status || status.status === "pending") return;
    const fetched = await this.#try(async () => {
      await this.#fetch(batch, providerId);
      return true;
    });
    if (!fetched) return;
    const isExpired = /expired/i.test(status.rawStatus ?? "");
    const isCancelled = /cancel/i.test(status.rawStatus ?? "");
    const why = this.#model.redact(status.error?.message ?? status.rawStatus ?? "it ended without them");
    const left = this.#close(batch, isExpired ? "its batch expired" : why);
    if (left === 0) return;
    this.#isPassDue = true;
    if (isCancelled)
      return this.#fail(
        `the batch ${providerId} was cancelled at the provider`,
        false,
        "run the same command again to hand in the rest",
      );
    if (status.status !== "failed" || isExpired) return;
    // The provider took none of it: the same again would fare no better, unless it was too much at a time.
    const isTooMuch = /token_limit|enqueued|quota|limit/i.test(`${status.error?.code ?? ""} ${why}`);
    if (!isTooMuch || (this.#open.length === 0 && batch.calls <= leastBatchSize))
      return this.#fail(`the batch ${providerId} has failed (${why})`, false);
    this.#isOverQuota = this.#open.length > 0;
    this.#isPassDue = !this.#isOverQuota;
    this.#batchSize = Math.max(leastBatchSize, Math.floor(batch.calls / 2));
  }

  /** A batch is over: what of it has no outcome is handed in again, a few times. Gives how many calls that are. */
  #close({ id, purse }: OpenBatch, why: string): number {
    let failed = 0;
    const left = this.#store.transact(() => {
      const calls = this.#store.batches.end(id, null);
      for (const { key, promptBytes: bytes } of calls) {
        const { times, detail } = this.#rounds.get(key) ?? { times: 0, detail: why };
        this.#rounds.set(key, { times: times + 1, detail });
        if (times + 1 < mostRounds) continue;
        failed++;
        this.#store.save(
          {
            key,
            model: this.#model.identity,
            promptBytes: bytes,
            attempts: times + 1,
            latencyMs: 0,
            ...withoutReply("failed", `gave up after ${mostRounds} batches: ${detail}`),
          },
          purse,
        );
      }
      return calls.length - failed;
    });
    this.#count.made += failed;
    this.#count.failed += failed;
    return left;
  }

  /** Fetches the results of a batch and stores them, each once. What comes without an outcome stays in the batch. */
  async #fetch({ id, purse }: OpenBatch, providerId: string): Promise<void> {
    const stream = await this.#batches.api.doGetBatchResults({
      batchId: providerId,
      abortSignal: AbortSignal.timeout(startTimeoutMs),
    });
    let items: ItemResult[] = [];
    const store = () => {
      items.sort((a, b) => Number(b.status === "succeeded") - Number(a.status === "succeeded")); // what went well says what a failure means
      const tellings: (() => void)[] = [];
      this.#store.transact(() => {
        for (const item of items) tellings.push(...this.#keep(id, purse, item));
      });
      for (const tell of tellings) tell();
      items = [];
    };
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      items.push(next.value);
      if (items.length >= saveTogether) store();
    }
    store();
  }

  /** Within a transaction: stores what became of one call. Gives what is to be counted once that is on disk. */
  #keep(id: string, purse: string, item: ItemResult): (() => void)[] {
    if (item.type !== "text") return [];
    const outcome = this.#readItem(item);
    if (!outcome) return []; // it is free again when the batch is closed
    const call = this.#store.batches.take(id, item.id);
    if (!call) return []; // somebody else has stored it
    const stored: StoredCall = {
      key: call.key,
      model: this.#model.identity,
      promptBytes: call.promptBytes,
      attempts: (this.#rounds.get(call.key)?.times ?? 0) + 1,
      latencyMs: 0,
      ...outcome(call),
    };
    this.#store.save(stored, purse);
    if (stored.state === "replied") this.#hasReplied = true;
    return [
      () => {
        this.#count.made++;
        if (stored.state === "failed") this.#count.failed++;
        if (stored.state === "replied" && !stored.usage) this.#count.withoutUsage++;
        this.#count.paid += stored.cost ?? 0;
        this.#count.inputTokens += stored.usage?.inputTokens ?? 0;
        this.#count.outputTokens += stored.usage?.outputTokens ?? 0;
      },
    ];
  }

  /** What an item of the results comes to; undefined when its call is to be handed in again. */
  #readItem(item: ItemResult & { type: "text" }): ((call: BatchCall) => Outcome) | undefined {
    if (item.status === "succeeded") {
      try {
        const reply = readReply(item.result);
        for (const warning of reply.warnings) this.#warnings.add(warning);
        return (call) => ({
          state: "replied",
          text: reply.text,
          ...(reply.logprobs && { logprobs: reply.logprobs }),
          finish: reply.finish,
          detail: null,
          build: reply.build ?? null,
          usage: reply.usage ?? null,
          cost: this.#batches.price ? this.#costOf(reply.usage, call) : null,
        });
      } catch (error) {
        return this.#again(item.id, messageOf(error));
      }
    }
    if (item.status !== "failed")
      return this.#again(item.id, item.status === "expired" ? "its batch expired" : "its batch was cancelled");
    const failure = readFailure(asCallError(item.error), Date.now());
    const detail = this.#model.redact(failure.detail);
    if (failure.kind === "state") return () => withoutReply(failure.state, detail);
    if (failure.kind === "retry") return this.#again(item.id, detail);
    const isRowPossible = failure.kind === "doubtful" || (failure.isRowPossible ?? false);
    if (isRowPossible && (this.#hasReplied || this.#store.hasReplyOf(this.#model.identity)))
      return () => withoutReply("failed", detail);
    this.#fail(
      failure.kind === "doubtful" ? `the request is not accepted (${detail})` : detail,
      failure.kind === "stop" && failure.isUsage,
    );
    return undefined;
  }

  /** A call that came to nothing stays in its batch, and is handed in again when that is closed. */
  #again(key: string, detail: string): undefined {
    this.#rounds.set(key, { times: this.#rounds.get(key)?.times ?? 0, detail });
    return undefined;
  }

  #costOf(usage: StoredCall["usage"] | undefined, call: BatchCall): number {
    if (!usage) return call.reserved;
    try {
      return this.#batches.price!.costOf(usage);
    } catch {
      return call.reserved;
    }
  }

  // --- finding what a killed process has handed in ---

  /**
   * Looks for a batch of which it is not known whether the provider has it, in the provider's list. Its calls are named by
   * their keys, so a batch that has ended tells whether it is the one. True when it was found.
   */
  async #find(batch: OpenBatch): Promise<boolean> {
    const { api } = this.#batches;
    if (!api.doListBatches) {
      this.#letGo(batch, "the provider has no list to look for it in", true);
      return false;
    }
    const restMs = batch.begunAt + (this.#options.listedAfterMs ?? defaultListedAfterMs) - Date.now();
    if (restMs > 0) {
      await this.#delay(restMs);
      if (this.#isInterrupted()) return false;
    }
    const candidates = await this.#try(() => this.#listCandidates(batch));
    if (!candidates) return false; // the next look will tell
    let mayBeOne = false;
    for (const { batchId, isEnded } of candidates) {
      const isIt = isEnded ? await this.#try(() => this.#holdsCallsOf(batch, batchId)) : undefined;
      if (isIt === true) {
        this.#store.transact(() => this.#store.batches.handedIn(batch.id, batchId));
        this.#count.attempts += batch.calls;
        await this.#followUp({ ...batch, providerId: batchId });
        return true;
      }
      if (isIt === undefined) mayBeOne = true; // it is at work still: what it holds is known when it ends
    }
    if (!mayBeOne) this.#letGo(batch, "it was never handed in", false);
    return false;
  }

  /** The provider does not have it: its calls are free again. */
  #letGo(batch: OpenBatch, detail: string, mayBePaid: boolean): void {
    this.#store.transact(() => {
      const reserved = this.#store.batches.end(batch.id, detail).reduce((sum, call) => sum + call.reserved, 0);
      if (mayBePaid) this.#store.bookPerhaps(batch.purse, reserved);
      if (mayBePaid) this.#count.perhapsPaid += reserved;
    });
    this.#isPassDue = true;
  }

  /** Batches at the provider that may be the one: of its time and size, and not known to be another. */
  async #listCandidates({ begunAt, calls }: OpenBatch): Promise<{ batchId: string; isEnded: boolean }[]> {
    const found: { batchId: string; isEnded: boolean }[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#batches.api.doListBatches!({
        limit: 100,
        ...(cursor !== undefined && { cursor }),
        abortSignal: AbortSignal.timeout(askTimeoutMs),
      });
      let isPast = page.batches.length > 0;
      for (const { batchId, status, createdAt, requestCounts } of page.batches) {
        const at = createdAt === undefined ? NaN : Date.parse(createdAt);
        if (!(at < begunAt - clockSkewMs)) isPast = false;
        const isOfItsTime = Number.isNaN(at) || (at >= begunAt - clockSkewMs && at <= begunAt + handingInMs);
        const total = requestCounts?.total ?? 0; // not counted yet, where it is 0
        if (isOfItsTime && (total === 0 || total === calls) && !this.#store.batches.knows(batchId))
          found.push({ batchId, isEnded: status !== "pending" });
      }
      cursor = isPast ? undefined : page.nextCursor; // the newest come first
    } while (cursor !== undefined);
    return found;
  }

  /** Whether a batch that has ended is made of our calls; one without any results is nobody's. */
  async #holdsCallsOf(batch: OpenBatch, batchId: string): Promise<boolean> {
    try {
      const stream = await this.#batches.api.doGetBatchResults({
        batchId,
        abortSignal: AbortSignal.timeout(startTimeoutMs),
      });
      const reader = stream.getReader();
      const first = await reader.read();
      await reader.cancel().catch(() => {});
      return !first.done && this.#store.batches.batchOf(first.value.id) === batch.id;
    } catch (error) {
      if (InvalidResponseDataError.isInstance(error) || InvalidArgumentError.isInstance(error)) return false; // it has no results to show
      throw error;
    }
  }

  // --- asking the provider ---

  /** Asks the provider about a batch, again where that may help; undefined when there is no answer now. */
  async #try<T>(ask: () => PromiseLike<T>): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof AlpagasusError) throw error;
        const failure = this.#readFailure(error);
        if (failure.kind === "stop" || failure.kind === "state" || failure.kind === "doubtful") {
          this.#fail(
            `a batch cannot be fetched (${failure.detail})`,
            false,
            "use the key that it was handed in with, or see alpagasus batches",
          );
          return undefined;
        }
        if (attempt >= mostTries) {
          this.#fail(failure.detail, false, "run the same command again later");
          return undefined;
        }
        if (this.#isInterrupted()) return undefined;
        await this.#pause(attempt, failure.retryAfterMs);
      }
    }
  }

  async #pause(attempt: number, retryAfterMs = 0): Promise<void> {
    await this.#delay(Math.max(retryAfterMs, Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1))));
  }

  #readFailure(error: unknown): Failure {
    const failure = readFailure(error, Date.now());
    return { ...failure, detail: this.#model.redact(failure.detail) };
  }

  #fail(detail: string, isUsage: boolean, advice?: string): void {
    if (this.#failure) return;
    const message = `${this.#model.name}: ${detail}${advice === undefined ? "" : `; ${advice}`}`;
    this.#failure = isUsage ? new UsageError(message) : new AlpagasusError(message);
    this.#stopped ??= "failure";
  }
}

type Outcome = Omit<StoredCall, "key" | "model" | "promptBytes" | "attempts" | "latencyMs">;

function withoutReply(state: "failed" | "refused", detail: string): Outcome {
  return { state, text: "", finish: null, detail, build: null, usage: null, cost: 0 };
}
