import type { Outcome } from "../stats/outcomes.ts";
import { bootstrap } from "../stats/bootstrap.ts";
import { crossedMean } from "../stats/crossed-mean.ts";
import type { Estimate } from "../stats/estimate.ts";
import { fleissKappa } from "../stats/fleiss-kappa.ts";
import { exactShare } from "../stats/proportion.ts";
import { cohensKappa, tableKappa } from "../stats/kappa.ts";
import { tableIntervals } from "../stats/table-bootstrap.ts";
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

/** Which pairs belong together: the turns of one conversation count as one prompt. */
export type ClusterOf = (pair: string) => string;

/** A's win rate by people, ties as halves: prompts and people are crossed sources of variance. */
export function winRateByPeople(people: readonly LabelsByPair[], clusterOf: ClusterOf): Estimate {
  const numbers = new Map<string, number>();
  const [rates, prompts, raters]: [number[], number[], number[]] = [[], [], []];
  const own = people.filter((labels) => labels.size > 0);
  for (const [person, labels] of own.entries())
    for (const [pair, outcome] of labels) {
      rates.push(values[outcome]);
      prompts.push(numberOf(numbers, clusterOf(pair)));
      raters.push(person);
    }
  return crossedMean(rates, { prompts, trainings: own.length > 1 ? raters : undefined }, { range: [0, 1] });
}

function numberOf(numbers: Map<string, number>, name: string): number {
  const found = numbers.get(name) ?? numbers.size;
  numbers.set(name, found);
  return found;
}

/** Fleiss' kappa of all people, over pairs that at least two of them labelled, with its interval over prompts. */
export function kappaOfAll(
  people: readonly LabelsByPair[],
  clusterOf: ClusterOf,
  seed: number,
): Estimate & { readonly pairs: number } {
  const pairs = [...new Set(people.flatMap((labels) => [...labels.keys()]))].filter(
    (pair) => people.filter((labels) => labels.has(pair)).length > 1,
  );
  const counts = pairs.map((pair) => countVotes(people, pair));
  return { ...kappaWithInterval(counts, pairs.map(clusterOf), seed), pairs: pairs.length };
}

/** Cohen's kappa of two people, over the pairs that both labelled, with its interval over prompts. */
export function kappaOfTwo(
  one: LabelsByPair,
  other: LabelsByPair,
  clusterOf: ClusterOf,
  seed: number,
): Estimate & { readonly pairs: number; readonly agreed: number } {
  const both = [...one].filter(([pair]) => other.has(pair));
  const ours = both.map(([, outcome]) => levels[outcome]);
  const theirs = both.map(([pair]) => levels[other.get(pair)!]);
  const agreed = ours.filter((level, i) => level === theirs[i]).length;
  const value = cohensKappa(ours.map(String), theirs.map(String));
  if (both.length === 0) return { value: NaN, low: NaN, high: NaN, pairs: 0, agreed };
  const [kappa] = tableIntervals(ours, theirs, (table) => [tableKappa(table)], {
    values: [value],
    levels: [allLevels, allLevels],
    independent: new Set(both.map(([pair]) => clusterOf(pair))).size,
    seed,
  });
  return { ...kappa!, value, pairs: both.length, agreed };
}

const levels = { win: 1, tie: 0, lose: -1 } as const;
const allLevels = [-1, 0, 1];

/**
 * Fleiss' kappa with its interval by the bootstrap over prompts. Few pairs that all agree would give an interval without width, so the draws
 * are also from a pair on which people agree and one on which they do not, as in a smoothed bootstrap; the upper end also without the latter, which
 * would keep it from kappas near 1.
 */
function kappaWithInterval(
  counts: readonly (readonly number[])[],
  clusters: readonly string[],
  seed: number,
): Estimate {
  if (counts.length === 0) return { value: NaN, low: NaN, high: NaN };
  const numbers = new Map<string, number>();
  const clusterOfItem = clusters.map((name) => numberOf(numbers, name));
  const alike = [
    [2, 0, 0],
    [0, 2, 0],
    [0, 0, 2],
  ];
  const unlike = [
    [1, 1, 0],
    [1, 0, 1],
    [0, 1, 1],
  ];
  const drawWith = (extra: readonly (readonly number[])[]) => {
    const all = [...counts, ...extra];
    const [drawn] = bootstrap(
      numbers.size + extra.length,
      (weights) => {
        const own = clusterOfItem.map((cluster) => weights[cluster]!);
        return [fleissKappa(all, [...own, ...extra.map((_, i) => weights[numbers.size + i]! / 3)])];
      },
      { seed, draws },
    );
    return drawn!;
  };
  const kappa = drawWith([...alike, ...unlike]);
  const { high } = drawWith(alike);
  const value = fleissKappa(counts);
  if (Number.isNaN(kappa.low)) return { value, low: -1, high: 1 };
  const widest = Math.max(kappa.high, Number.isNaN(high) ? 1 : high);
  if (Number.isNaN(value)) return { ...kappa, value, high: widest }; // all labels are the same: the interval is of what is known
  return { value, low: Math.min(value, kappa.low), high: Math.max(value, widest) };
}

const draws = 2_000;

/** How often a person labels a pair that is shown again as before, with its exact interval (Clopper and Pearson 1934). */
export function consistency(labels: readonly PairLabel[]): Estimate & { readonly pairs: number } {
  const [first, again] = [byPair(labels), byPair(labels, true)];
  const both = [...again].filter(([pair]) => first.has(pair));
  const same = both.filter(([pair, outcome]) => first.get(pair) === outcome).length;
  return { ...exactShare(same, both.length), pairs: both.length };
}
