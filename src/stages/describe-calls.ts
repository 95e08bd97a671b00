import type { Judge } from "../judge/judge.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { CallsRecord } from "../run/manifest.ts";

/** What a judge's calls did and cost, for judges that make calls. @param pending calls that are still to be made */
export function describeCalls(
  { calls, accounts }: Pick<Judge, "calls" | "accounts">,
  pending: number,
): { calls?: CallsRecord } {
  if (!calls || !accounts) return {};
  const report = calls();
  const { store, priceBasis, budgetUsd, runPaid, runPerhapsPaid, meanCost } = accounts();
  const usd = (nanos: number | null) => (nanos === null ? null : nanos / nanosPerUsd);
  return {
    calls: {
      made: report.made,
      stored: report.stored,
      shared: report.shared,
      attempts: report.attempts,
      failed: report.failed,
      inputTokens: report.inputTokens,
      outputTokens: report.outputTokens,
      store,
      priceBasis,
      paidUsd: usd(report.paid),
      perhapsPaidUsd: report.perhapsPaid / nanosPerUsd,
      runPaidUsd: usd(runPaid),
      runPerhapsPaidUsd: runPerhapsPaid / nanosPerUsd,
      ...(budgetUsd !== undefined && { budgetUsd }),
      ...(report.failure !== undefined && { failure: report.failure }),
      ...(report.stopped && {
        stopped: report.stopped,
        finishUsd: usd(meanCost === null ? null : meanCost * pending),
      }),
    },
  };
}
