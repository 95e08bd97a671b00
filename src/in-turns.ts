import { setImmediate } from "node:timers/promises";

const turnMs = 50;

/**
 * Runs a long computation in turns of some 50 ms, so that signals and timers are heard meanwhile.
 *
 * @param work yields often: it may be left for a while there
 */
export async function inTurns<Result>(work: Generator<void, Result>, signal?: AbortSignal): Promise<Result> {
  let since = performance.now();
  for (;;) {
    const { value, done } = work.next();
    if (done) return value;
    if (performance.now() - since < turnMs) continue;
    await setImmediate();
    signal?.throwIfAborted();
    since = performance.now();
  }
}

/** Runs the same without a break. */
export function atOnce<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const { value, done } = work.next();
    if (done) return value;
  }
}
