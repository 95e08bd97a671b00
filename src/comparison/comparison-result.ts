import type { Estimate } from "../stats/estimate.ts";
import { type OutcomeCounts } from "../stats/outcomes.ts";
import type { Adjusted, Conclusion } from "./adjust.ts";

/** The results for one group of pairs. Shares are 0 to 1, lengths in characters. */
export interface ComparisonResult {
  /** A test set, a category, or `pooled`. */
  readonly group: string;
  readonly pairs: number;
  /** Different prompts among them: turns of a conversation, and several trainings, share one. */
  readonly prompts: number;
  readonly counts: OutcomeCounts;
  /** Pairs whose answers are the same: ties without calling the judge. */
  readonly identical: number;
  /** Conclusion, interval and p-value come from one test: see `stats/crossed-mean.ts`. */
  readonly winningScore: Estimate;
  /** The share of the decided pairs that A wins; ties count half. */
  readonly winRate: Estimate;
  /** The mean preference for A, 0 to 1, from judges with graded preferences. */
  readonly gradedWinRate?: Estimate | undefined;
  /** The chance of a winning score at least as far from 1 if neither arm is better, over prompts and (if several) trainings. */
  readonly pValue: number;
  /** The p-value corrected for multiple comparisons. */
  readonly adjusted?: Adjusted | undefined;
  readonly conclusion: Conclusion;
  /** Prompts needed to show a difference of this size with 80 % power; null when no number is enough. */
  readonly promptsNeeded: number | null;
  /** Prompts needed if the difference is as large, and as small, as its interval allows; null when no number is enough. */
  readonly promptsNeededRange: readonly [fewest: number | null, most: number | null];
  /** Trainings needed with the same number of prompts, if there are several trainings; null when fifty are not enough. */
  readonly trainingsNeeded?: number | null | undefined;
  /** The lowest and the highest winning score when one test set is left out. */
  readonly withoutOneSet?: { readonly low: WithoutSet; readonly high: WithoutSet } | undefined;
  readonly orders: OrderFigures;
  /** Absent when the answers are not known. */
  readonly length?: LengthFigures | undefined;
  /** A's total score divided by B's, over both orders, from judges that give scores: the paper's relative score. */
  readonly relativeScore?: Estimate | undefined;
}

interface WithoutSet {
  readonly set: string;
  readonly winningScore: number;
}

/** How much the judge depends on the order in which it sees the answers. */
export interface OrderFigures {
  /** Pairs with a verdict in both orders. */
  readonly pairs: number;
  /** Of these, the share where one order says A and the other B. */
  readonly flipRate: Estimate;
  /** Of the verdicts that prefer an answer, the share that prefers the one shown first. */
  readonly firstShare: Estimate;
  /** Verdicts for the answer shown first, and for the one shown second, and draws. */
  readonly first: number;
  readonly second: number;
  readonly draws: number;
}

export interface LengthFigures {
  readonly meanA: number;
  readonly meanB: number;
  /** Of the pairs that are not tied, the share won by the longer answer. */
  readonly longerWins: Estimate;
  /** The win rate if both answers were equally long: see `stats/length-controlled.ts`. */
  readonly controlledWinRate: Estimate;
}
