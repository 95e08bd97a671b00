import type { CallsReport } from "../llm/call-tally.ts";
import type { Question } from "../run/records/common.ts";
import type { AnswerPair, Verdict } from "../comparison/verdict.ts";
import type { JudgeAccounts, Prepare } from "./judge.ts";

/**
 * What says which of two answers is better: the seam that every kind of such judge implements. It is given pairs whose
 * answers differ, and gives both orders' verdicts for each, A's answer shown first and then B's, in the pairs' order.
 */
export interface PairJudge {
  readonly name: string;
  readonly notes: readonly string[];
  readonly question?: Question;
  readonly calls?: () => CallsReport;
  readonly accounts?: () => JudgeAccounts;
  readonly prepare?: Prepare<AnswerPair>;
  compare(pairs: AsyncIterable<readonly AnswerPair[]>): AsyncIterable<readonly (readonly [Verdict, Verdict])[]>;
}
