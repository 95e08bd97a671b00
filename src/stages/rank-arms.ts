import { firstTraining, rankMatches, type Match, type RankedArm } from "../comparison/ranking.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { UsageError } from "../errors.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";

/**
 * Ranks arms that were compared with one another, strongest first, with bootstrap intervals over prompts (conversations count as one).
 *
 * @throws UsageError when the arms were trained several times: the intervals would leave out how much trainings vary
 */
export async function rankArms(
  comparisons: readonly ComparisonSummary[],
  options: { readonly seed?: number } = {},
): Promise<readonly RankedArm[]> {
  const matches: Match[] = [];
  for (const { a, b, verdictsPath } of comparisons) {
    const verdicts = await readVerdicts(verdictsPath!);
    if (verdicts.some(({ training = firstTraining }) => training !== firstTraining))
      throw new UsageError(
        `${verdictsPath}: expected verdicts on one training of each arm, got several; compare the arms pair by pair, where trainings are crossed with prompts`,
      );
    matches.push({ a, b, verdicts });
  }
  return rankMatches(matches, options);
}
