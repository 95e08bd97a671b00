/*
 * The policy for batches: sizes, waits, retries, and how provider messages are read. Constants and pure functions only.
 */

/** Calls in a batch. Smaller batches end sooner, and less is repeated when one fails. */
export const defaultBatchSize = 10_000;
/** Share of the provider's limit on bytes that a batch may fill. */
export const bytesShare = 0.9;
/** Bytes that a batch adds around each call's request. */
export const bytesAround = 500;
/** How often a call is submitted that expires or has a temporary failure. */
export const mostRounds = 4;
/** Unconfirmed submissions in a row after which a command stops. */
export const mostUnknownStarts = 6;
/** Attempts at a request before a command that does not wait gives up. */
export const mostTries = 6;

const firstDelayMs = 500;
const longestDelayMs = 30_000;
/** Longest wait that a provider may ask for: batches that end meanwhile must be fetched. */
const longestRetryAfterMs = 600_000;
const leastPollMs = 500;
const longestPollMs = 60_000;
/** Time until the next look, as a share of the time waited so far. */
const pollShare = 0.1;
/** How often results with fewer rows than the provider counts are fetched before the missing ones count as lost. */
export const mostDownloads = 4;
/** How often results are read whole without a call of ours before they count as another batch's. */
export const wholeDownloads = 2;
/** Failed looks until a batch counts as gone: the provider may not know a new one everywhere yet. */
export const looksBeforeGone = 3;
/** Wait when the queue is full of batches that are not ours. */
export const queueDelayMs = 60_000;

/** Outcomes stored in one transaction. */
export const saveTogether = 500;
export const startTimeoutMs = 900_000; // a large file takes its time
export const askTimeoutMs = 300_000;

/** How long an unconfirmed batch must be missing from the provider's list, by the provider's clock, to count as never created. */
export const defaultListedAfterMs = 120_000;
/** A batch created this long before the submission was sent, by the provider's clock, is another one. */
export const earlierMs = 60_000;

/** Factor by which a limit grows after enough successes, and the most successes that this may require. */
const growth = 2;
const mostSuccessesToGrow = 64;
/** Bisection ends when accepted and refused sizes differ by less than this share. */
const nearShare = 0.1;
/** Least free share of the queue limit worth a batch while the queue holds other calls. */
export const leastRoomShare = 0.25;

/** Most characters that are quoted of an unreadable line. */
export const shownOfLine = 200;

/** Whether a batch was refused because the queue is full. That is no try, and later batches are smaller. */
export function isQueueFull(text: string): boolean {
  return /token_limit|enqueued|queue|in.progress batch|concurrent.batch|batch.{0,40}(limit|quota)|too many batch/i.test(
    text,
  );
}

/** Whether a refusal is about the size of one batch. */
export function isTooLarge(status: number | undefined, text: string): boolean {
  return (
    status === 413 ||
    /request_too_large|too large|too many (requests|lines|rows)|maximum (file )?size|exceeds? .{0,40}(bytes|MB|size|lines|requests)/i.test(
      text,
    )
  );
}

/** How long to wait before the provider is asked again. */
export function retryDelay(attempt: number, retryAfterMs = 0): number {
  return Math.max(
    Math.min(longestRetryAfterMs, retryAfterMs),
    Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1)),
  );
}

/** How long to wait before the next look at batches. @param waitedMs how long they have been waited for */
export function pollDelay(waitedMs: number): number {
  return Math.min(longestPollMs, Math.max(leastPollMs, pollShare * waitedMs));
}

/**
 * Learns how many calls the provider accepts, by bisection between the most that it accepted and the fewest that it refused.
 * After enough successes, more are tried.
 */
export class LearntLimit {
  #proven = 0;
  #refused = Infinity;
  #successes = 0;
  #successesToGrow = 1;

  get value(): number {
    if (this.#refused === Infinity) return Infinity;
    const isNear = this.#refused - this.#proven <= nearShare * this.#refused;
    return Math.max(1, isNear ? this.#proven : Math.floor((this.#proven + this.#refused) / 2));
  }

  refused(calls: number): void {
    if (this.#successes === 0) this.#successesToGrow = Math.min(mostSuccessesToGrow, this.#successesToGrow * 2);
    this.#successes = 0;
    this.#refused = Math.max(1, Math.min(this.#refused, calls));
    if (this.#proven >= this.#refused) this.#proven = Math.floor(this.#refused / 2); // it accepts less than before
  }

  wentWell(calls: number): void {
    this.#proven = Math.max(this.#proven, Math.min(calls, this.#refused));
    if (this.#refused === Infinity || ++this.#successes < this.#successesToGrow) return;
    this.#successes = 0;
    this.#refused = Math.max(this.#refused, this.#proven * growth);
  }
}

/** How a result row without a reply is handled. */
export type RowFate = "refused" | "again" | "cancelled" | "unreadable";

/**
 * Provider codes for rows without a reply, as the AI SDK passes them on. Every other code is read like the same error of a direct
 * call.
 *
 * | | OpenAI | Anthropic | Google |
 * |---|---|---|---|
 * | expired | `batch_expired` | `expired` | state `EXPIRED` |
 * | cancelled | `batch_cancelled` | `canceled` | state `CANCELLED` |
 * | blocked | `content_filter`, `content_policy_violation` | `refusal` as the finish | `prompt_blocked` |
 * | its line cannot be read | `unreadable_line`, `invalid_batch_result`, `invalid_response` | the same | the same |
 */
export const rowFates: Readonly<Record<string, RowFate>> = {
  batch_expired: "again",
  batch_cancelled: "cancelled",
  canceled: "cancelled",
  prompt_blocked: "refused",
  content_filter: "refused",
  content_policy_violation: "refused",
  unreadable_line: "unreadable",
  invalid_batch_result: "unreadable",
  invalid_response: "unreadable",
};
