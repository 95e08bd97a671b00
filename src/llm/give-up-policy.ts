import { AlpagasusError, UsageError } from "../errors.ts";
import { formatNumbered } from "../format.ts";
import { noReplyWithin } from "./ask-model.ts";
import type { Failure } from "./failure.ts";

/*
 * The policy for failed calls: when a call is tried again, how long it waits, when it is given up, and when the provider counts
 * as gone. Constants, pure functions and counters, each with its reason; the engine acts on their results.
 */

export const defaultConcurrency = 32;
export const defaultTimeoutMs = 120_000;
/** Systems kill what has not ended some ten to thirty seconds after SIGTERM. */
export const defaultGraceMs = 10_000;
/** Attempts at a call, not counting those that fail because of the provider's load. */
export const defaultMaxAttempts = 6;
/** Attempts that may fail because of the provider's load: such a provider is retried for longer. */
const congestionAttempts = 40;
/** Attempts before any answer when no server is reached, so that a wrong address shows after a few seconds. */
const unreachableAttempts = 3;
/** Calls rejected as malformed before any answer, after which the request itself counts as wrong. */
const doubtfulCalls = 8;
/** Replies without the requested token probabilities, after which the provider counts as not giving them. */
const callsWithoutLogprobs = 3;
/** Calls given up in a row, after which the provider counts as gone. */
const silentCalls = 10;
/** For so long all of several servers may be silent: before any reply, so that wrong addresses show soon, and after one. */
export const firstSilenceMs = 6_000;
export const longestSilenceMs = 60_000;
const firstDelayMs = 500;
const longestDelayMs = 30_000;
/** A provider that asks for a longer wait is left to another run. */
const longestRetryAfterMs = 600_000;
const mostMinutes = 366 * 24 * 60; // a number that a server made up

/** Why the engine stops, for its error message. */
export interface Stop {
  readonly detail: string;
  readonly isUsage: boolean;
  readonly advice?: string | undefined;
}

export function errorOf({ name }: { readonly name: string }, { detail, isUsage, advice }: Stop): AlpagasusError {
  const message = `${name}: ${detail}${advice === undefined ? "" : `; ${advice}`}`;
  return isUsage ? new UsageError(message) : new AlpagasusError(message);
}

/** What happens to a call after a failed attempt. */
export type NextStep =
  /** It has its outcome: there will be no reply. */
  | { readonly kind: "end"; readonly state: "refused" | "failed"; readonly detail: string }
  /** It waits until another call shows whether requests of this kind are accepted at all. */
  | { readonly kind: "doubt"; readonly detail: string }
  | { readonly kind: "give up"; readonly detail: string }
  /** Another server is asked; the attempt does not count. */
  | { readonly kind: "move" }
  | { readonly kind: "retry"; readonly delayMs: number; readonly isCongestion: boolean }
  /** Nothing more is sent; the call keeps no outcome, so that another run tries it. */
  | { readonly kind: "stop"; readonly stop: Stop };

/** What is known when an attempt has failed. */
export interface FailedAttempt {
  /** Whether another server has been asked because one did not take the call. */
  readonly hasMoved?: boolean | undefined;
  /** Whether the model has other servers that may take the call. */
  readonly hasOthers?: boolean | undefined;
  /** Attempts at the call so far, this one included. */
  readonly attempts: number;
  /** Earlier attempts that failed because of the provider's load. */
  readonly congestions: number;
  readonly maxAttempts: number;
  /** Whether the model has ever answered anything, in this run or an earlier one. */
  readonly hasAnswered: boolean;
  /** Uniform in [0, 1). */
  readonly random: number;
}

export function decideNextStep(failure: Failure, attempt: FailedAttempt): NextStep {
  const { attempts, maxAttempts, hasAnswered, hasOthers = false } = attempt;
  // what one server does not take, another may: it is asked once
  const isRefused = failure.kind === "doubtful" || (failure.kind === "state" && failure.state === "failed");
  if (isRefused && hasOthers && !attempt.hasMoved) return { kind: "move" };
  if (failure.kind === "state") return { kind: "end", state: failure.state, detail: failure.detail };
  if (failure.kind === "doubtful") return { kind: hasAnswered ? "give up" : "doubt", detail: failure.detail };
  if (failure.kind === "stop" && hasOthers) return { kind: "move" }; // the fault of that server
  if (failure.kind === "stop") {
    if (failure.isPage && hasAnswered && attempts < maxAttempts)
      return { kind: "retry", delayMs: retryDelay(attempts, undefined, attempt.random), isCongestion: false };
    if (failure.isRowPossible && hasAnswered) return { kind: "give up", detail: failure.detail };
    return { kind: "stop", stop: { detail: failure.detail, isUsage: failure.isUsage } };
  }
  const { retryAfterMs, detail, isCongestion, isUnreachable } = failure;
  // a server that was not reached, or has too much to do, says nothing of the call; one that was may have fallen over it
  if (hasOthers && (isUnreachable || isCongestion)) return { kind: "move" };
  if (retryAfterMs !== undefined && retryAfterMs > longestRetryAfterMs) {
    const minutes = Math.ceil(retryAfterMs / 60_000);
    const wait = minutes > mostMinutes ? "for over a year" : formatNumbered(minutes, "minute", "minutes");
    const advice = "run the same command again then";
    return { kind: "stop", stop: { detail: `it asks to wait ${wait} (${detail})`, isUsage: false, advice } };
  }
  if (isUnreachable && !hasAnswered && attempts >= unreachableAttempts)
    return { kind: "stop", stop: { detail, isUsage: false } };
  const congestions = attempt.congestions + (isCongestion ? 1 : 0);
  if (attempts - congestions >= maxAttempts || congestions >= congestionAttempts)
    return { kind: "give up", detail: `gave up after ${formatNumbered(attempts, "attempt", "attempts")}: ${detail}` };
  if (hasOthers) return { kind: "retry", delayMs: 0, isCongestion };
  return { kind: "retry", delayMs: retryDelay(attempts, retryAfterMs, attempt.random), isCongestion };
}

/** Half of the delay is random, so that calls that failed together are not retried together. */
function retryDelay(attempts: number, retryAfterMs: number | undefined, random: number): number {
  const delay = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 16));
  const jittered = delay * (0.5 + 0.5 * random);
  // one that asks for hardly any wait is not believed: it may have said so each time, or its clock may be slow
  return retryAfterMs === undefined
    ? jittered
    : Math.max(jittered, retryAfterMs + Math.min(jittered, 0.1 * retryAfterMs));
}

/** What the engine has observed of its provider, and when it must stop because of it. */
export class ProviderHealth {
  /** Whether the model has ever answered anything, in this run or an earlier one. */
  hasAnswered: boolean;
  /** Whether there was a reply in this process. */
  hasReplied = false;
  #repliedAt = -Infinity;
  #givenUpInARow = 0;
  #doubts = 0;
  /** Replies without the token probabilities that were requested; -1 once one had them. */
  #withoutLogprobs = 0;

  constructor(hasAnswered: boolean) {
    this.hasAnswered = hasAnswered;
  }

  /** @param now milliseconds of the monotonic clock */
  addReply(now: number): void {
    this.hasAnswered = true;
    this.hasReplied = true;
    this.#repliedAt = now;
    this.#givenUpInARow = 0;
  }

  /** Stops early when the provider never gives probabilities, instead of paying for all rows. */
  addLogprobs(hasLogprobs: boolean): Stop | undefined {
    if (hasLogprobs) this.#withoutLogprobs = -1;
    else if (this.#withoutLogprobs >= 0 && ++this.#withoutLogprobs >= callsWithoutLogprobs)
      return {
        detail: `it returns no token probabilities (${callsWithoutLogprobs} replies came without them)`,
        isUsage: true,
        advice: "use --samples instead of --logprobs; in compare, another rubric",
      };
    return undefined;
  }

  /** Counts a request that was rejected as malformed before any answer. */
  addDoubt(detail: string): Stop | undefined {
    return ++this.#doubts >= doubtfulCalls
      ? { detail: `the request is not accepted (${detail})`, isUsage: false }
      : undefined;
  }

  /**
   * Counts a call that was given up. Many in a row are an outage, if all were first sent after the last reply. Otherwise they may
   * be calls that fail for reasons of their own: these are tried longest, so they also end in a row.
   *
   * @param firstSentAt milliseconds of the monotonic clock
   */
  addGivenUp(firstSentAt: number, detail: string): Stop | undefined {
    if (firstSentAt <= this.#repliedAt || ++this.#givenUpInARow < silentCalls) return undefined;
    const isSlow = detail.includes(noReplyWithin);
    return {
      detail: `${silentCalls} calls in a row got no reply (the last: ${detail})`,
      isUsage: false,
      advice: `run the same command again later, with --retry-failed${isSlow ? ", or with a longer --timeout" : ""}`,
    };
  }
}
