import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AlpagasusError } from "../../errors.ts";
import type { CallStore } from "../call-store.ts";
import { CallTally, type StopReason } from "../call-tally.ts";
import { readFailure, type Failure } from "../failure.ts";
import { errorOf } from "../give-up-policy.ts";
import type { ChatModel, ModelBatches } from "../open-model.ts";
import { flatPrice, nanosPerUsd, type Price } from "../price.ts";
import type { OpenBatch } from "./batch-book.ts";
import { defaultListedAfterMs, mostTries, LearntLimit, retryDelay } from "./policy.ts";

/** Time as a command sees it: never a clock that somebody may set. */
export interface BatchClock {
  /** Milliseconds that only go forward. */
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

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
  /** How long a batch whose start was not confirmed is looked for, by the provider's clock. */
  readonly listedAfterMs?: number;
  readonly clock?: BatchClock;
}

const systemClock: BatchClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { ...(signal && { signal }) }).catch(() => {}), // whoever waits looks at the signal
};

/** What handing in, following up and finding the lost have in common. */
export class BatchContext {
  readonly model: ChatModel;
  readonly batches: ModelBatches;
  readonly store: CallStore;
  readonly options: BatchAskerOptions;
  readonly clock: BatchClock;
  /** Calls of one batch, and calls of all batches together that the provider takes. */
  readonly limits = { batch: new LearntLimit(), queue: new LearntLimit() };
  /** How many calls were in the queue with a batch when that was handed in, itself included. */
  readonly queuedWith = new Map<string, number>();
  readonly listedAfterMs: number;
  readonly tally = new CallTally();
  /** Batches that hold calls of this user's. */
  readonly awaited = new Set<string>();
  /** Calls that this command has given up. */
  readonly settled = new Set<string>();
  /** Batches that have ended at the provider: they take no room there any more. */
  readonly ended = new Set<string>();
  hasReplied = false;
  /** Whether calls may be left that are in no batch. */
  isPassDue = true;
  stopped: StopReason | undefined;
  failure: AlpagasusError | undefined;
  /** What is waited for beside the batches, each in a line: answers, room, batches of which it is not known whether they are there. */
  readonly troubles: Partial<Record<"answers" | "room" | "lost", string>> = {};
  /** Not to be handed in before this time of the clock. */
  notBefore = 0;

  constructor(model: ChatModel, batches: ModelBatches, options: BatchAskerOptions) {
    this.model = model;
    this.batches = batches;
    this.options = options;
    this.store = options.store;
    this.clock = options.clock ?? systemClock;
    this.listedAfterMs = options.listedAfterMs ?? defaultListedAfterMs;
  }

  /** Batches of this model without all outcomes, the oldest first. */
  open(): OpenBatch[] {
    return this.store.batches.open(this.model.identity);
  }

  find(id: string): OpenBatch | undefined {
    return this.open().find((batch) => batch.id === id);
  }

  /** Which key this command uses. */
  get account(): string | null {
    return this.batches.account ?? null;
  }

  /** What calls of a batch cost: by this command's price, else by that of whoever handed it in. */
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

  readFailure(error: unknown): Failure {
    const failure = readFailure(error, Date.now());
    return { ...failure, detail: this.model.redact(failure.detail) };
  }

  fail(detail: string, isUsage: boolean, advice?: string): void {
    if (this.failure) return;
    this.failure = errorOf(this.model, { detail, isUsage, advice });
    this.stopped ??= "failure";
  }

  /**
   * Asks the provider about a batch. What passes is waited out: a command that waits says so and looks again later, one that does not
   * asks a few times.
   *
   * @returns undefined where there is no answer now
   * @throws GoneError where the provider does not know the batch
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
            "use the key that the batches were handed in with, or see alpagasus batches",
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

/** What providers answer about a batch that they do not know, or do not show to this key. */
const goneStatuses: ReadonlySet<number> = new Set([400, 403, 404, 410]);

/** The provider does not know a batch, or does not show it to this key. */
export class GoneError extends AlpagasusError {
  override name = "GoneError";
}

/** A short name of a key, to tell one from another. */
export function nameAccount(account: string | null): string {
  return account === null ? "an unknown key" : `the key …${hash("sha256", account).slice(0, 6)}`;
}
