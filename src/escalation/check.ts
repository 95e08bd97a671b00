import type { Estimate } from "../stats/agreement.ts";
import { quantile } from "../stats/bootstrap.ts";
import { drawBeta, drawNormal, leastMarked, mostMarked, type Sample } from "../stats/proportion.ts";
import { shuffle, type Random } from "../stats/random.ts";

/*
 * From which probability on rows that nobody asked about can be kept, so that of all kept rows the wanted share is right
 * whatever the probabilities are worth. Rows drawn at random tell, not the probabilities: these only give the order
 * (Kang et al. 2020, SUPG). Candidate cuts are tried from the strictest down until one fails (Angelopoulos et al. 2021,
 * Learn then Test): each has its full doubt, as the order was fixed before.
 */

export const checkShare = 0.3; // of the budget, drawn at random in the end
const topShare = 0.8; // of it, among rows that may be kept; the others tell what is lost
const doubt = 0.05; // that the kept rows are fewer right than promised
const tail = 0.025; // at either end of the recall's interval
const highTail = 0.005; // at the upper end of the precision's: a cut is passed over where the rows drawn look bad by chance, and those kept look worse than they are
const cuts = 20;
const slack = 1.3; // standard deviations that the rows drawn may look worse than the truth, in planning
const margin = 1.1; // the student may also think too little of its rows
const restStrata = 2;
const leastInStratum = 8; // rows drawn
const draws = 400;

/** How many rows drawn at random can show a precision at all: all of them are right, and fewer would be by chance. */
export function leastChecked(precision: number): number {
  return Math.ceil(Math.ceil(Math.log(doubt) / Math.log(precision)) / topShare);
}

/** The least budget that can bear a precision: half of it teaches. */
export function leastBudget(precision: number): number {
  return 2 * leastChecked(precision);
}

/** Rows next to each other in the order, and which of them are asked about. */
interface Stratum {
  readonly rows: Uint32Array;
  readonly drawn: Uint32Array;
}

/** What is asked in the end. */
export interface CheckPlan {
  /** Rows that may be kept, likeliest first. */
  readonly top: Uint32Array;
  /** How many of them each candidate cut keeps, ascending. */
  readonly cuts: readonly number[];
  readonly rest: readonly Stratum[];
  /** All rows to ask about, ascending. */
  readonly drawn: Uint32Array;
}

export interface CheckInput {
  /** By row: the probability, by which open rows are ordered. */
  readonly probabilities: Float64Array;
  readonly isAsked: Uint8Array;
  /** How many of the rows asked about are right. */
  readonly sure: number;
  readonly size: number;
  readonly precision: number;
}

/** Draws the rows of the check: evenly among those that may be kept, and in strata of the others. */
export function planCheck(input: CheckInput, random: Random): CheckPlan {
  const { probabilities, isAsked, sure, size, precision } = input;
  const order = Uint32Array.from(isAsked.keys())
    .filter((row) => !isAsked[row])
    .sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  const forTop = Math.min(order.length, Math.round(size * topShare));
  const free = Math.floor((sure * (1 - precision)) / precision); // were all of them wrong, the precision would still hold
  const reach = Math.max(free, forTop, margin * Math.max(free, plausibleReach(order, forTop, input)));
  const last = wholeTies(Math.min(order.length, Math.round(reach)), order, probabilities);
  const candidates = Array.from({ length: cuts + 1 }, (_, i) =>
    wholeTies(Math.min(last, Math.round(free + ((last - free) * i) / cuts)), order, probabilities),
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

/** How many of the ordered rows could be kept if the probabilities were honest, and the rows drawn looked a little bad. */
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

/** Where what is equally probable is kept together. */
function wholeTies(cut: number, order: Uint32Array, probabilities: Float64Array): number {
  let end = cut;
  while (end > 0 && end < order.length && probabilities[order[end]!] === probabilities[order[end - 1]!]) end++;
  return end;
}

/** Rows drawn at random, as many of each part between two cuts as its size asks for. */
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

/** Strata of the rows that are not kept, as many drawn of each: where it is less clear, a stratum is smaller (Neyman 1934). */
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
  /** The open rows that are kept, likeliest first; those drawn, which are known, among them. */
  readonly kept: Uint32Array;
  readonly precision: Estimate;
  readonly recall: Estimate;
}

/**
 * The widest cut that holds, and what the rows drawn tell of it.
 *
 * @param isRight of a row that was asked about
 * @param sure how many rows asked about are right, those of the check among them
 * @param guess the expected share of right rows where none was drawn
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
  const wrongOf = sampler(plan, isRight);
  let kept = 0;
  let low = 1;
  for (const cut of plan.cuts) {
    const worst = 1 - wrongShare(wrongOf(0, cut), sure, (sample) => mostMarked(sample, doubt));
    if (worst < precision) {
      if (wrongOf(0, kept).drawn > 0) low = precision; // where one fails, the one before is chosen by what was drawn: no more is shown
      break;
    }
    kept = cut;
    low = worst;
  }
  const wrong = wrongOf(0, kept);
  const expected = wrong.drawn > 0 ? wrong.marked / wrong.drawn : 1 - guess(plan.top.subarray(0, kept));
  const value = 1 - wrongShare(wrong, sure, ({ of }) => wrong.marked + expected * (of - wrong.drawn));
  const high = 1 - wrongShare(wrong, sure, (sample) => leastMarked(sample, highTail));
  const lost = ({ of, drawn, marked }: Sample, rows: Uint32Array): Lost => ({
    of,
    drawn,
    marked,
    share: (marked + guess(rows)) / (drawn + 1),
  });
  const dropped = [
    lost(inverse(wrongOf(kept, plan.top.length)), plan.top.subarray(kept)),
    ...plan.rest.map(({ rows, drawn }) =>
      lost({ of: rows.length, drawn: drawn.length, marked: drawn.filter(isRight).length }, rows),
    ),
  ];
  const isNothing = sure + wrong.of - wrong.drawn === 0;
  return {
    kept: plan.top.subarray(0, kept),
    precision: isNothing
      ? { value: NaN, low: NaN, high: NaN }
      : { value, low: Math.min(low, value), high: Math.max(high, value) },
    recall: estimateRecall(sure, inverse(wrong), 1 - expected, dropped, random),
  };
}

/** How many rows between two places of the top were drawn, and how many of these are wrong. */
function sampler({ top, drawn }: CheckPlan, isRight: (row: number) => boolean): (from: number, to: number) => Sample {
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

/** The share of the kept rows that is wrong: of rows drawn, none is, as the wrong ones are not kept. */
function wrongShare(wrong: Sample, sure: number, all: (wrong: Sample) => number): number {
  return Math.max(0, all(wrong) - wrong.marked) / Math.max(1, sure + wrong.of - wrong.drawn);
}

function inverse({ of, drawn, marked }: Sample): Sample {
  return { of, drawn, marked: drawn - marked };
}

/** Rows that are dropped. */
interface Lost extends Sample {
  /** The expected share of right ones: where few were drawn, none of them right is no sign that none is. */
  readonly share: number;
}

/** The share of all right rows that is kept. Each end of its interval takes the rows not drawn for as few or as many right as the others allow. */
function estimateRecall(
  sure: number,
  kept: Sample,
  keptShare: number,
  dropped: readonly Lost[],
  random: Random,
): Estimate {
  const recall = (found: number, lost: number) =>
    sure + found > 0 || lost > 0 ? (sure + found) / (sure + found + lost) : NaN;
  const sumOf = (of: (lost: Lost) => number) => dropped.reduce((sum, sample) => sum + of(sample), 0);
  const value = recall(
    keptShare * (kept.of - kept.drawn),
    sumOf(({ of, drawn, share }) => share * (of - drawn)),
  );
  const few = (sample: Sample) => drawLeft(sample, 0, random);
  const many = (sample: Sample) => drawLeft(sample, 1, random);
  const lows = Float64Array.from({ length: draws }, () => recall(few(kept), sumOf(many))).sort();
  const highs = Float64Array.from({ length: draws }, () => recall(many(kept), sumOf(few))).sort();
  return { value, low: Math.min(value, quantile(lows, tail)), high: Math.max(value, quantile(highs, 1 - tail)) };
}

/** How many of the rows not drawn may be marked (Clopper and Pearson's distributions, the lower with 0 and the upper with 1 more). */
function drawLeft({ of, drawn, marked }: Sample, more: 0 | 1, random: Random): number {
  const left = of - drawn;
  const share = drawBeta(marked + more, drawn - marked + 1 - more, random);
  const number = left * share + Math.sqrt(left * share * (1 - share)) * drawNormal(random);
  return Math.min(left, Math.max(0, number));
}
