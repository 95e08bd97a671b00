import { formatCount, formatNumbered, formatP } from "../format.ts";
import type { ComparisonSummary } from "../run/manifest.ts";

/** What a comparison comes to, in one plain sentence. */
export function conclude({ a, b, pooled, gates, calls, missing }: ComparisonSummary): string {
  const { counts, conclusion, pValue } = pooled;
  const decided = counts.win + counts.tie + counts.lose;
  const split = [
    formatNumbered(counts.win, "win", "wins"),
    formatNumbered(counts.tie, "tie", "ties"),
    formatNumbered(counts.lose, "loss", "losses"),
  ].join(", ");
  if (decided === 0) return "Nothing can be concluded: no pair could be judged.";
  if (calls?.stopped || gates.some(({ held }) => !held))
    return `Nothing can be concluded: only ${formatCount(decided)} of ${formatCount(pooled.pairs + missing)} prompts are decided (${split}).`;
  if (conclusion !== "no difference shown")
    return `${a} is ${conclusion} than ${b}: ${split} (sign test, p ${formatP(pValue)}).`;
  const needed =
    pooled.promptsNeeded === null
      ? ""
      : `; to show a difference of this size takes about ${formatCount(Number(pooled.promptsNeeded.toPrecision(2)))} prompts`;
  return `No difference shown between ${a} and ${b} at n = ${formatCount(decided)}: ${split} (sign test, p ${formatP(pValue)})${needed}.`;
}

/** Whether the judge saw both answers at once, and so could be swayed by their order; the student sees each alone. */
export function seesOrder({ judge }: Pick<ComparisonSummary, "judge">): boolean {
  return judge !== "student" && !judge.startsWith("student:");
}
