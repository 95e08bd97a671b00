import type { Estimate } from "../stats/estimate.ts";
import { type Sources, type TestedEstimate, crossedMean } from "../stats/crossed-mean.ts";
import { type OutcomeCounts, countOutcomes } from "../stats/outcomes.ts";
import { crossedNeeded, crossedVariances, leastShared, promptsNeeded } from "../stats/prompts-needed.ts";
import { adjust, concludeFrom } from "./adjust.ts";
import type { ComparisonResult } from "./comparison-result.ts";
import { lengthFigures, orderFigures, scoreFigures, sourcesOf, tableOf, worth } from "./pair-figures.ts";
import { numberPrompts } from "./prompt-numbers.ts";
import type { PairVerdict } from "./verdict.ts";

const pooled = "pooled";

/**
 * Results pooled over all pairs, by test set, and by category and difficulty of each set. The p-values of test sets and of difficulties are
 * corrected for their number by Holm's method, those of categories by Benjamini and Hochberg's.
 */
export function analyse(verdicts: readonly PairVerdict[]): {
  readonly pooled: ComparisonResult;
  readonly sets: readonly ComparisonResult[];
  readonly categories: readonly (ComparisonResult & { readonly set: string })[];
  readonly difficulties: readonly (ComparisonResult & { readonly set: string })[];
} {
  const sets = groupBy(verdicts, ({ set }) => set);
  const bySet = [...sets].map(([set, members]) => analyseGroup(set, members));
  /** The results by a label of the pairs, within each set; pairs without one are left out. */
  const by = (labelOf: (verdict: PairVerdict) => string | undefined) =>
    [...sets].flatMap(([set, members]) => {
      const groups = groupBy(
        members.filter((verdict) => labelOf(verdict) !== undefined),
        (verdict) => labelOf(verdict)!,
      );
      return [...groups]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([label, some]) => ({ set, ...analyseGroup(label, some) }));
    });
  const all = analyseGroup(pooled, verdicts);
  return {
    pooled: sets.size > 1 ? { ...all, ...leaveSetsOut(verdicts.toSorted(byIdentity), [...sets.keys()]) } : all,
    sets: adjust(bySet, "Holm"),
    categories: adjust(
      by(({ category }) => category),
      "Benjamini-Hochberg",
    ),
    difficulties: adjust(
      by(({ difficulty }) => (difficulty === undefined ? undefined : nameDifficulty(difficulty))),
      "Holm",
    ),
  };
}

/** The ranges that WizardLM calls easy, medium and hard (arXiv 2304.12244), in the order of their names. */
function nameDifficulty(level: number): string {
  return level < 5 ? "1 to 4" : level < 8 ? "5 to 7" : "8 to 10";
}

/** How much the winning score depends on a single test set. */
function leaveSetsOut(
  verdicts: readonly PairVerdict[],
  sets: readonly string[],
): Pick<ComparisonResult, "withoutOneSet"> {
  const without = sets
    .map((set) => ({ set, winningScore: 1 + meanOutcome(verdicts.filter((one) => one.set !== set)).value }))
    .filter(({ winningScore: score }) => !Number.isNaN(score))
    .toSorted((a, b) => a.winningScore - b.winningScore);
  return without.length > 1 ? { withoutOneSet: { low: without[0]!, high: without.at(-1)! } } : {};
}

/** The mean outcome of the decided pairs, from -1 to 1; of several trainings, the mean of theirs. */
function meanOutcome(verdicts: readonly PairVerdict[]): TestedEstimate {
  const decided = verdicts.filter(isDecided);
  const sources = sourcesOf(decided);
  return crossedMean(
    decided.map(({ outcome }) => worth[outcome]),
    sources,
    { weights: weighTrainings(sources) },
  );
}

function isDecided({ outcome }: PairVerdict): boolean {
  return outcome !== "undecided";
}

/** The results for one group of pairs, with an uncorrected p-value. */
export function analyseGroup(group: string, unordered: readonly PairVerdict[]): ComparisonResult {
  const verdicts = unordered.toSorted(byIdentity); // so that the order of the pairs changes no figure
  const counts = countOutcomes(verdicts.map(({ outcome }) => outcome));
  const decided = verdicts.filter(isDecided);
  const { pValue, ...score } = meanOutcome(verdicts);
  const shifted = { value: 1 + score.value, low: 1 + score.low, high: 1 + score.high };
  const length = lengthFigures(verdicts);
  return {
    group,
    pairs: verdicts.length,
    prompts: new Set(numberPrompts(verdicts)).size,
    counts,
    identical: verdicts.filter(({ orders }) => orders.length === 0).length,
    winningScore: shifted,
    winRate: { value: shifted.value / 2, low: shifted.low / 2, high: shifted.high / 2 },
    ...gradedFigures(verdicts),
    pValue,
    conclusion: concludeFrom(pValue, shifted.value),
    ...needed(decided, counts, score),
    orders: orderFigures(verdicts),
    ...(length && { length }),
    ...scoreFigures(verdicts),
  };
}

/** Weights by which all trainings count equally, however many of their pairs are decided; undefined for one training. */
function weighTrainings({ trainings }: Sources): Float64Array | undefined {
  if (!trainings) return undefined;
  const pairs = new Map<number, number>();
  for (const training of Array.from(trainings)) pairs.set(training, (pairs.get(training) ?? 0) + 1);
  return Float64Array.from(trainings, (training) => trainings.length / pairs.size / pairs.get(training)!);
}

function gradedFigures(verdicts: readonly PairVerdict[]): Pick<ComparisonResult, "gradedWinRate"> {
  const graded = verdicts.filter(({ preference }) => preference !== undefined);
  if (graded.length === 0) return {};
  const weights = graded.map(({ weight = 1 }) => weight);
  const { pValue: _, ...gradedWinRate } = crossedMean(
    graded.map(({ preference }) => preference!),
    sourcesOf(graded),
    { range: [0, 1], ...(weights.some((weight) => weight !== weights[0]) && { weights }) },
  );
  return { gradedWinRate };
}

/** How many prompts or trainings are needed to show a difference of this size. */
function needed(
  decided: readonly PairVerdict[],
  counts: OutcomeCounts,
  score: Estimate,
): Pick<ComparisonResult, "promptsNeeded" | "promptsNeededRange" | "trainingsNeeded"> {
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  const furthest = Math.max(Math.abs(score.low), Math.abs(score.high));
  const nearest = score.low > 0 ? score.low : score.high < 0 ? score.high : 0;
  const sources = sourcesOf(decided);
  if (sources.trainings) {
    const table = tableOf(decided);
    const variances = crossedVariances(table);
    const sizes = { trainings: table.length, prompts: table[0]!.length };
    if (sizes.prompts < leastShared) return { promptsNeeded: null, promptsNeededRange: [null, null] }; // not known
    const [own, few, many] = [score.value, furthest, nearest].map((effect) => crossedNeeded(effect, variances, sizes));
    return {
      promptsNeeded: finite(own!.prompts),
      promptsNeededRange: [finite(few!.prompts), finite(many!.prompts)],
      trainingsNeeded: finite(own!.trainings),
    };
  }
  const { win, tie, lose } = counts;
  const prompts = new Set(Array.from(sources.prompts)).size;
  const decisive = (win + lose) / (win + tie + lose);
  const perPrompt = decided.length / prompts;
  const effect = designEffect(decided, sources);
  const forEffect = (difference: number) => {
    const share = Math.abs(difference);
    const all = Math.max(decisive, share); // a larger difference than was seen has more decisive pairs, too
    const split = { win: (all + share) / 2, tie: 1 - all, lose: (all - share) / 2 };
    return finite(Math.ceil((promptsNeeded(split) * effect) / perPrompt));
  };
  if (!(decisive > 0)) return { promptsNeeded: null, promptsNeededRange: [null, null] };
  return {
    promptsNeeded: finite(Math.ceil((promptsNeeded({ win, tie, lose }) * effect) / perPrompt)),
    promptsNeededRange: [forEffect(furthest), forEffect(nearest)],
  };
}

/** The design effect (Kish 1965): how much more the mean varies because pairs share prompts; 1 if each has its own. */
function designEffect(decided: readonly PairVerdict[], { prompts }: Sources): number {
  const values = decided.map(({ outcome }) => worth[outcome]);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const byPrompt = new Map<number, number>();
  let alone = 0;
  for (const [i, value] of values.entries()) {
    byPrompt.set(prompts[i]!, (byPrompt.get(prompts[i]!) ?? 0) + value - mean);
    alone += (value - mean) ** 2;
  }
  const together = [...byPrompt.values()].reduce((sum, value) => sum + value ** 2, 0);
  return byPrompt.size === values.length || alone === 0 ? 1 : Math.max(1, together / alone);
}

function byIdentity(a: PairVerdict, b: PairVerdict): number {
  const [x, y] = [`${a.set}\0${a.id}`, `${b.set}\0${b.id}`];
  return x < y ? -1 : x > y ? 1 : 0;
}

function groupBy<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
