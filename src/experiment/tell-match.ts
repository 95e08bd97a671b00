import { describeNeeded, describeP } from "../comparison/conclude.ts";
import { formatNumbered } from "../format.ts";
import type { ComparisonRecord } from "../run/records/comparison.ts";
import type { MatchResult } from "../run/records/experiment.ts";

/** The winning scores of the trainings with at least one decided pair. */
export function trainingsOf({ seeds }: MatchResult): number[] {
  return seeds.flatMap(({ winningScore }) => winningScore ?? []);
}

/** Whether a winning score is that of all pairs together: it is not where trainings have different numbers of decided pairs. */
function isOfCounts({ win, tie, lose }: ComparisonRecord["counts"], score: number): boolean {
  return Math.abs(1 + (win - lose) / (win + tie + lose) - score) < 0.0005; // not seen in three digits
}

/** `selected against random: 41 wins, 15 ties, 24 losses, winning score 1.212 [1.013, 1.412]` */
export function tellMatch(match: MatchResult): string {
  const { a, b, pooled } = match;
  const { counts, winningScore } = pooled;
  const bySeed = trainingsOf(match);
  const split = `${formatNumbered(counts.win, "win", "wins")}, ${formatNumbered(counts.tie, "tie", "ties")}, ${formatNumbered(counts.lose, "loss", "losses")}`;
  const interval =
    winningScore.value === null
      ? ""
      : `, winning score ${winningScore.value.toFixed(3)} [${winningScore.low?.toFixed(3) ?? "-"}, ${winningScore.high?.toFixed(3) ?? "-"}]${isOfCounts(counts, winningScore.value) ? "" : ", of which each training counts alike"}`;
  const spread =
    bySeed.length > 1
      ? ` over ${bySeed.length} trainings of each (${Math.min(...bySeed).toFixed(3)} to ${Math.max(...bySeed).toFixed(3)})`
      : "";
  // it counts without the correction, which decided where p is small
  const needed = pooled.conclusion === "no difference shown" && pooled.pValue >= 0.05 ? describeNeeded(pooled) : "";
  return `${a} against ${b} ${split}${interval}, ${describeP(pooled)}${spread}${needed === "" ? "" : ` (${needed})`}`;
}
