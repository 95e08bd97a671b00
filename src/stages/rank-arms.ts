import { UsageError } from "../errors.ts";
import { numberPrompts } from "../comparison/prompt-numbers.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import type { PairVerdict } from "../comparison/verdict.ts";
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
const firstTraining = 0;

/**
 * Ranks arms that were compared with one another, strongest first, with bootstrap intervals over prompts (conversations count as one).
 *
 * @throws UsageError when the arms were trained several times: the intervals would leave out how much trainings vary
 */
export async function rankArms(
  comparisons: readonly ComparisonSummary[],
  { seed = 42 }: { readonly seed?: number } = {},
): Promise<readonly RankedArm[]> {
  const arms = [...new Set(comparisons.flatMap(({ a, b }) => [a, b]))];
  const decided: { verdict: PairVerdict; a: number; b: number }[] = [];
  for (const { a, b, verdictsPath } of comparisons)
    for (const verdict of await readVerdicts(verdictsPath!)) {
      if ((verdict.training ?? firstTraining) !== firstTraining)
        throw new UsageError(
          `${verdictsPath}: expected verdicts on one training of each arm, got several; compare the arms pair by pair, where trainings are crossed with prompts`,
        );
      if (verdict.outcome !== "undecided") decided.push({ verdict, a: arms.indexOf(a), b: arms.indexOf(b) });
    }
  const prompts = numberPrompts(decided.map(({ verdict }) => verdict));
  const results: Result[] = decided.map(({ verdict: { outcome }, a, b }, i) => {
    return { prompt: prompts[i]!, a, b, won: outcome === "win" ? 1 : outcome === "tie" ? 0.5 : 0 };
  });
  const count = new Set(prompts).size;
  const open = openEnds(results, count);
  const strengthsBy = (weights: ArrayLike<number>, some: readonly Result[]) => {
    const wins = arms.map(() => arms.map(() => 0));
    for (const { prompt, a, b, won, size = 1 } of some) {
      wins[a]![b]! += size * weights[prompt]! * won;
      wins[b]![a]! += size * weights[prompt]! * (1 - won);
    }
    return bradleyTerry(wins);
  };
  const values = strengthsBy(new Uint8Array(count).fill(1), results);
  const draw = (some: readonly Result[], size: number) =>
    bootstrap(size, (weights) => strengthsBy(weights, some), { seed, draws });
  const drawn = draw(results, count);
  const opened = draw([...results, ...open], count + open.length);
  const strengths = values.map((value, i): Estimate => {
    const ends = [drawn[i]!, opened[i]!]; // an arm that hardly loses is stronger than its open ends let it be
    return {
      value,
      low: Math.min(value, ...ends.map(({ low }) => low)),
      high: Math.max(value, ...ends.map(({ high }) => high)),
    };
  });
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
    .filter(({ decided: pairs }) => pairs > 0) // of the others nothing is known
    .toSorted((x, y) => y.strength.value - x.strength.value);
}

interface Result {
  readonly prompt: number;
  /** Arms, by their numbers. */
  readonly a: number;
  readonly b: number;
  /** By a: 1, or 0.5 of a tie. */
  readonly won: number;
  /** How many such results it stands for. Default 1. */
  readonly size?: number;
}

/**
 * Two extra prompts for each two arms that were compared, of mean size, one won by each: results that are all alike would else have an interval
 * without width (see `crossedMean`).
 */
function openEnds(results: readonly Result[], prompts: number): Result[] {
  const matches = Map.groupBy(results, ({ a, b }) => `${a} ${b}`);
  let next = prompts;
  return [...matches.values()].flatMap((match) => {
    const { a, b } = match[0]!;
    const size = match.length / new Set(match.map(({ prompt }) => prompt)).size;
    return [1, 0].map((won) => ({ prompt: next++, a, b, won, size }));
  });
}
