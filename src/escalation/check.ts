import type { Estimate } from "../stats/estimate.ts";
import { quantile } from "../stats/quantile.ts";
import { drawBeta, drawNormal, leastMarked, mostMarked, type Sample } from "../stats/proportion.ts";
import { shuffle, type Random } from "../stats/random.ts";

/*
 * Finds the lowest probability (the cut) at which open rows, those not asked about, can be kept, so that the wanted share of
 * all kept rows is right: their score reaches the threshold. This holds even if the probabilities are bad: the evidence is
 * rows drawn at random, and the probabilities only give the order (SUPG, Kang et al. 2020). Candidate cuts are tested from
 * the strictest on until one fails (Learn then Test, Angelopoulos et al. 2021). Each test may use the full error
 * probability, since the order of tests is fixed in advance.
 */

export const checkShare = 0.3; // of the budget: rows drawn at random in the last round
const topShare = 0.8; // of these, drawn among rows that may be kept; the others show how many right rows are lost
const errorProbability = 0.05; // probability that fewer of the kept rows are right than promised
const tail = 0.025; // at either end of the recall's interval
// at the upper end of the precision's interval; small, as a cut also fails by chance, and the kept rows then look too bad
const highTail = 0.005;
const cuts = 20;
const slack = 1.3; // standard deviations by which the plan lets the drawn rows look worse than the truth
const margin = 1.1; // factor on the planned reach, as the student may underrate its rows
const restStrata = 2;
const leastInStratum = 8; // drawn rows
const draws = 400;

/** The fewest random rows that can show a precision: with fewer, all may be right by chance. */
export function leastChecked(precision: number): number {
  return Math.ceil(Math.ceil(Math.log(errorProbability) / Math.log(precision)) / topShare);
}

/** The smallest budget that can show a precision: half of it is for teaching. */
export function leastBudget(precision: number): number {
  return 2 * leastChecked(precision);
}

/** Consecutive rows in the order of probability, and which of them are drawn. */
interface Stratum {
  readonly rows: Uint32Array;
  readonly drawn: Uint32Array;
}

/** The rows to ask about in the last round. */
export interface CheckPlan {
  /** Open rows that may be kept, likeliest first. */
  readonly top: Uint32Array;
  /** How many of them each candidate cut keeps, ascending. */
  readonly cuts: readonly number[];
  readonly rest: readonly Stratum[];
  /** All rows of the check to ask about, ascending. */
  readonly drawn: Uint32Array;
}

export interface CheckInput {
  /** By row: the probability of being right, which orders the open rows. */
  readonly probabilities: Float64Array;
  readonly isAsked: Uint8Array;
  /** How many of the rows asked about are right. */
  readonly sure: number;
  readonly size: number;
  readonly precision: number;
}

/** Draws the rows of the check: evenly among rows that may be kept, and by stratum among the others. */
export function planCheck(input: CheckInput, random: Random): CheckPlan {
  const { probabilities, isAsked, sure, size, precision } = input;
  const order = Uint32Array.from(isAsked.keys())
    .filter((row) => !isAsked[row])
    .sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  const forTop = Math.min(order.length, Math.round(size * topShare));
  const freeRows = Math.floor((sure * (1 - precision)) / precision); // open rows to keep even if all of them are wrong
  const reach = Math.max(freeRows, forTop, margin * Math.max(freeRows, plausibleReach(order, forTop, input)));
  const last = extendOverTies(Math.min(order.length, Math.round(reach)), order, probabilities);
  const candidates = Array.from({ length: cuts + 1 }, (_, i) =>
    extendOverTies(Math.min(last, Math.round(freeRows + ((last - freeRows) * i) / cuts)), order, probabilities),
  );
  const ascending = [...new Set(candidates)].filter((cut) => cut > 0);
  const top = order.subarray(0, last);
  const drawn = drawBetween(top, ascending, forTop, random);
  const rest = drawRest(order.subarray(last), Math.max(0, size - drawn.length), probabilities, random);
  return {
    top,
    cuts: ascending,
    rest,
    drawn: Uint32Array.from([...drawn, ...rest.flatMap((stratum) => [...stratum.drawn])]).sort(),
  };
}

/** How many of the ordered rows could be kept if the probabilities are true, and the drawn rows look slightly too bad. */
function plausibleReach(order: Uint32Array, drawn: number, { probabilities, sure, precision }: CheckInput): number {
  let reach = 0;
  let wrong = 0;
  for (const [i, row] of order.entries()) {
    wrong += 1 - probabilities[row]!;
    const rows = i + 1;
    const known = Math.min(drawn, rows);
    const share = wrong / rows;
    const variance = Math.max(share * (1 - share), 0.5 / known) / known;
    const left = (share + slack * Math.sqrt(variance * (1 - known / rows))) * (rows - known);
    if (left <= (1 - precision) * (sure + rows - known * share)) reach = rows;
  }
  return reach;
}

/** Moves a cut down so that rows of equal probability stay together. */
function extendOverTies(cut: number, order: Uint32Array, probabilities: Float64Array): number {
  let end = cut;
  while (end > 0 && end < order.length && probabilities[order[end]!] === probabilities[order[end - 1]!]) end++;
  return end;
}

/** Draws rows at random from each part between two cuts, in proportion to its size. */
function drawBetween(rows: Uint32Array, ends: readonly number[], size: number, random: Random): Uint32Array {
  const drawn: number[] = [];
  let from = 0;
  for (const to of ends) {
    const wanted = Math.round((size * to) / rows.length) - drawn.length;
    drawn.push(...shuffle(rows.slice(from, to), random).slice(0, Math.max(0, wanted)));
    from = to;
  }
  return Uint32Array.from(drawn);
}

/** Draws equally many of each stratum of the other rows. Strata are smaller where rows are less clear (Neyman 1934). */
function drawRest(rows: Uint32Array, size: number, probabilities: Float64Array, random: Random): Stratum[] {
  if (rows.length === 0) return [];
  const strata = Math.max(1, Math.min(restStrata, Math.floor(size / leastInStratum)));
  const weights = Float64Array.from(rows, (row) => Math.sqrt(probabilities[row]! * (1 - probabilities[row]!)) + 1e-3);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const result: Stratum[] = [];
  let sum = 0;
  let from = 0;
  for (let stratum = 1; stratum <= strata; stratum++) {
    let to = stratum === strata ? rows.length : from;
    while (to < rows.length && sum < (total * stratum) / strata) sum += weights[to++]!;
    const wanted = Math.floor((size * stratum) / strata) - Math.floor((size * (stratum - 1)) / strata);
    const own = rows.subarray(from, to);
    result.push({ rows: own, drawn: shuffle(own.slice(), random).slice(0, wanted) });
    from = to;
  }
  return result;
}

export interface CheckResult {
  /** The kept part of `top`, likeliest first; it includes drawn rows, even if they turned out to be wrong. */
  readonly kept: Uint32Array;
  readonly precision: Estimate;
  readonly recall: Estimate;
}

/**
 * Finds the widest cut that passes, and estimates its precision and recall from the drawn rows.
 *
 * @param isRight whether a row that was asked about is right
 * @param sure how many rows asked about are right, including those of the check
 * @param guess the share of right rows by the probabilities, for where few or no rows were drawn
 */
export function concludeCheck(
  plan: CheckPlan,
  isRight: (row: number) => boolean,
  {
    sure,
    precision,
    guess,
  }: { readonly sure: number; readonly precision: number; readonly guess: (rows: Uint32Array) => number },
  random: Random,
): CheckResult {
  const wrongOf = sampleCounter(plan, isRight);
  let kept = 0;
  let low = 1;
  for (const cut of plan.cuts) {
    const worst = 1 - wrongShare(wrongOf(0, cut), sure, (sample) => mostMarked(sample, errorProbability));
    if (worst < precision) {
      if (wrongOf(0, kept).drawn > 0) low = precision; // after a failure the cut depends on the draw: no more is shown
      break;
    }
    kept = cut;
    low = worst;
  }
  const wrong = wrongOf(0, kept);
  const expected = wrong.drawn > 0 ? wrong.marked / wrong.drawn : 1 - guess(plan.top.subarray(0, kept));
  const value = 1 - wrongShare(wrong, sure, ({ of }) => wrong.marked + expected * (of - wrong.drawn));
  const high = 1 - wrongShare(wrong, sure, (sample) => leastMarked(sample, highTail));
  const lost = ({ of, drawn, marked }: Sample, rows: Uint32Array): DroppedRows => ({
    of,
    drawn,
    marked,
    share: (marked + guess(rows)) / (drawn + 1),
  });
  const dropped = [
    lost(complement(wrongOf(kept, plan.top.length)), plan.top.subarray(kept)),
    ...plan.rest.map(({ rows, drawn }) =>
      lost({ of: rows.length, drawn: drawn.length, marked: drawn.filter(isRight).length }, rows),
    ),
  ];
  const isNoneKept = sure + wrong.of - wrong.drawn === 0;
  return {
    kept: plan.top.subarray(0, kept),
    precision: isNoneKept
      ? { value: NaN, low: NaN, high: NaN }
      : { value, low: Math.min(low, value), high: Math.max(high, value) },
    recall: estimateRecall(sure, complement(wrong), 1 - expected, dropped, random),
  };
}

/** Counts, between two positions in `top`, how many rows were drawn and how many of these are wrong. */
function sampleCounter(
  { top, drawn }: CheckPlan,
  isRight: (row: number) => boolean,
): (from: number, to: number) => Sample {
  const isDrawn = new Set(drawn);
  const drawnBefore = new Uint32Array(top.length + 1);
  const wrongBefore = new Uint32Array(top.length + 1);
  for (const [i, row] of top.entries()) {
    const counts = isDrawn.has(row);
    drawnBefore[i + 1] = drawnBefore[i]! + (counts ? 1 : 0);
    wrongBefore[i + 1] = wrongBefore[i]! + (counts && !isRight(row) ? 1 : 0);
  }
  return (from, to) => ({
    of: to - from,
    drawn: drawnBefore[to]! - drawnBefore[from]!,
    marked: wrongBefore[to]! - wrongBefore[from]!,
  });
}

/** The share of the kept rows that is wrong. Drawn rows add nothing to it, as wrong ones are dropped. */
function wrongShare(wrong: Sample, sure: number, all: (wrong: Sample) => number): number {
  return Math.max(0, all(wrong) - wrong.marked) / Math.max(1, sure + wrong.of - wrong.drawn);
}

function complement({ of, drawn, marked }: Sample): Sample {
  return { of, drawn, marked: drawn - marked };
}

/** Dropped rows. */
interface DroppedRows extends Sample {
  /** The expected share of right rows, smoothed: with few drawn, none right does not mean that none is. */
  readonly share: number;
}

/**
 * The share of all right rows that is kept. For the lower end of its interval, as few kept and as many dropped rows are right
 * as the drawn ones allow; for the upper end, the reverse.
 */
function estimateRecall(
  sure: number,
  kept: Sample,
  keptShare: number,
  dropped: readonly DroppedRows[],
  random: Random,
): Estimate {
  const recall = (found: number, lost: number) =>
    sure + found > 0 || lost > 0 ? (sure + found) / (sure + found + lost) : NaN;
  const sumOf = (of: (lost: DroppedRows) => number) => dropped.reduce((sum, sample) => sum + of(sample), 0);
  const value = recall(
    keptShare * (kept.of - kept.drawn),
    sumOf(({ of, drawn, share }) => share * (of - drawn)),
  );
  const drawFew = (sample: Sample) => drawUndrawnMarked(sample, 0, random);
  const drawMany = (sample: Sample) => drawUndrawnMarked(sample, 1, random);
  const lows = Float64Array.from({ length: draws }, () => recall(drawFew(kept), sumOf(drawMany))).sort();
  const highs = Float64Array.from({ length: draws }, () => recall(drawMany(kept), sumOf(drawFew))).sort();
  return { value, low: Math.min(value, quantile(lows, tail)), high: Math.max(value, quantile(highs, 1 - tail)) };
}

/** Draws how many of the other rows are marked, by Clopper and Pearson's lower (`more` = 0) or upper (1) distribution. */
function drawUndrawnMarked({ of, drawn, marked }: Sample, more: 0 | 1, random: Random): number {
  const left = of - drawn;
  const share = drawBeta(marked + more, drawn - marked + 1 - more, random);
  const number = left * share + Math.sqrt(left * share * (1 - share)) * drawNormal(random);
  return Math.min(left, Math.max(0, number));
}
