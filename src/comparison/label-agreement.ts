import type { Outcome } from "../stats/outcomes.ts";
import { bootstrap } from "../stats/bootstrap.ts";
import { crossedMean } from "../stats/crossed-mean.ts";
import { betaQuantile } from "../stats/distributions.ts";
import type { Estimate } from "../stats/estimate.ts";
import { fleissKappa } from "../stats/fleiss-kappa.ts";
import { cohensKappa } from "../stats/kappa.ts";
import { pairKey } from "./agreement.ts";
import type { PairLabel } from "./label-file.ts";

/*
 * What several people's labels of the same pairs say: how far people agree with each other and with themselves, and whose answers they prefer.
 */

/** A person's first label of each pair, by pair; skipped ones are left out. */
export type LabelsByPair = ReadonlyMap<string, Exclude<Outcome, "undecided">>;

/** The same of any source: a pair may be undecided, which is no vote. */
type AnyLabels = ReadonlyMap<string, Outcome>;

const outcomes = { A: "win", B: "lose", tie: "tie" } as const;
const categories = ["win", "tie", "lose"] as const;
const values: Readonly<Record<Exclude<Outcome, "undecided">, number>> = { win: 1, tie: 0.5, lose: 0 };

/** @param repeat whether the second showings are wanted instead of the first */
export function byPair(labels: readonly PairLabel[], repeat = false): LabelsByPair {
  const found = new Map<string, Exclude<Outcome, "undecided">>();
  for (const label of labels) {
    if (label.repeat === repeat && label.label !== "skip") found.set(pairKey(label), outcomes[label.label]);
  }
  return found;
}

/** What most people say of each pair; undecided where no answer has more votes than every other. */
export function majority(people: readonly AnyLabels[]): Map<string, Outcome> {
  const found = new Map<string, Outcome>();
  for (const pair of new Set(people.flatMap((labels) => [...labels.keys()]))) {
    const counts = countVotes(people, pair);
    const most = Math.max(...counts);
    const winners = most === 0 ? [] : categories.filter((_, i) => counts[i] === most);
    found.set(pair, winners.length === 1 ? winners[0]! : "undecided");
  }
  return found;
}

function countVotes(people: readonly AnyLabels[], pair: string): number[] {
  return categories.map((category) => people.filter((labels) => labels.get(pair) === category).length);
}

/** A's win rate by people, ties as halves: pairs and people are crossed sources of variance. */
export function winRateByPeople(people: readonly LabelsByPair[]): Estimate {
  const pairs = [...new Set(people.flatMap((labels) => [...labels.keys()]))];
  const numbers = new Map(pairs.map((pair, i) => [pair, i]));
  const [rates, prompts, raters]: [number[], number[], number[]] = [[], [], []];
  for (const [person, labels] of people.entries())
    for (const [pair, outcome] of labels) {
      rates.push(values[outcome]);
      prompts.push(numbers.get(pair)!);
      raters.push(person);
    }
  return crossedMean(rates, { prompts, trainings: people.length > 1 ? raters : undefined }, { range: [0, 1] });
}

/** Fleiss' kappa of all people, over pairs that at least two of them labelled, with its interval over pairs. */
export function kappaOfAll(people: readonly LabelsByPair[], seed: number): Estimate & { readonly pairs: number } {
  const counts = [...new Set(people.flatMap((labels) => [...labels.keys()]))]
    .map((pair) => countVotes(people, pair))
    .filter((votes) => votes.reduce((sum, count) => sum + count, 0) > 1);
  if (counts.length === 0) return { value: NaN, low: NaN, high: NaN, pairs: 0 };
  const [kappa] = bootstrap(counts.length, (weights) => [fleissKappa(counts, weights)], { seed, draws });
  return { ...kappa!, pairs: counts.length };
}

/** Cohen's kappa of two people, over the pairs that both labelled, with its interval over pairs. */
export function kappaOfTwo(
  one: LabelsByPair,
  other: LabelsByPair,
  seed: number,
): Estimate & { readonly pairs: number; readonly agreed: number } {
  const both = [...one].filter(([pair]) => other.has(pair));
  const ours = both.map(([, outcome]) => outcome);
  const theirs = both.map(([pair]) => other.get(pair)!);
  const agreed = ours.filter((outcome, i) => outcome === theirs[i]).length;
  if (both.length === 0) return { value: NaN, low: NaN, high: NaN, pairs: 0, agreed };
  const measure = (weights: Uint16Array) => {
    const drawn = [...weights].flatMap((count, i) => Array.from({ length: count }, () => i));
    return [
      cohensKappa(
        drawn.map((i) => ours[i]!),
        drawn.map((i) => theirs[i]!),
      ),
    ];
  };
  const [kappa] = bootstrap(both.length, measure, { seed, draws });
  return { ...kappa!, pairs: both.length, agreed };
}

const draws = 2_000;

/** How often a person labels a pair that is shown again as before, with its exact interval (Clopper and Pearson 1934). */
export function consistency(labels: readonly PairLabel[]): Estimate & { readonly pairs: number } {
  const [first, again] = [byPair(labels), byPair(labels, true)];
  const both = [...again].filter(([pair]) => first.has(pair));
  const same = both.filter(([pair, outcome]) => first.get(pair) === outcome).length;
  const n = both.length;
  return {
    value: n === 0 ? NaN : same / n,
    low: same === 0 ? 0 : betaQuantile(0.025, same, n - same + 1),
    high: same === n ? 1 : betaQuantile(0.975, same + 1, n - same),
    pairs: n,
  };
}
