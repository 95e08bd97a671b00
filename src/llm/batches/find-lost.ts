import { InvalidArgumentError, InvalidResponseDataError } from "@ai-sdk/provider";
import { GoneError, nameAccount, type BatchContext } from "./batch-context.ts";
import type { OpenBatch } from "./batch-book.ts";
import { isMarkOf } from "./transport.ts";
import { askTimeoutMs, earlierMs, mostDownloads, retryDelay, startTimeoutMs, wholeDownloads } from "./policy.ts";

/**
 * Searches the provider's list for unconfirmed batches: no answer to their submission arrived, or the submitting process was
 * killed. Their calls and money stay held until the provider's list and clock settle the question:
 *
 * - The batch that carries our mark is the one. A batch with another mark is not.
 * - Where the list shows no marks, a batch is recognised only after it has ended: by the ids of its calls, which are their keys;
 *   at Anthropic these contain the mark too.
 * - A batch that is missing from the list for long enough was never created. One that was never sent needs no search.
 */
export class LostBatches {
  readonly #context: BatchContext;
  /** Whether the list has shown marks. If so, a batch without one is not ours. */
  #keepsMarks = false;
  /** When the search for each began, by our clock; for providers that send no time. */
  readonly #lookedAt = new Map<string, number>();

  constructor(context: BatchContext) {
    this.#context = context;
  }

  /** Searches for the batch with this id of ours, unless it is confirmed. */
  async look(id: string): Promise<void> {
    const batch = this.#context.find(id);
    if (batch?.providerId === null) await this.find(batch);
  }

  async find(batch: OpenBatch): Promise<void> {
    const { batches, store, account } = this.#context;
    const { api, transport } = batches;
    if (batch.sentAt === null) return this.#letGo(batch, "it was never sent");
    if (batch.account !== null && account !== null && batch.account !== account)
      return this.#hold(
        batch,
        `it was submitted with another key (${nameAccount(batch.account)}), and this key cannot see it`,
      );
    if (!api.doListBatches) return this.#hold(batch, "the provider has no list to look for it in");
    let candidates: readonly Candidate[] | undefined;
    try {
      candidates = await this.#context.ask(() => this.#listCandidates(batch));
    } catch (error) {
      if (!(error instanceof GoneError)) throw error;
      return this.#hold(batch, `the provider has no list to look for it in (${error.message})`);
    }
    if (!candidates) return; // tried again at the next look
    let mayBeOne = false;
    for (const candidate of candidates) {
      const { batchId, isMarked, isEnded } = candidate;
      const isIt = isMarked || (isEnded ? await this.#holdsCallsOf(batch, candidate) : undefined);
      if (isIt === true) {
        store.transact(() => store.batches.handedIn(batch.id, batchId));
        this.#context.tally.attempts += batch.calls;
        delete this.#context.troubles.lost;
        return;
      }
      if (isIt === undefined) mayBeOne = true; // not ended or not readable yet: its calls are known later
    }
    if (!mayBeOne && this.#isLongEnough(batch, transport?.providerNow()))
      this.#letGo(batch, "the provider's list does not have it");
    else if (mayBeOne)
      this.#context.troubles.lost =
        "an unconfirmed batch may be one that is still running; its calls are held until that one has ended";
    else
      this.#context.troubles.lost =
        "searching the provider's list for an unconfirmed batch; its calls are held meanwhile";
  }

  /** Whether it has been missing so long, by the provider's clock, that it would be listed if it existed. */
  #isLongEnough(batch: OpenBatch, providerNow: number | undefined): boolean {
    const { store, clock, listedAfterMs } = this.#context;
    if (providerNow === undefined) {
      const first = this.#lookedAt.get(batch.id) ?? clock.now();
      this.#lookedAt.set(batch.id, first);
      return clock.now() - first >= listedAfterMs;
    }
    if (batch.lookedAt === null) store.transact(() => store.batches.lookedFor(batch.id, providerNow));
    return providerNow - (batch.lookedAt ?? providerNow) >= listedAfterMs;
  }

  /** Closes a batch that the provider does not have, and frees its calls and their money. */
  #letGo({ id }: OpenBatch, detail: string): void {
    const { store } = this.#context;
    store.transact(() => {
      if (this.#context.find(id)?.providerId === null) store.batches.end(id, detail); // unless found meanwhile
    });
    delete this.#context.troubles.lost;
    this.#context.isPassDue = true;
  }

  /** Notes why a batch cannot be searched for. Its calls stay held until the user decides. */
  #hold({ id }: OpenBatch, problem: string): void {
    const { store } = this.#context;
    store.transact(() => store.batches.setProblem(id, problem));
  }

  /** The provider's batches that may be this one: with its mark, or unmarked with fitting time and size and not yet known. */
  async #listCandidates({ id, sentAt, calls }: OpenBatch): Promise<Candidate[]> {
    const { batches, store } = this.#context;
    const found: Candidate[] = [];
    let cursor: string | undefined;
    let first: number | undefined;
    do {
      const page = await batches.api.doListBatches!({
        limit: 100,
        ...(cursor !== undefined && { cursor }),
        abortSignal: AbortSignal.timeout(askTimeoutMs),
      });
      let isPast = page.batches.length > 0 && sentAt! > 0;
      let last = first;
      for (const { batchId, status, createdAt, requestCounts } of page.batches) {
        const mark = batches.transport?.markOf(batchId);
        if (typeof mark === "string" && batches.transport?.listsMarks) this.#keepsMarks = true;
        const at = createdAt === undefined ? NaN : Date.parse(createdAt);
        const isEarlier = sentAt! > 0 && at < sentAt! - earlierMs;
        first ??= at;
        last = at;
        if (!isEarlier) isPast = false;
        const isMarked = typeof mark === "string" && isMarkOf(mark, id);
        const total = requestCounts?.total ?? 0; // 0: not counted yet
        const mayBe = typeof mark !== "string" && !this.#keepsMarks && !isEarlier && (total === 0 || total === calls);
        if (isMarked || (mayBe && !store.batches.knows(batchId)))
          found.push({ batchId, isMarked, isEnded: status !== "pending", total });
      }
      const isNewestFirst = first !== undefined && last !== undefined && last < first;
      cursor = isPast && isNewestFirst ? undefined : page.nextCursor;
    } while (cursor !== undefined);
    const marked = found.filter(({ isMarked }) => isMarked);
    return marked.length > 0 ? marked : this.#keepsMarks ? [] : found;
  }

  /**
   * Whether a provider's batch that has ended holds the calls of this batch; undefined when that cannot be known now. Results
   * without any call of ours are read again, because a download may end early without an error.
   */
  async #holdsCallsOf(batch: OpenBatch, { batchId, total }: Candidate): Promise<boolean | undefined> {
    try {
      for (let download = 1, whole = 0; download <= mostDownloads; download++) {
        const seen = await this.#context.ask(() => this.#readOwner(batchId));
        if (seen === undefined) return undefined;
        if (seen.mark !== undefined) return isMarkOf(seen.mark, batch.id);
        if (seen.owner !== undefined) return seen.owner === batch.id;
        if (seen.rows >= total && ++whole >= wholeDownloads) return false;
        await this.#context.sleep(retryDelay(download));
        if (this.#context.isInterrupted()) return undefined;
      }
      return false;
    } catch (error) {
      if (error instanceof GoneError) return false;
      if (InvalidArgumentError.isInstance(error)) return false; // its results are gone, or it is still running
      if (InvalidResponseDataError.isInstance(error)) return undefined; // its results are not ready yet
      throw error;
    }
  }

  /** Reads results up to the first row that identifies the batch, by a mark or by a call of ours. `rows`: how many were read. */
  async #readOwner(
    batchId: string,
  ): Promise<{ readonly mark?: string; readonly owner?: string; readonly rows: number }> {
    const { batches, store } = this.#context;
    const { transport } = batches;
    const stream = await batches.api.doGetBatchResults({ batchId, abortSignal: AbortSignal.timeout(startTimeoutMs) });
    const reader = stream.getReader();
    try {
      let rows = 0;
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        rows++;
        const mark = transport?.markOf(batchId);
        if (typeof mark === "string") return { mark, rows };
        const owner = store.batches.batchOf(next.value.id);
        if (owner !== undefined) return { owner, rows };
      }
      return { rows };
    } finally {
      await reader.cancel().catch(() => {});
    }
  }
}

interface Candidate {
  readonly batchId: string;
  readonly isMarked: boolean;
  readonly isEnded: boolean;
  /** Calls in it; 0 when the provider does not say. */
  readonly total: number;
}
