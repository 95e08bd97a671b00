import { bootstrap } from "../stats/bootstrap.ts";
import { bradleyTerry } from "../stats/bradley-terry.ts";
import type { Estimate } from "../stats/estimate.ts";
import { defaultSeed } from "../stats/random.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { numberPrompts } from "./prompt-numbers.ts";
import type { PairVerdict } from "./verdict.ts";

/** An arm's strength among several, by the Bradley-Terry model. */
export interface RankedArm {
  readonly arm: string;
  /** From 1; arms of the same strength share one. */
  readonly rank: number;
  /** Its chance to win against an arm of average strength. */
  readonly winRate: Estimate;
  /** The logarithm of its strength; the arms' mean is 0. */
  readonly strength: Estimate;
  readonly decided: number;
}

/** Two arms that were compared, and what was said of their answers, from A's side. */
export interface Match {
  readonly a: string;
  readonly b: string;
  readonly verdicts: readonly PairVerdict[];
}

const draws = 1_000;
/** The number of a training, where each arm has one. */
export const firstTraining = 0;
const tieMargin = 1e-9; // of log strengths: less is rounding

/**
 * Ranks arms that were compared with one another, strongest first, with bootstrap intervals over prompts (conversations count as one).
 * Each arm must have been trained once: the intervals do not hold how much trainings vary.
 */
export function rankMatches(
  matches: readonly Match[],
  { seed = defaultSeed }: { readonly seed?: number } = {},
): readonly RankedArm[] {
  const arms = [...new Set(matches.flatMap(({ a, b }) => [a, b]))];
  const decided = matches.flatMap(({ a, b, verdicts }) =>
    verdicts
      .filter(({ outcome }) => outcome !== "undecided")
      .map((verdict) => ({ verdict, a: arms.indexOf(a), b: arms.indexOf(b) })),
  );
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
  const ranked = arms
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
  return ranked.map((one) => ({
    ...one,
    rank: 1 + ranked.filter(({ strength }) => strength.value > one.strength.value + tieMargin).length,
  }));
}

/** A ranking of arms each two of which one judge compared in the same way. */
export interface Ranking {
  readonly judge: string;
  /** Seed of its intervals. */
  readonly seed: number;
  readonly arms: readonly RankedArm[];
  /** Arms that the judge compared with some of the others only. */
  readonly leftOut: readonly string[];
}

/**
 * The rankings that a run's comparisons allow: of each judge, for three arms or more of one training each, where every two
 * were compared and no gate failed. What lacks comparisons is left out.
 */
export function findRankings(
  comparisons: readonly { readonly summary: ComparisonSummary; readonly verdicts: readonly PairVerdict[] }[],
): readonly Ranking[] {
  const whole = comparisons.filter(
    ({ summary: { calls, gates }, verdicts }) =>
      !calls?.stopped &&
      gates.every(({ held }) => held) &&
      verdicts.length > 0 &&
      verdicts.every(({ training = firstTraining }) => training === firstTraining),
  );
  const byJudge = Map.groupBy(whole, ({ summary: { judge, question } }) => `${judge}\0${question?.hash ?? ""}`);
  return [...byJudge.values()].flatMap((own): Ranking[] => {
    const { judge, seed } = own[0]!.summary;
    const all = [...new Set(own.flatMap(({ summary: { a, b } }) => [a, b]))];
    const arms = allCompared(
      all,
      own.map(({ summary }) => summary),
    );
    if (arms.length < 3) return [];
    const among = own.filter(({ summary: { a, b } }) => arms.includes(a) && arms.includes(b));
    const eachPair = new Map(among.map((one) => [[one.summary.a, one.summary.b].toSorted().join("\0"), one])); // not B against A as well
    const matches = [...eachPair.values()].map(({ summary: { a, b }, verdicts }) => ({ a, b, verdicts }));
    const ranked = rankMatches(matches, { seed });
    return ranked.length < 3 ? [] : [{ judge, seed, arms: ranked, leftOut: all.filter((arm) => !arms.includes(arm)) }];
  });
}

/** The arms that are left when those with the fewest opponents are taken out, until each two were compared. */
function allCompared(all: readonly string[], pairs: readonly { readonly a: string; readonly b: string }[]): string[] {
  let arms = [...all];
  for (;;) {
    const opponents = new Map(
      arms.map((arm) => [
        arm,
        arms.filter((other) => pairs.some(({ a, b }) => (a === arm && b === other) || (a === other && b === arm)))
          .length,
      ]),
    );
    const fewest = Math.min(...opponents.values());
    if (arms.length < 3 || fewest === arms.length - 1) return arms;
    const last = arms.findLast((arm) => opponents.get(arm) === fewest);
    arms = arms.filter((arm) => arm !== last);
  }
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
