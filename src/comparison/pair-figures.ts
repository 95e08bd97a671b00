import type { Estimate } from "../stats/estimate.ts";
import { type Sources, crossedMean, crossedRatio } from "../stats/crossed-mean.ts";
import { type LengthPair, lengthControlledWinRate } from "../stats/length-controlled.ts";
import type { Outcome } from "../stats/outcomes.ts";
import { exactShare } from "../stats/proportion.ts";
import { wilson } from "../stats/wilson.ts";
import type { ComparisonResult, LengthFigures, OrderFigures } from "./comparison-result.ts";
import { numberPrompts } from "./prompt-numbers.ts";
import type { PairVerdict, Verdict } from "./verdict.ts";

/** The mean outcome by [training][prompt], for the prompts that have a decided pair in every training. */
export function tableOf(decided: readonly PairVerdict[]): number[][] {
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

const fewHits = 5; // with fewer hits or misses, Wilson's interval holds as rarely as in 84 % of the time

/**
 * A share with its interval: Wilson's (1927) if each prompt occurs once and there is one training, and the exact one where hits or misses are
 * few; else `crossedMean`'s.
 */
function shareOf(
  hits: readonly boolean[],
  verdicts: readonly PairVerdict[],
  sources: Sources = { prompts: numberPrompts(verdicts) },
): Estimate {
  if (!sources.trainings && new Set(Array.from(sources.prompts)).size === hits.length)
    return shareOfCases(hits.filter(Boolean).length, hits.length);
  const { pValue: _, ...share } = crossedMean(hits.map(Number), sources, { range: [0, 1] });
  return share;
}

export function shareOfCases(hits: number, cases: number): Estimate {
  return cases > 0 && Math.min(hits, cases - hits) < fewHits ? exactShare(hits, cases) : wilson(hits, cases);
}

export function orderFigures(verdicts: readonly PairVerdict[]): OrderFigures {
  const readable = verdicts.filter(({ orders }) => isReadable(orders));
  const hasBoth = readable.length > 0; // of a pair of which one order could not be read, the other says nothing of the place
  const seen = hasBoth ? readable : verdicts;
  const preferring = seen.flatMap((verdict) =>
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
    draws: seen
      .flatMap(({ orders }) => orders)
      .filter((verdict) => verdict.state === "judged" && verdict.winner === "draw").length,
  };
}

export function scoreFigures(verdicts: readonly PairVerdict[]): Pick<ComparisonResult, "relativeScore"> {
  const scored = verdicts.flatMap((verdict) => {
    const scores = totalScores(verdict);
    return scores ? [{ verdict, scores }] : [];
  });
  if (scored.length === 0) return {};
  const { pValue: _, ...relativeScore } = crossedRatio(
    scored.map(({ scores }) => scores[0]),
    scored.map(({ scores }) => scores[1]),
    sourcesOf(scored.map(({ verdict }) => verdict)),
    { openRatio: true },
  );
  return { relativeScore };
}

export const worth: Readonly<Record<Outcome, number>> = { win: 1, tie: 0, lose: -1, undecided: 0 };

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

export function lengthFigures(verdicts: readonly PairVerdict[]): LengthFigures | undefined {
  const known = verdicts.flatMap((verdict) => (verdict.lengths ? [{ verdict, lengths: verdict.lengths }] : []));
  if (known.length === 0) return undefined;
  const decided = known.filter(({ verdict }) => verdict.outcome !== "undecided");
  const pairs: LengthPair[] = decided.map(({ verdict: { outcome, preference, weight }, lengths }) => ({
    win: preference ?? (1 + worth[outcome]) / 2,
    lengths,
    weight,
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
    controlledWinRate: lengthControlledWinRate(
      pairs.some(({ win }) => win !== 0.5) ? pairs : [], // where all are ties, nothing says what length did
      sourcesOf(decided.map(({ verdict }) => verdict)),
    ),
  };
}

/** The prompt and the training that each verdict belongs to. */
export function sourcesOf(verdicts: readonly PairVerdict[]): Sources {
  const prompts = numberPrompts(verdicts);
  const trainings = verdicts.map(({ training = 0 }) => training);
  return new Set(trainings).size > 1 ? { prompts, trainings } : { prompts };
}
