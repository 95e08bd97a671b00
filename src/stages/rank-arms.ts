import { pairKey } from "../comparison/agreement.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { bootstrap } from "../stats/bootstrap.ts";
import { bradleyTerry } from "../stats/bradley-terry.ts";
import type { Estimate } from "../stats/estimate.ts";

/** An arm's strength among several, by the Bradley-Terry model. */
export interface RankedArm {
  readonly arm: string;
  /** Its chance to win against an arm of average strength. */
  readonly winRate: Estimate;
  /** The logarithm of its strength; the arms' mean is 0. */
  readonly strength: Estimate;
  readonly decided: number;
}

const draws = 1_000;

/** Ranks arms that were compared with one another, strongest first, with bootstrap intervals over prompts. */
export async function rankArms(
  comparisons: readonly ComparisonSummary[],
  { seed = 42 }: { readonly seed?: number } = {},
): Promise<readonly RankedArm[]> {
  const arms = [...new Set(comparisons.flatMap(({ a, b }) => [a, b]))];
  const prompts = new Map<string, number>();
  const results: { prompt: number; a: number; b: number; won: number }[] = [];
  for (const { a, b, verdictsPath } of comparisons) {
    for (const verdict of await readVerdicts(verdictsPath!)) {
      if (verdict.outcome === "undecided") continue;
      const key = pairKey(verdict);
      if (!prompts.has(key)) prompts.set(key, prompts.size);
      const won = verdict.outcome === "win" ? 1 : verdict.outcome === "tie" ? 0.5 : 0;
      results.push({ prompt: prompts.get(key)!, a: arms.indexOf(a), b: arms.indexOf(b), won });
    }
  }
  const strengths = bootstrap(
    prompts.size,
    (weights) => {
      const wins = arms.map(() => arms.map(() => 0));
      for (const { prompt, a, b, won } of results) {
        wins[a]![b]! += weights[prompt]! * won;
        wins[b]![a]! += weights[prompt]! * (1 - won);
      }
      return bradleyTerry(wins);
    },
    { seed, draws },
  );
  const chance = (strength: number) => 1 / (1 + Math.exp(-strength));
  return arms
    .map((arm, i) => ({
      arm,
      strength: strengths[i]!,
      winRate: {
        value: chance(strengths[i]!.value),
        low: chance(strengths[i]!.low),
        high: chance(strengths[i]!.high),
      },
      decided: results.filter(({ a, b }) => a === i || b === i).length,
    }))
    .toSorted((x, y) => y.strength.value - x.strength.value);
}
