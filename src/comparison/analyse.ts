import type { Estimate } from "../stats/agreement.ts";
import { bootstrap } from "../stats/bootstrap.ts";
import { lengthControlledWinRate, type LengthPair } from "../stats/length-controlled.ts";
import { countOutcomes, type Outcome, type OutcomeCounts } from "../stats/outcomes.ts";
import { promptsNeeded, signTest } from "../stats/sign-test.ts";
import type { PairVerdict, Verdict } from "./verdict.ts";

/** What can be concluded from the verdicts of one group of pairs. Shares are 0 to 1, lengths in characters. */
export interface ComparisonResult {
  /** A test set, a category, or `pooled`. */
  readonly group: string;
  readonly pairs: number;
  readonly counts: OutcomeCounts;
  /** Pairs whose answers are the same: ties without asking. */
  readonly identical: number;
  readonly winningScore: Estimate;
  /** Wins, and ties by half, of the decided pairs. */
  readonly winRate: Estimate;
  /** The chance of a split at least this uneven if neither were better (exact sign test). */
  readonly pValue: number;
  readonly conclusion: "better" | "worse" | "no difference shown";
  /** Prompts needed to show a difference of this size four times in five; null when wins and losses are even. */
  readonly promptsNeeded: number | null;
  readonly orders: OrderFigures;
  /** Absent when the answers are not known. */
  readonly length?: LengthFigures;
  /** A's total score over B's, over both orders, from judges that give scores: the paper's relative score. */
  readonly relativeScore?: Estimate;
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
  /** The win rate if both answers were as long (AlpacaEval 2's model). */
  readonly controlledWinRate: Estimate;
}

export interface AnalyseOptions {
  readonly seed?: number;
}

const significance = 0.05;
const lengthDraws = 1_000; // each of them fits a model
const pooled = "pooled";

/** Results by test set (when there are several), by category (likewise), and pooled over all. */
export function analyse(
  verdicts: readonly PairVerdict[],
  options: AnalyseOptions = {},
): {
  readonly pooled: ComparisonResult;
  readonly sets: readonly ComparisonResult[];
  readonly categories: readonly (ComparisonResult & { readonly set: string })[];
} {
  const sets = groupBy(verdicts, ({ set }) => set);
  return {
    pooled: analyseGroup(pooled, verdicts, options),
    sets: [...sets].map(([set, members]) => analyseGroup(set, members, options)),
    categories: [...sets].flatMap(([set, members]) => {
      const categories = groupBy(
        members.filter(({ category }) => category !== undefined),
        ({ category }) => category!,
      );
      return [...categories]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([category, some]) => ({ set, ...analyseGroup(category, some, options) }));
    }),
  };
}

/** The same for one group of pairs. */
export function analyseGroup(
  group: string,
  unordered: readonly PairVerdict[],
  { seed = 42 }: AnalyseOptions = {},
): ComparisonResult {
  const verdicts = unordered.toSorted(byIdentity); // so that the order of the pairs changes no interval
  const clusters = clusterOf(verdicts);
  const clusterCount = Math.max(-1, ...clusters) + 1;
  const counts = countOutcomes(verdicts.map(({ outcome }) => outcome));
  const scores = verdicts.map(totalScores);
  const hasScores = scores.some((pair) => pair !== undefined);
  const [winningScore, winRate, flipRate, relativeScore, firstShare] = bootstrap(
    clusterCount,
    (weights) => figures(verdicts, scores, clusters, weights),
    { seed },
  ) as [Estimate, Estimate, Estimate, Estimate, Estimate]; // as many as figures gives
  const pValue = signTest(counts.win, counts.lose);
  const needed = promptsNeeded(counts);
  const length = lengthFigures(verdicts, clusters, clusterCount, seed);
  return {
    group,
    pairs: verdicts.length,
    counts,
    identical: verdicts.filter(({ orders }) => orders.length === 0).length,
    winningScore,
    winRate,
    pValue,
    conclusion: pValue >= significance ? "no difference shown" : counts.win > counts.lose ? "better" : "worse",
    promptsNeeded: Number.isFinite(needed) ? needed : null,
    orders: { ...countOrders(verdicts), flipRate, firstShare },
    ...(length && { length }),
    ...(hasScores && { relativeScore }),
  };
}

/** Winning score, win rate, flip rate, relative score and position preference, with cluster i counted `weights[i]` times. */
function figures(
  verdicts: readonly PairVerdict[],
  scores: readonly (readonly [number, number] | undefined)[],
  clusters: Uint32Array,
  weights: Uint16Array,
): number[] {
  let decided = 0;
  let sum = 0;
  let both = 0;
  let flipped = 0;
  let totalA = 0;
  let totalB = 0;
  let first = 0;
  let preferred = 0;
  for (let i = 0; i < verdicts.length; i++) {
    const weight = weights[clusters[i]!]!;
    if (weight === 0) continue;
    const { outcome, orders } = verdicts[i]!;
    if (outcome !== "undecided") decided += weight;
    sum += weight * worth[outcome];
    if (isReadable(orders)) {
      both += weight;
      if (isFlipped(orders)) flipped += weight;
    }
    for (const verdict of orders) {
      const isFirst = prefersFirst(verdict);
      if (isFirst === undefined) continue;
      preferred += weight;
      if (isFirst) first += weight;
    }
    const pair = scores[i];
    if (pair) {
      totalA += weight * pair[0];
      totalB += weight * pair[1];
    }
  }
  return [1 + sum / decided, (1 + sum / decided) / 2, flipped / both, totalA / totalB, first / preferred];
}

const worth: Readonly<Record<Outcome, number>> = { win: 1, tie: 0, lose: -1, undecided: 0 };

type Judged = Extract<Verdict, { state: "judged" }>;

function isReadable(orders: readonly Verdict[]): orders is readonly [Judged, Judged] {
  return orders.length === 2 && orders.every(({ state }) => state === "judged");
}

function isFlipped([one, other]: readonly [Judged, Judged]): boolean {
  return one.winner !== "draw" && other.winner !== "draw" && one.winner !== other.winner;
}

/** Whether a verdict prefers the answer that was shown first; undefined where it prefers none, or nobody knows the order. */
function prefersFirst(verdict: Verdict): boolean | undefined {
  if (verdict.state !== "judged" || verdict.winner === "draw" || verdict.shownFirst === undefined) return undefined;
  return verdict.winner === verdict.shownFirst;
}

function countOrders(verdicts: readonly PairVerdict[]): Omit<OrderFigures, "flipRate" | "firstShare"> {
  const counts = { pairs: 0, first: 0, second: 0, draws: 0 };
  for (const { orders } of verdicts) {
    if (isReadable(orders)) counts.pairs++;
    for (const verdict of orders) {
      if (verdict.state === "judged" && verdict.winner === "draw") counts.draws++;
      const isFirst = prefersFirst(verdict);
      if (isFirst === true) counts.first++;
      if (isFirst === false) counts.second++;
    }
  }
  return counts;
}

/** The scores of all orders together, where all have them. */
function totalScores({ orders }: PairVerdict): readonly [number, number] | undefined {
  let [a, b] = [0, 0];
  for (const verdict of orders) {
    if (verdict.state !== "judged" || !verdict.scores) return undefined;
    a += verdict.scores.A;
    b += verdict.scores.B;
  }
  return orders.length > 0 ? [a, b] : undefined;
}

function lengthFigures(
  verdicts: readonly PairVerdict[],
  clusters: Uint32Array,
  clusterCount: number,
  seed: number,
): LengthFigures | undefined {
  const known = verdicts.flatMap(({ lengths, outcome }, i) =>
    lengths ? [{ lengths, outcome, cluster: clusters[i]! }] : [],
  );
  if (known.length === 0) return undefined;
  const decided = known.filter(({ outcome }) => outcome !== "undecided");
  const pairs: LengthPair[] = decided.map(({ lengths: [a, b], outcome }) => ({
    win: (1 + worth[outcome]) / 2,
    lengthDifference: a - b,
  }));
  const [controlledWinRate, longerWins] = bootstrap(
    clusterCount,
    (drawn) => {
      const weights = decided.map(({ cluster }) => drawn[cluster]!);
      return [lengthControlledWinRate(pairs, weights), longerShare(pairs, weights)];
    },
    { seed, draws: lengthDraws },
  ) as [Estimate, Estimate]; // two figures
  const mean = (side: 0 | 1) => known.reduce((sum, { lengths }) => sum + lengths[side], 0) / known.length;
  return {
    meanA: mean(0),
    meanB: mean(1),
    longerWins,
    controlledWinRate,
  };
}

/** Of the pairs that one side wins, the share that the longer answer wins; NaN without such a pair. */
function longerShare(pairs: readonly LengthPair[], weights: readonly number[]): number {
  let [uneven, longer] = [0, 0];
  for (const [i, { win, lengthDifference }] of pairs.entries()) {
    if (win === 0.5 || lengthDifference === 0) continue;
    uneven += weights[i]!;
    if ((win === 1) === lengthDifference > 0) longer += weights[i]!;
  }
  return longer / uneven;
}

/** Which prompt each verdict is about, as numbers from 0. */
function clusterOf(verdicts: readonly PairVerdict[]): Uint32Array {
  const numbers = new Map<string, number>();
  return Uint32Array.from(verdicts, ({ set, id, prompt }) => {
    const name = `${set}\0${prompt ?? id}`;
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return numbers.get(name)!;
  });
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
