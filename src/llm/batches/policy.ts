/*
 * What batches go by: sizes, waits, rounds, and what a provider's words mean. Plain values and pure functions.
 */

/** Calls of a batch: smaller ones end sooner, and less is to be done again when one fails. */
export const defaultBatchSize = 10_000;
/** Of the bytes that the provider takes. */
export const bytesShare = 0.9;
/** Bytes of a call, beside what is sent for it. */
export const bytesAround = 500;
/** How often a call is handed in that expires, or fails for what passes. */
export const mostRounds = 4;
/** Starts one after the other of which it is not known whether the provider has them. */
export const mostUnknownStarts = 6;
/** How often the provider is asked before a command that does not wait gives up. */
export const mostTries = 6;

const firstDelayMs = 500;
const longestDelayMs = 30_000;
/** A provider may ask to wait, but not for longer: what has ended meanwhile is to be fetched. */
const longestRetryAfterMs = 600_000;
const leastPollMs = 500;
const longestPollMs = 60_000;
/** How long the next look is waited for, of the time that was waited already. */
const pollShare = 0.1;
/** How often results are fetched that are fewer than the provider counts, before the others are taken for lost. */
export const mostDownloads = 4;
/** How often results are read to their end before they are taken for another's. */
export const wholeDownloads = 2;
/** How often a batch is not given out before it is taken for gone: a new one may not be known everywhere yet. */
export const looksBeforeGone = 3;
/** When the queue is full of somebody else's batches. */
export const queueDelayMs = 60_000;

/** Outcomes in one transaction. */
export const saveTogether = 500;
export const startTimeoutMs = 900_000; // a large file takes its time
export const askTimeoutMs = 300_000;

/**
 * How long a batch whose start was not confirmed is looked for in the provider's list, by the provider's own clock, before it is
 * sure that there is none.
 */
export const defaultListedAfterMs = 120_000;
/** A batch that was made so long before a start was sent, by the provider's own clock, is another one. */
export const earlierMs = 60_000;

/** How much more is tried after it went well so often, until it is refused again. */
const growth = 2;
const mostSuccessesToGrow = 64;
/** What went in and what was refused are as good as the same. */
const nearShare = 0.1;
/** A smaller share of what the queue takes is not handed in while there is something in it. */
export const leastRoomShare = 0.25;

/** The longest text of a line that cannot be read, in a row's detail. */
export const shownOfLine = 200;

/** Whether a refusal is about how much is at the provider already: then it is no try, and less of it goes in. */
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

/** How long to wait before batches are looked at again that have been waited for so long. */
export function pollDelay(waitedMs: number): number {
  return Math.min(longestPollMs, Math.max(leastPollMs, pollShare * waitedMs));
}

/**
 * How many calls go in, learnt from what is refused and what goes well: between what went in last and what was refused last, by
 * halves. When it has gone well for a while, more is tried.
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
    if (this.#proven >= this.#refused) this.#proven = Math.floor(this.#refused / 2); // it takes less than it did
  }

  wentWell(calls: number): void {
    this.#proven = Math.max(this.#proven, Math.min(calls, this.#refused));
    if (this.#refused === Infinity || ++this.#successes < this.#successesToGrow) return;
    this.#successes = 0;
    this.#refused = Math.max(this.#refused, this.#proven * growth);
  }
}

/** What is done with a row of a batch's results, by what the provider says of it. */
export type RowFate = "refused" | "again" | "cancelled" | "unreadable";

/**
 * What the providers say of a row that has no reply, in their own words as the AI SDK passes them on; everything else is read as the
 * same error of a direct call.
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
