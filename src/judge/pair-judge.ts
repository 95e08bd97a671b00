import type { CallsReport } from "../llm/call-tally.ts";
import type { Question } from "../run/records/common.ts";
import type { AnswerPair, Verdict } from "../comparison/verdict.ts";
import type { JudgeAccounts, Prepare } from "./judge.ts";

/**
 * Says which of two answers is better. Every kind of pair judge implements this interface. `compare` takes pairs whose
 * answers differ, and yields each pair's verdicts, in the pairs' order: with A's answer shown first, then with B's, or one of them.
 */
export interface PairJudge {
  readonly name: string;
  readonly notes: readonly string[];
  readonly question?: Question | undefined;
  readonly calls?: (() => CallsReport) | undefined;
  readonly accounts?: (() => JudgeAccounts) | undefined;
  readonly prepare?: Prepare<AnswerPair> | undefined;
  compare(pairs: AsyncIterable<readonly AnswerPair[]>): AsyncIterable<readonly (readonly Verdict[])[]>;
}
