import type { CallsReport } from "./engine.ts";

/** What two engines did together. */
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
  };
}
