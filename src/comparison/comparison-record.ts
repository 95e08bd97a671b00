import { toEstimateRecord } from "../run/estimate-record.ts";
import type { ComparisonRecord } from "../run/manifest.ts";
import type { ComparisonResult } from "./analyse.ts";

/** A result as a file can hold it: with null where there is no number, since JSON has no other. */
export function toComparisonRecord(result: ComparisonResult): ComparisonRecord {
  const { orders, length, relativeScore, winningScore, winRate } = result;
  return {
    group: result.group,
    pairs: result.pairs,
    counts: { ...result.counts },
    identical: result.identical,
    winningScore: toEstimateRecord(winningScore),
    winRate: toEstimateRecord(winRate),
    pValue: result.pValue,
    conclusion: result.conclusion,
    promptsNeeded: result.promptsNeeded,
    orders: { ...orders, flipRate: toEstimateRecord(orders.flipRate), firstShare: toEstimateRecord(orders.firstShare) },
    ...(length && {
      length: {
        ...length,
        longerWins: toEstimateRecord(length.longerWins),
        controlledWinRate: toEstimateRecord(length.controlledWinRate),
      },
    }),
    ...(relativeScore && { relativeScore: toEstimateRecord(relativeScore) }),
  };
}
