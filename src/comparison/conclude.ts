import { formatCount, formatNumbered, formatP } from "../format.ts";
import type { ComparisonRecord, ComparisonSummary } from "../run/records/comparison.ts";

/**
 * The conclusion of a comparison, in one plain sentence.
 *
 * @param warning is added where it says that an arm is better
 */
export function conclude(
  { a, b, pooled, gates, calls, missing, missingPairs = missing }: ComparisonSummary,
  warning = "",
): string {
  const { counts, conclusion } = pooled;
  const decided = counts.win + counts.tie + counts.lose;
  const split = [
    formatNumbered(counts.win, "win", "wins"),
    formatNumbered(counts.tie, "tie", "ties"),
    formatNumbered(counts.lose, "loss", "losses"),
  ].join(", ");
  if (decided === 0) return "Nothing can be concluded: no pair could be judged.";
  if (calls?.stopped || gates.some(({ held }) => !held))
    return `Nothing can be concluded: only ${formatCount(decided)} of ${formatCount(pooled.pairs + missingPairs)} ${sharesPrompts(pooled) ? "pairs" : "prompts"} have a decided outcome (${split}).`;
  if (conclusion === "better" || conclusion === "worse")
    return `${a} is ${conclusion} than ${b}: ${split} (${describeP(pooled)}).${warning}`;
  const needed = pooled.pValue < 0.05 ? "" : describeNeeded(pooled); // it counts without the correction, which decided here
  return `No difference shown between ${a} and ${b} on ${countPrompts(pooled, decided)}: ${split} (${describeP(pooled)})${needed === "" ? "" : `; ${needed}`}.`;
}

/** `80 prompts`, or `40 pairs of answers to 20 prompts` where turns or trainings share them. */
export function countPrompts(record: Pick<ComparisonRecord, "pairs" | "prompts">, pairs = record.pairs): string {
  return sharesPrompts(record)
    ? `${pairs === record.pairs ? "" : `${formatCount(pairs)} of `}${formatNumbered(record.pairs, "pair", "pairs")} of answers to ${formatNumbered(record.prompts ?? 0, "prompt", "prompts")}`
    : formatNumbered(pairs, "prompt", "prompts");
}

function sharesPrompts({ pairs, prompts = pairs }: Pick<ComparisonRecord, "pairs" | "prompts">): boolean {
  return prompts < pairs;
}

/** `p = 0.012, corrected for 3 comparisons 0.036` */
export function describeP({ pValue, adjusted }: Pick<ComparisonRecord, "pValue" | "adjusted">): string {
  const corrected = adjusted
    ? `; corrected for ${adjusted.comparisons} comparisons: ${formatP(adjusted.pValue).replace(/^= /, "")}`
    : "";
  return `p ${formatP(pValue)}${corrected}`;
}

/** Says how many prompts or trainings would show a difference of this size. May be empty, as when wins equal losses. */
export function describeNeeded({
  promptsNeeded,
  promptsNeededRange: [fewest, most],
  trainingsNeeded,
  counts,
}: Pick<ComparisonRecord, "promptsNeeded" | "promptsNeededRange" | "trainingsNeeded" | "counts">): string {
  if (counts.win === counts.lose) return "";
  const about = (count: number) => formatCount(Number(count.toPrecision(2)));
  const range =
    fewest === null
      ? ""
      : ` (${most === null ? `${about(fewest)} or more` : `${about(fewest)} to ${about(most)}`}, by the interval)`;
  if (trainingsNeeded !== undefined)
    return promptsNeeded === null
      ? trainingsNeeded === null
        ? "a difference of this size is too small to be shown by more prompts or by fifty trainings"
        : `about ${trainingsNeeded} trainings of each arm would be needed to show a difference of this size; more prompts alone are not enough`
      : `about ${about(promptsNeeded)} prompts with the same number of trainings${range} would be needed to show a difference of this size${trainingsNeeded === null ? "" : `, or ${trainingsNeeded} trainings with these prompts`}`;
  return promptsNeeded === null
    ? ""
    : `about ${about(promptsNeeded)} prompts would be needed to show a difference of this size${range}`;
}
