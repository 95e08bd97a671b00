import { InvalidArgumentError, type Experimental_BatchV4Status as ProviderStatus } from "@ai-sdk/provider";
import { formatCount } from "../../format.ts";
import { withoutReply } from "../endings.ts";
import { describeOverReserve, overReserveAdvice } from "../request-cost.ts";
import type { StoredCall } from "../stored-call.ts";
import type { BatchCall, OpenBatch } from "./batch-book.ts";
import { type BatchContext, GoneError, nameAccount } from "./batch-context.ts";
import { type Fetched, type Row, describeMissing, isBilled } from "./fetched.ts";
import type { LostBatches } from "./find-lost.ts";
import type { HandIn } from "./hand-in.ts";
import {
  askTimeoutMs,
  isQueueFull,
  isTooLarge,
  mostDownloads,
  mostRounds,
  retryDelay,
  saveTogether,
  startTimeoutMs,
} from "./policy.ts";
import { type Outcome, type RowOutcome, readRow } from "./row-outcome.ts";
import type { RawReply } from "./transport.ts";

/** Checks the status of batches and stores their outcomes, each once, whichever process fetches it. */
export class FollowUp {
  readonly #context: BatchContext;
  readonly #handIn: HandIn;
  readonly #lost: LostBatches;

  constructor(context: BatchContext, handIn: HandIn, lost: LostBatches) {
    this.#context = context;
    this.#handIn = handIn;
    this.#lost = lost;
  }

  /** Checks one batch, and stores its results if it has ended. A batch that is gone does not hold up others. */
  async look(batch: OpenBatch): Promise<void> {
    const { store } = this.#context;
    const known = batch.providerId === null ? await this.#findName(batch) : batch;
    if (!known || known.providerId === null) return;
    try {
      await this.#fetchEnded(known, known.providerId);
    } catch (error) {
      if (!(error instanceof GoneError)) throw error;
      const { account } = this.#context;
      const isOthers = known.account !== null && account !== null && known.account !== account;
      const whose = isOthers ? `; it was handed in with another key (${nameAccount(known.account)})` : "";
      store.transact(() =>
        store.batches.setProblem(known.id, `the provider does not return it (${error.message})${whose}`),
      );
    } finally {
      this.#context.batches.transport?.forgetRows();
    }
  }

  async #findName(batch: OpenBatch): Promise<OpenBatch | undefined> {
    const { store } = this.#context;
    if (store.batches.beingSent.has(batch.id)) return undefined;
    if (!store.isOwn(batch.owner) && store.isAlive(batch.owner)) return undefined; // that process is submitting it
    await this.#lost.find(batch);
    return this.#context.find(batch.id);
  }

  async #fetchEnded(batch: OpenBatch, providerId: string): Promise<void> {
    const { batches, store } = this.#context;
    const status = await this.#context.ask(() =>
      batches.api.doGetBatchStatus({ batchId: providerId, abortSignal: AbortSignal.timeout(askTimeoutMs) }),
    );
    if (!status) return;
    if (status.status === "pending") {
      if (batch.problem !== null) store.transact(() => store.batches.setProblem(batch.id, null));
      return;
    }
    this.#context.ended.add(batch.id);
    const completed = status.requestCounts?.completed ?? (status.status === "completed" ? batch.calls : 0);
    for (let download = 1; ; download++) {
      const fetched = await this.#context.ask(() => this.#fetch(batch, providerId));
      if (!fetched) return;
      const isShort = completed > fetched.replies.size;
      if (!isShort || download >= mostDownloads) return this.#close(batch, status, fetched);
      await this.#context.sleep(retryDelay(download)); // a download may end early without an error
      if (this.#context.options.signal?.aborted) return;
    }
  }

  /** Fetches the results and stores them. Rows that were read before a failure are kept. */
  async #fetch(batch: OpenBatch, providerId: string): Promise<Fetched> {
    const fetched: Fetched = {
      again: new Map(),
      replies: new Set(),
      rows: new Set(),
      nameless: [],
      doubtful: [],
      isCancelled: false,
    };
    let rows: Row[] = [];
    const save = () => {
      // Replies first: whether there are any decides what an error means.
      const some = rows.toSorted((a, b) => Number(b.status === "succeeded") - Number(a.status === "succeeded"));
      rows = [];
      this.#save(batch, some, fetched);
    };
    try {
      const stream = await this.#context.batches.api.doGetBatchResults({
        batchId: providerId,
        abortSignal: AbortSignal.timeout(startTimeoutMs),
      });
      const reader = stream.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (next.value.type !== "text") continue;
        rows.push(next.value);
        if (rows.length >= saveTogether) save();
      }
    } catch (error) {
      if (InvalidArgumentError.isInstance(error) && /no longer available/.test(error.message))
        throw new GoneError(error.message);
      throw error;
    } finally {
      save();
    }
    const { doubtful } = fetched;
    fetched.doubtful = [];
    this.#save(batch, doubtful, fetched);
    return fetched;
  }

  /** Stores rows in one transaction, and counts them once they are on disk. */
  #save(batch: OpenBatch, rows: readonly Row[], fetched: Fetched): void {
    if (rows.length === 0) return;
    const { store } = this.#context;
    const tellings: (() => void)[] = [];
    store.transact(() => {
      for (const row of rows) {
        const isOurs = store.batches.batchOf(row.id) === batch.id || store.stateOf(row.id) !== undefined;
        if (isOurs) fetched.rows.add(row.id);
        const raw = this.#context.batches.transport?.replyOf(row.id);
        if (isOurs && isBilled(row, raw !== undefined)) fetched.replies.add(row.id);
        tellings.push(...this.#saveRow(batch, row, raw, fetched));
      }
    });
    for (const tell of tellings) tell();
  }

  #saveRow(batch: OpenBatch, row: Row, raw: RawReply | undefined, fetched: Fetched): (() => void)[] {
    const { model, store } = this.#context;
    this.#context.hasReplied ||= row.status !== "succeeded" && store.hasReplyOf(model.identity);
    const outcome = this.#read(batch, row, raw, this.#context.hasReplied);
    if (outcome.kind === "again") fetched.again.set(row.id, outcome);
    else if (outcome.kind === "cancelled") fetched.isCancelled = true;
    else if (outcome.kind === "stop") fetched.doubtful.push(row);
    else return this.#keep(batch, row.id, outcome, fetched);
    return [];
  }

  #read(batch: OpenBatch, row: Row, raw: RawReply | undefined, hasReplied: boolean): RowOutcome {
    const { model } = this.#context;
    return readRow(row, {
      price: this.#context.priceOf(batch),
      hasReplied,
      redact: (text, of) => model.redact(text, of),
      raw,
    });
  }

  /** Stores the outcome of one call. Returns functions that count it once it is on disk. */
  #keep(
    batch: OpenBatch,
    key: string,
    row: RowOutcome & { readonly kind: "outcome" | "unreadable" },
    fetched: Fetched,
  ): (() => void)[] {
    const { store, settled, tally } = this.#context;
    const call = store.batches.take(batch.id, key);
    if (!call) {
      if (row.kind === "unreadable" && key.startsWith("unreadable-")) fetched.nameless.push(row.detail);
      return []; // another process has stored it
    }
    if (row.kind === "unreadable") return this.#keepPerhapsPaid(batch, call, row.detail, row.state);
    for (const warning of row.warnings) tally.warnings.add(warning);
    const outcome = row.of(call);
    if (outcome.state === "replied") this.#context.hasReplied = true;
    else settled.add(key);
    const excess = this.#context.budget < Infinity ? describeOverReserve(outcome.cost, call.reserved) : undefined;
    if (excess !== undefined) this.#context.fail(excess, false, overReserveAdvice);
    return this.#store(batch, call, outcome);
  }

  /** Stores a call that may have been billed but has no readable reply; its reserve is perhaps paid. */
  #keepPerhapsPaid(
    batch: OpenBatch,
    call: BatchCall,
    detail: string,
    state: "failed" | "refused" = "failed",
  ): (() => void)[] {
    this.#context.settled.add(call.key);
    return [...this.#store(batch, call, withoutReply(state, detail)), ...this.#bookPerhaps(batch, call)];
  }

  #bookPerhaps(batch: OpenBatch, { reserved }: BatchCall): (() => void)[] {
    const { store, tally } = this.#context;
    store.bookPerhaps(batch.purse, reserved);
    return [() => void (tally.perhapsPaid += reserved)];
  }

  #store(batch: OpenBatch, call: BatchCall, outcome: Outcome): (() => void)[] {
    const { store, model, tally } = this.#context;
    const { key, promptBytes } = call;
    const attempts = (store.batches.roundsOf(key)?.times ?? 0) + 1;
    const stored: StoredCall = { key, model: model.identity, promptBytes, attempts, ...outcome };
    store.save(stored, batch.purse);
    store.batches.clearRounds(key);
    return [() => tally.addOutcome(stored)];
  }

  /** Closes an ended batch. Calls without an outcome are submitted again, or stored as failed. */
  #close(batch: OpenBatch, status: ProviderStatus, fetched: Fetched): void {
    const { store, limits, queuedWith } = this.#context;
    const providerId = batch.providerId!;
    const isExpired = /expired/i.test(status.rawStatus ?? "");
    const isCancelled = fetched.isCancelled || /cancel/i.test(status.rawStatus ?? "");
    const said = [status.error?.code, status.error?.message].filter((text) => text !== undefined).join(": ");
    const why = this.#context.model.redact(said || (status.rawStatus ?? "it ended without results"));
    const isRefused = status.status === "failed" && fetched.rows.size === 0 && !isExpired && !isCancelled;
    const completed = status.requestCounts?.completed ?? (status.status === "completed" ? batch.calls : 0);
    const isShort = completed > fetched.replies.size; // some paid replies never arrived
    const tellings: (() => void)[] = [];
    const left = store.transact(() => {
      const calls = store.batches.end(batch.id, isRefused ? why : null);
      const isDoubtful = new Set(fetched.doubtful.map(({ id }) => id));
      for (const call of calls) {
        const again = fetched.again.get(call.key);
        if (isRefused || isDoubtful.has(call.key)) continue; // never processed, so this is no try
        const isSilent = !fetched.rows.has(call.key);
        if (again?.mayBePaid) tellings.push(...this.#bookPerhaps(batch, call));
        if (again !== undefined) tellings.push(...this.#again(batch, call, again.detail));
        else if (isSilent && isShort)
          tellings.push(...this.#keepPerhapsPaid(batch, call, describeMissing(fetched.nameless)));
        else if (isExpired) tellings.push(...this.#again(batch, call, "its batch expired"));
        else if (isCancelled) continue;
        else tellings.push(...this.#again(batch, call, `its batch ended without it (${why})`));
      }
      return calls.length;
    });
    for (const tell of tellings) tell();
    if (fetched.replies.size > 0) {
      limits.batch.wentWell(batch.calls);
      limits.queue.wentWell(Math.max(batch.calls, queuedWith.get(batch.id) ?? 0));
    }
    if (left === 0) return;
    this.#context.isPassDue = true;
    if (isRefused) this.#meetRefusal(batch, why);
    else if (fetched.doubtful.length > 0) this.#failDoubtful(batch, fetched.doubtful[0]!);
    else if (isCancelled)
      this.#context.fail(
        `the batch ${providerId} was cancelled at the provider`,
        false,
        "run the same command again to hand in the rest",
      );
  }

  /** Notes that a call got no outcome. It is submitted up to `mostRounds` times, then stored as failed. */
  #again(batch: OpenBatch, call: BatchCall, detail: string): (() => void)[] {
    const { store, settled } = this.#context;
    if (store.batches.addRound(call.key, detail) < mostRounds) return [];
    settled.add(call.key);
    return this.#store(batch, call, withoutReply("failed", `gave up after ${mostRounds} batches: ${detail}`));
  }

  /** Handles a batch that was refused as a whole, which is no try. If it was too much at once, later batches are smaller. */
  #meetRefusal(batch: OpenBatch, why: string): void {
    const { limits } = this.#context;
    if (isQueueFull(why)) this.#handIn.refuse(batch.id, batch.calls, why);
    else if (isTooLarge(undefined, why) && batch.calls > 1) limits.batch.refused(batch.calls);
    else
      this.#context.fail(
        `the batch ${batch.providerId} of ${formatCount(batch.calls)} calls has failed (${why})`,
        false,
      );
  }

  #failDoubtful(batch: OpenBatch, row: Row): void {
    const outcome = this.#read(batch, row, this.#context.batches.transport?.replyOf(row.id), false);
    if (outcome.kind === "stop") this.#context.fail(outcome.detail, outcome.isUsage);
  }
}
