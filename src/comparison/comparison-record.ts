import { toEstimateRecord } from "../run/estimate-record.ts";
import type { ComparisonRecord } from "../run/records/comparison.ts";
import type { ComparisonResult } from "./comparison-result.ts";

/** A result as a JSON file can hold it: with null instead of NaN and Infinity. */
export function toComparisonRecord(result: ComparisonResult): ComparisonRecord {
  const { orders, length, relativeScore, gradedWinRate, winningScore, winRate, promptsNeededRange } = result;
  return {
    group: result.group,
    pairs: result.pairs,
    prompts: result.prompts,
    counts: { ...result.counts },
    identical: result.identical,
    winningScore: toEstimateRecord(winningScore),
    winRate: toEstimateRecord(winRate),
    ...(gradedWinRate && { gradedWinRate: toEstimateRecord(gradedWinRate) }),
    pValue: result.pValue,
    ...(result.adjusted && { adjusted: result.adjusted }),
    conclusion: result.conclusion,
    promptsNeeded: result.promptsNeeded,
    promptsNeededRange: [...promptsNeededRange],
    ...(result.trainingsNeeded !== undefined && { trainingsNeeded: result.trainingsNeeded }),
    ...(result.withoutOneSet && { withoutOneSet: result.withoutOneSet }),
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
