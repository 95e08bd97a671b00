import type { Judge } from "../judge/judge.ts";
import type { BatchProgress } from "../llm/batches/batch-asker.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { Progress } from "./progress.ts";
import type { CallsRecord } from "../run/records/common.ts";

/**
 * The record of a judge's calls and their cost; empty for judges that make none.
 *
 * @param pending rows or verdicts that wait for their calls
 * @param before an earlier report of the judge, which is subtracted
 * @param callsEach how many calls each needs
 */
export function describeCalls(
  { calls, accounts }: Pick<Judge, "calls" | "accounts">,
  pending: number,
  before?: CallsReport,
  callsEach = 1,
): { calls?: CallsRecord } {
  if (!calls || !accounts) return {};
  const report = calls();
  const { store, priceBasis, budgetUsd, runPaid, runPerhapsPaid, batched, meanCost, highestCost } = accounts();
  const usd = (nanos: number | null) => (nanos === null ? null : nanos / nanosPerUsd);
  return {
    calls: {
      made: report.made - (before?.made ?? 0),
      stored: report.stored - (before?.stored ?? 0),
      shared: report.shared - (before?.shared ?? 0),
      attempts: report.attempts - (before?.attempts ?? 0),
      failed: report.failed - (before?.failed ?? 0),
      inputTokens: report.inputTokens - (before?.inputTokens ?? 0),
      outputTokens: report.outputTokens - (before?.outputTokens ?? 0),
      store,
      priceBasis,
      paidUsd: usd(report.paid === null ? null : report.paid - (before?.paid ?? 0)),
      perhapsPaidUsd: (report.perhapsPaid - (before?.perhapsPaid ?? 0)) / nanosPerUsd,
      runPaidUsd: usd(runPaid),
      runPerhapsPaidUsd: runPerhapsPaid / nanosPerUsd,
      budgetUsd,
      failure: report.failure,
      ...(report.stopped &&
        pending > 0 && {
          stopped: report.stopped,
          finishUsd: usd(expectedCost(meanCost, report, pending * callsEach)),
          ...(report.stopped === "budget" && highestCost && { highestUsd: highestCost / nanosPerUsd }),
          ...(report.stopped === "budget" && batched && { batchedUsd: batched / nanosPerUsd }),
        }),
    },
  };
}

/** What calls are likely to cost, in billionths of a US dollar: of identical ones, as many as so far, only the first is paid. */
export function expectedCost(
  meanCost: number | null,
  { made, stored, shared }: Pick<CallsReport, "made" | "stored" | "shared">,
  calls: number,
): number | null {
  const asked = made + stored;
  const share = asked + shared > 0 ? asked / (asked + shared) : 1;
  return meanCost === null ? null : meanCost * calls * share;
}

/** Progress of a judge's batches, for a progress line. */
export function describeBatchProgress(
  { done, total, note }: BatchProgress,
  calls: CallsReport | undefined,
): Pick<Progress, "doing" | "done" | "total" | "unit" | "note" | "calls"> {
  return { doing: "in batches,", done, total, unit: "calls", note, ...describeCallProgress(calls) };
}

/** Progress of a judge's calls, for a progress line. */
export function describeCallProgress(calls: CallsReport | undefined): Pick<Progress, "calls"> {
  if (!calls) return {};
  const { inFlight, waiting, failed, paid, trouble } = calls;
  return { calls: { inFlight, waiting, failed, paidUsd: paid === null ? null : paid / nanosPerUsd, trouble } };
}
