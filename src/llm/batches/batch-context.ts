import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AlpagasusError } from "../../errors.ts";
import type { CallStore } from "../call-store.ts";
import { CallTally, type StopReason } from "../call-tally.ts";
import { readFailure, type Failure } from "../failure.ts";
import { errorOf } from "../give-up-policy.ts";
import type { ChatModel, ModelBatches } from "../chat-model.ts";
import { isOutOfRoom } from "../spare-room.ts";
import { flatPrice, nanosPerUsd, type Price } from "../price.ts";
import type { OpenBatch } from "./batch-book.ts";
import { defaultListedAfterMs, mostTries, LearntLimit, retryDelay } from "./policy.ts";

/** A monotonic clock: setting the system's time does not change it. */
export interface BatchClock {
  /** Milliseconds that only go forward. */
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface BatchAskerOptions {
  readonly store: CallStore;
  /** The account that the calls are paid from. A budget covers everything ever paid from it. */
  readonly purse: string;
  /** US dollars that may be spent from the purse, by all processes together. */
  readonly budgetUsd?: number | undefined;
  /** Most calls in one batch. */
  readonly batchSize?: number | undefined;
  /** Submit calls again that failed earlier. */
  readonly retryFailed?: boolean | undefined;
  /** Wait until all batches have ended (the default). Otherwise fetch what is ready, submit what is left, and return. */
  readonly wait?: boolean | undefined;
  /** Stops submitting and waiting. Submitted batches stay at the provider; a later command fetches them. */
  readonly signal?: AbortSignal | undefined;
  /** How long an unconfirmed batch is searched for, by the provider's clock, before it counts as never created. */
  readonly listedAfterMs?: number | undefined;
  readonly clock?: BatchClock | undefined;
}

const systemClock: BatchClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}), // the caller checks the signal
};

/** State that `HandIn`, `FollowUp` and `LostBatches` share. */
export class BatchContext {
  readonly model: ChatModel;
  readonly batches: ModelBatches;
  readonly store: CallStore;
  readonly options: BatchAskerOptions;
  readonly clock: BatchClock;
  /** How many calls the provider accepts, in one batch and in all unfinished batches together. */
  readonly limits = { batch: new LearntLimit(), queue: new LearntLimit() };
  /** By batch: how many calls the provider's queue held when it was submitted, its own included. */
  readonly queuedWith = new Map<string, number>();
  readonly listedAfterMs: number;
  readonly tally = new CallTally();
  /** Batches that hold calls that this command needs. */
  readonly awaited = new Set<string>();
  /** Calls that this command saw end without a reply; it does not submit them again. */
  readonly settled = new Set<string>();
  /** Batches that have ended at the provider; they no longer fill its queue. */
  readonly ended = new Set<string>();
  hasReplied = false;
  /** Whether some calls may still have to be submitted. */
  isPassDue = true;
  stopped: StopReason | undefined;
  failure: AlpagasusError | undefined;
  /** Current problems for the progress line: no answers, a submission not accepted, an unconfirmed batch. */
  readonly troubles: Partial<Record<"answers" | "room" | "lost", string>> = {};
  /** Nothing is submitted before this time of `clock`. */
  notBefore = 0;

  constructor(model: ChatModel, batches: ModelBatches, options: BatchAskerOptions) {
    this.model = model;
    this.batches = batches;
    this.options = options;
    this.store = options.store;
    this.clock = options.clock ?? systemClock;
    this.listedAfterMs = options.listedAfterMs ?? defaultListedAfterMs;
  }

  /** Open batches of this model, oldest first. */
  open(): OpenBatch[] {
    return this.store.batches.open(this.model.identity);
  }

  find(id: string): OpenBatch | undefined {
    return this.open().find((batch) => batch.id === id);
  }

  /** Hash of the API key that this command uses; null when unknown. */
  get account(): string | null {
    return this.batches.account ?? null;
  }

  /** The price of a batch's calls: this command's, else the one that it was submitted with. */
  priceOf({ price }: Pick<OpenBatch, "price">): Price | undefined {
    return (
      this.batches.price ??
      (price ? flatPrice(price.input, price.output, "the price that it was handed in with") : undefined)
    );
  }

  get budget(): number {
    const { budgetUsd } = this.options;
    return budgetUsd === undefined ? Infinity : Math.floor(budgetUsd * nanosPerUsd);
  }

  isInterrupted(): boolean {
    if (this.options.signal?.aborted) this.stopped ??= "interrupted";
    return this.stopped !== undefined;
  }

  sleep(ms: number): Promise<void> {
    return this.clock.sleep(ms, this.options.signal);
  }

  /** @throws what the store threw: it says nothing of the provider */
  readFailure(error: unknown): Failure {
    if (isOutOfRoom(error)) throw error;
    const failure = readFailure(error, Date.now(), (text) => this.model.redact(text));
    return { ...failure, detail: this.model.redact(failure.detail) };
  }

  fail(detail: string, isUsage: boolean, advice?: string): void {
    if (this.failure) return;
    this.failure = errorOf(this.model, { detail, isUsage, advice });
    this.stopped ??= "failure";
  }

  /**
   * Asks the provider about a batch. When a temporary failure occurs, a command that waits notes it in `troubles` and looks again
   * later; a command that does not wait retries a few times.
   *
   * @returns undefined when there is no answer now
   * @throws GoneError when the provider does not know the batch, or does not show it to this key
   */
  async ask<T>(question: () => PromiseLike<T>): Promise<T | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await question();
        delete this.troubles.answers;
        return answer;
      } catch (error) {
        if (error instanceof AlpagasusError) throw error;
        const status = (error as { statusCode?: unknown } | null)?.statusCode;
        const failure = this.readFailure(error);
        if (typeof status === "number" && goneStatuses.has(status) && !/<html/i.test(failure.detail))
          throw new GoneError(failure.detail);
        if (failure.kind === "stop" && (status === 401 || failure.detail.includes("certificate"))) {
          this.fail(
            failure.detail,
            failure.isUsage,
            "use the key that the batches were submitted with, or see alpagasus batches",
          );
          return undefined;
        }
        this.troubles.answers = failure.detail;
        if (this.options.wait !== false || attempt >= mostTries || this.isInterrupted()) return undefined;
        await this.sleep(retryDelay(attempt, failure.kind === "retry" ? failure.retryAfterMs : undefined));
      }
    }
  }
}

/** HTTP statuses for a batch that the provider does not know, or does not show to this key. */
const goneStatuses: ReadonlySet<number> = new Set([400, 403, 404, 410]);

/** The provider does not know a batch, or does not show it to this key. */
export class GoneError extends AlpagasusError {
  override name = "GoneError";
}

/** A short label of an API key for messages. @param account the key's hash */
export function nameAccount(account: string | null): string {
  return account === null ? "an unknown key" : `the key …${hash("sha256", account).slice(0, 6)}`;
}
