import type { Estimate } from "../stats/agreement.ts";
import { crossedMean, crossedRatio, type Sources } from "../stats/crossed-mean.ts";
import { lengthControlledWinRate, type LengthPair } from "../stats/length-controlled.ts";
import { countOutcomes, winningScore, type Outcome, type OutcomeCounts } from "../stats/outcomes.ts";
import { crossedNeeded, crossedVariances, promptsNeeded } from "../stats/prompts-needed.ts";
import { wilson } from "../stats/wilson.ts";
import { adjust, concludeFrom, type Adjusted, type Conclusion } from "./adjust.ts";
import { numberPrompts } from "./prompt-numbers.ts";
import type { PairVerdict, Verdict } from "./verdict.ts";

/** The results for one group of pairs. Shares are 0 to 1, lengths in characters. */
export interface ComparisonResult {
  /** A test set, a category, or `pooled`. */
  readonly group: string;
  readonly pairs: number;
  readonly counts: OutcomeCounts;
  /** Pairs whose answers are the same: ties without calling the judge. */
  readonly identical: number;
  /** Conclusion, interval and p-value come from one test: see `stats/crossed-mean.ts`. */
  readonly winningScore: Estimate;
  /** The share of the decided pairs that A wins; ties count half. */
  readonly winRate: Estimate;
  /** The mean preference for A, 0 to 1, from judges with graded preferences. */
  readonly gradedWinRate?: Estimate | undefined;
  /** The chance of a winning score at least as far from 1 if neither arm is better, over prompts and (if several) trainings. */
  readonly pValue: number;
  /** The p-value corrected for multiple comparisons. */
  readonly adjusted?: Adjusted | undefined;
  readonly conclusion: Conclusion;
  /** Prompts needed to show a difference of this size with 80 % power; null when no number is enough. */
  readonly promptsNeeded: number | null;
  /** Prompts needed if the difference is as large, and as small, as its interval allows; null when no number is enough. */
  readonly promptsNeededRange: readonly [fewest: number | null, most: number | null];
  /** Trainings needed with the same number of prompts, if there are several trainings; null when fifty are not enough. */
  readonly trainingsNeeded?: number | null | undefined;
  /** The lowest and the highest winning score when one test set is left out. */
  readonly withoutOneSet?: { readonly low: WithoutSet; readonly high: WithoutSet } | undefined;
  readonly orders: OrderFigures;
  /** Absent when the answers are not known. */
  readonly length?: LengthFigures | undefined;
  /** A's total score divided by B's, over both orders, from judges that give scores: the paper's relative score. */
  readonly relativeScore?: Estimate | undefined;
}

interface WithoutSet {
  readonly set: string;
  readonly winningScore: number;
}

/** How much the judge depends on the order in which it sees the answers. */
interface OrderFigures {
  /** Pairs with a verdict in both orders. */
  readonly pairs: number;
  /** Of these, the share where one order says A and the other B. */
  readonly flipRate: Estimate;
  /** Of the verdicts that prefer an answer, the share that prefers the one shown first. */
  readonly firstShare: Estimate;
  /** Verdicts for the answer shown first, and for the one shown second, and draws. */
  readonly first: number;
  readonly second: number;
  readonly draws: number;
}

interface LengthFigures {
  readonly meanA: number;
  readonly meanB: number;
  /** Of the pairs that are not tied, the share won by the longer answer. */
  readonly longerWins: Estimate;
  /** The win rate if both answers were equally long: see `stats/length-controlled.ts`. */
  readonly controlledWinRate: Estimate;
}

const pooled = "pooled";

/**
 * Results pooled over all pairs, by test set, and by category of each set. The p-values of test sets are corrected for their
 * number by Holm's method, those of categories by Benjamini and Hochberg's.
 */
export function analyse(verdicts: readonly PairVerdict[]): {
  readonly pooled: ComparisonResult;
  readonly sets: readonly ComparisonResult[];
  readonly categories: readonly (ComparisonResult & { readonly set: string })[];
} {
  const sets = groupBy(verdicts, ({ set }) => set);
  const bySet = [...sets].map(([set, members]) => analyseGroup(set, members));
  const byCategory = [...sets].flatMap(([set, members]) => {
    const categories = groupBy(
      members.filter(({ category }) => category !== undefined),
      ({ category }) => category!,
    );
    return [...categories]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([category, some]) => ({ set, ...analyseGroup(category, some) }));
  });
  const all = analyseGroup(pooled, verdicts);
  return {
    pooled: sets.size > 1 ? { ...all, ...leaveSetsOut(verdicts, [...sets.keys()]) } : all,
    sets: adjust(bySet, "Holm"),
    categories: adjust(byCategory, "Benjamini-Hochberg"),
  };
}

/** How much the winning score depends on a single test set. */
function leaveSetsOut(
  verdicts: readonly PairVerdict[],
  sets: readonly string[],
): Pick<ComparisonResult, "withoutOneSet"> {
  const without = sets
    .map((set) => ({
      set,
      winningScore: winningScore(
        countOutcomes(verdicts.filter((one) => one.set !== set).map(({ outcome }) => outcome)),
      ),
    }))
    .filter(({ winningScore: score }) => !Number.isNaN(score))
    .toSorted((a, b) => a.winningScore - b.winningScore);
  return without.length > 1 ? { withoutOneSet: { low: without[0]!, high: without.at(-1)! } } : {};
}

/** The results for one group of pairs, with an uncorrected p-value. */
export function analyseGroup(group: string, unordered: readonly PairVerdict[]): ComparisonResult {
  const verdicts = unordered.toSorted(byIdentity); // so that the order of the pairs changes no figure
  const counts = countOutcomes(verdicts.map(({ outcome }) => outcome));
  const decided = verdicts.filter(({ outcome }) => outcome !== "undecided");
  const sources = sourcesOf(decided);
  const { pValue, ...score } = crossedMean(
    decided.map(({ outcome }) => worth[outcome]),
    sources,
    { weights: weighTrainings(sources) },
  );
  const shifted = { value: 1 + score.value, low: 1 + score.low, high: 1 + score.high };
  const length = lengthFigures(verdicts);
  return {
    group,
    pairs: verdicts.length,
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

/** The prompt and the training that each verdict belongs to. */
function sourcesOf(verdicts: readonly PairVerdict[]): Sources {
  const prompts = numberPrompts(verdicts);
  const trainings = verdicts.map(({ training = 0 }) => training);
  return new Set(trainings).size > 1 ? { prompts, trainings } : { prompts };
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
  const { pValue: _, ...gradedWinRate } = crossedMean(
    graded.map(({ preference }) => preference!),
    sourcesOf(graded),
    { range: [0, 1] },
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
    const share = Math.min(decisive, Math.abs(difference));
    const split = { win: (decisive + share) / 2, tie: 1 - decisive, lose: (decisive - share) / 2 };
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

/** The mean outcome by [training][prompt], for the prompts that have a decided pair in every training. */
function tableOf(decided: readonly PairVerdict[]): number[][] {
  const { prompts, trainings } = sourcesOf(decided);
  const cells = new Map<number, Map<number, { sum: number; count: number }>>();
  for (const [i, { outcome }] of decided.entries()) {
    const row = cells.get(trainings![i]!) ?? new Map<number, { sum: number; count: number }>();
    cells.set(trainings![i]!, row);
    const cell = row.get(prompts[i]!) ?? { sum: 0, count: 0 };
    row.set(prompts[i]!, { sum: cell.sum + worth[outcome], count: cell.count + 1 });
  }
  const rows = [...cells.values()];
  const shared = [...rows[0]!.keys()].filter((prompt) => rows.every((row) => row.has(prompt)));
  return rows.map((row) => shared.map((prompt) => row.get(prompt)!.sum / row.get(prompt)!.count));
}

/** A share with its interval: Wilson's (1927) if each prompt occurs once and there is one training, else `crossedMean`'s. */
function shareOf(
  hits: readonly boolean[],
  verdicts: readonly PairVerdict[],
  sources: Sources = { prompts: numberPrompts(verdicts) },
): Estimate {
  if (!sources.trainings && new Set(Array.from(sources.prompts)).size === hits.length)
    return wilson(hits.filter(Boolean).length, hits.length);
  const { pValue: _, ...share } = crossedMean(hits.map(Number), sources, { range: [0, 1] });
  return share;
}

function orderFigures(verdicts: readonly PairVerdict[]): OrderFigures {
  const readable = verdicts.filter(({ orders }) => isReadable(orders));
  const preferring = verdicts.flatMap((verdict) =>
    verdict.orders.flatMap((order) => {
      const isFirst = prefersFirst(order);
      return isFirst === undefined ? [] : [{ verdict, isFirst }];
    }),
  );
  const first = preferring.filter(({ isFirst }) => isFirst).length;
  return {
    pairs: readable.length,
    flipRate: shareOf(
      readable.map(({ orders }) => isReadable(orders) && isFlipped(orders)),
      readable,
    ),
    firstShare: shareOf(
      preferring.map(({ isFirst }) => isFirst),
      preferring.map(({ verdict }) => verdict),
    ),
    first,
    second: preferring.length - first,
    draws: verdicts
      .flatMap(({ orders }) => orders)
      .filter((verdict) => verdict.state === "judged" && verdict.winner === "draw").length,
  };
}

function scoreFigures(verdicts: readonly PairVerdict[]): Pick<ComparisonResult, "relativeScore"> {
  const scored = verdicts.flatMap((verdict) => {
    const scores = totalScores(verdict);
    return scores ? [{ verdict, scores }] : [];
  });
  if (scored.length === 0) return {};
  const { pValue: _, ...relativeScore } = crossedRatio(
    scored.map(({ scores }) => scores[0]),
    scored.map(({ scores }) => scores[1]),
    sourcesOf(scored.map(({ verdict }) => verdict)),
  );
  return { relativeScore };
}

const worth: Readonly<Record<Outcome, number>> = { win: 1, tie: 0, lose: -1, undecided: 0 };

type Judged = Extract<Verdict, { state: "judged" }>;

function isReadable(orders: readonly Verdict[]): orders is readonly [Judged, Judged] {
  return orders.length === 2 && orders.every(({ state }) => state === "judged");
}

function isFlipped([one, other]: readonly [Judged, Judged]): boolean {
  return one.winner !== "draw" && other.winner !== "draw" && one.winner !== other.winner;
}

/** Whether a verdict prefers the answer that was shown first; undefined if it prefers none or the order is not known. */
function prefersFirst(verdict: Verdict): boolean | undefined {
  if (verdict.state !== "judged" || verdict.winner === "draw" || verdict.shownFirst === undefined) return undefined;
  return verdict.winner === verdict.shownFirst;
}

/** The scores of A and of B, summed over all orders; undefined unless every order has scores. */
function totalScores({ orders }: PairVerdict): readonly [number, number] | undefined {
  let [a, b] = [0, 0];
  for (const verdict of orders) {
    if (verdict.state !== "judged" || !verdict.scores) return undefined;
    a += verdict.scores.A;
    b += verdict.scores.B;
  }
  return orders.length > 0 ? [a, b] : undefined;
}

function lengthFigures(verdicts: readonly PairVerdict[]): LengthFigures | undefined {
  const known = verdicts.flatMap((verdict) => (verdict.lengths ? [{ verdict, lengths: verdict.lengths }] : []));
  if (known.length === 0) return undefined;
  const decided = known.filter(({ verdict }) => verdict.outcome !== "undecided");
  const pairs: LengthPair[] = decided.map(({ verdict: { outcome, preference }, lengths }) => ({
    win: preference ?? (1 + worth[outcome]) / 2,
    lengths,
  }));
  const uneven = decided.filter(({ verdict, lengths: [a, b] }) => verdict.outcome !== "tie" && a !== b);
  const mean = (side: 0 | 1) => known.reduce((sum, { lengths }) => sum + lengths[side], 0) / known.length;
  return {
    meanA: mean(0),
    meanB: mean(1),
    longerWins: shareOf(
      uneven.map(({ verdict, lengths: [a, b] }) => (verdict.outcome === "win") === a > b),
      uneven.map(({ verdict }) => verdict),
      sourcesOf(uneven.map(({ verdict }) => verdict)), // with trainings, since each trained model has its own lengths
    ),
    controlledWinRate: lengthControlledWinRate(pairs, sourcesOf(decided.map(({ verdict }) => verdict))),
  };
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
