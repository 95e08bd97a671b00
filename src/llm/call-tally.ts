import type { StoredCall } from "./stored-call.ts";

/** Why nothing more is sent. `batches`: the remaining calls are in batches that have not ended. */
export type StopReason = "interrupted" | "budget" | "failure" | "batches";

/** What an engine did so far. Money in billionths of a US dollar. */
export interface CallsReport {
  /** Calls that were sent and have an outcome. */
  readonly made: number;
  /** Calls whose outcome was in the store already. */
  readonly stored: number;
  /** Calls that were the same as one in progress, and share its reply. */
  readonly shared: number;
  readonly attempts: number;
  readonly failed: number;
  /** Replies without usage from the provider; they are counted at their highest possible cost. */
  readonly withoutUsage: number;
  /** Calls that wait for their next attempt. */
  readonly waiting: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The cost of the calls that were made; null when no price is known. */
  readonly paid: number | null;
  /** An upper bound for what attempts whose reply never arrived may have cost. */
  readonly perhapsPaid: number;
  readonly inFlight: number;
  readonly stopped: StopReason | undefined;
  /** The error that stopped it for good, in a line. */
  readonly failure: string | undefined;
  /** Calls that are in batches at the provider, without an outcome yet. */
  readonly inBatches: number;
  /** Settings that the model's client ignored. */
  readonly warnings: readonly string[];
  /** What went wrong lately, while it may still matter: `15 attempts failed, the last: no reply within 900 s`. */
  readonly trouble?: string | undefined;
}

const troubleMs = 60_000;

/** Counts calls as their outcomes reach the disk: for direct calls and for those in batches. */
export class CallTally {
  made = 0;
  stored = 0;
  shared = 0;
  attempts = 0;
  failed = 0;
  withoutUsage = 0;
  inputTokens = 0;
  outputTokens = 0;
  paid = 0;
  perhapsPaid = 0;
  inBatches = 0;
  readonly warnings = new Set<string>();
  failedAttempts = 0;
  #lastFailure: { readonly detail: string; readonly at: number } | undefined;

  /** @param now milliseconds of the monotonic clock */
  addFailedAttempt(detail: string, now: number): void {
    this.failedAttempts++;
    this.#lastFailure = { detail, at: now };
  }

  get lastFailure(): string | undefined {
    return this.#lastFailure?.detail;
  }

  /**
   * What went wrong in the last minute; undefined if nothing did.
   *
   * @param atATime how many calls the provider is sent at once now
   */
  trouble(now: number, atATime: number): string | undefined {
    if (!this.#lastFailure || now - this.#lastFailure.at > troubleMs) return undefined;
    const attempts = this.failedAttempts === 1 ? "1 attempt" : `${this.failedAttempts} attempts`;
    return `${attempts} failed, the last: ${this.#lastFailure.detail}; ${atATime} at a time now`;
  }

  /** @param perhapsPaid what earlier attempts at it may have cost, in billionths of a US dollar */
  addOutcome({ state, usage, cost }: Pick<StoredCall, "state" | "usage" | "cost">, perhapsPaid = 0): void {
    this.made++;
    if (state === "failed") this.failed++;
    if (state === "replied" && !usage) this.withoutUsage++;
    this.paid += cost ?? 0;
    this.perhapsPaid += perhapsPaid;
    this.inputTokens += usage?.inputTokens ?? 0;
    this.outputTokens += usage?.outputTokens ?? 0;
  }

  /** The counts of a report. */
  get counts(): Omit<CallsReport, "paid" | "waiting" | "trouble" | "inFlight" | "stopped" | "failure"> & {
    readonly paid: number;
  } {
    const { made, stored, shared, attempts, failed, withoutUsage, inputTokens, outputTokens, paid } = this;
    const { perhapsPaid, inBatches, warnings } = this;
    return {
      made,
      stored,
      shared,
      attempts,
      failed,
      withoutUsage,
      inputTokens,
      outputTokens,
      paid,
      perhapsPaid,
      inBatches,
      warnings: [...warnings],
    };
  }
}

/** Adds the reports of two engines. */
export function addCalls(one: CallsReport, other: CallsReport): CallsReport {
  const paid = one.paid === null || other.paid === null ? null : one.paid + other.paid;
  const stopped = one.stopped ?? other.stopped;
  return {
    made: one.made + other.made,
    stored: one.stored + other.stored,
    shared: one.shared + other.shared,
    attempts: one.attempts + other.attempts,
    failed: one.failed + other.failed,
    withoutUsage: one.withoutUsage + other.withoutUsage,
    waiting: one.waiting + other.waiting,
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    paid,
    perhapsPaid: one.perhapsPaid + other.perhapsPaid,
    inFlight: one.inFlight + other.inFlight,
    inBatches: one.inBatches + other.inBatches,
    stopped: one.stopped === "failure" || other.stopped === "failure" ? "failure" : stopped,
    failure: one.failure ?? other.failure,
    warnings: [...one.warnings, ...other.warnings],
    trouble: one.trouble ?? other.trouble,
  };
}
