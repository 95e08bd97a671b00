import { quantile } from "../stats/bootstrap.ts";
import type { Estimate } from "../stats/agreement.ts";
import { createRandom, shuffle, type Random } from "../stats/random.ts";
import { drawWeights, fitLogistic, probability, type LogisticFit, type Prior } from "./logistic.ts";

/*
 * Which rows a dear judge is asked about, where a cheap one has seen all: those for which it is least clear on which side
 * of the cut they are. The cheap judge's last layer is trained again on what the dear one says, after each round.
 */

/** What the cheap judge says of all rows. */
export interface CheapView {
  readonly rows: number;
  /** The probability that the score reaches the cut, as far as the cheap judge can tell. */
  readonly probabilities: Float64Array;
  /** [row, column]: a one, the logit of that probability, and what else it sees, of mean 0 and deviation 1. */
  readonly columns: Float32Array;
  readonly columnCount: number;
}

/** The dear judge's word on a row: whether it reaches the cut, `unscored` where it gave no score, `pending` where it was not asked after all. */
export type Verdict = boolean | "unscored" | "pending";

export interface EscalationOptions {
  /** How many rows the dear judge may be asked about. */
  readonly budget: number;
  /** The least share of the kept rows that is to reach the cut. */
  readonly precision: number;
  readonly rounds: number;
  readonly seed: number;
}

/** What came of it. */
export interface EscalationResult {
  /** Whether all that was allowed was asked; otherwise nothing else here is final. */
  readonly isComplete: boolean;
  /** Whether there is anything to go by: without a single score, nothing is known of any row. */
  readonly hasLabels: boolean;
  /** Rows drawn evenly to check the probabilities with; 0 where the cheap judge could be believed. */
  readonly audited: number;
  /** Rows that were asked about, ascending. */
  readonly asked: Uint32Array;
  /** The probability of each row to reach the cut: 1 or 0 where it is known. */
  readonly probabilities: Float64Array;
  /** Rows that were not asked about are kept from this probability on. */
  readonly keptFrom: number;
  /** How many rows are kept. */
  readonly kept: number;
  /** Against asking about every row: of the kept rows, the share that reaches the cut, and of those that reach it, the share that is kept. */
  readonly precision: Estimate;
  readonly recall: Estimate;
  /** The share of both, had as many rows been kept by the cheap judge alone. */
  readonly alone: { readonly precision: number; readonly recall: number };
}

const pilotShare = 0.05; // of the budget, before the cheap judge is believed
const pilotEven = 0.05; // of it, drawn evenly: another judge's taste may differ anywhere
const auditShare = 0.15; // of the budget, drawn evenly, where the cheap judge turns out not to be believed: nothing else tells of the rows that it thinks little of
const askedCut = 0.4; // while it is asked: about where kept rows begin in the end
const recalibrationPriors: readonly Prior[] = [
  { mean: 0, precision: 1 },
  { mean: 1, precision: 10 },
];
const draws = 400;
const countedRows = 50_000; // in the draws; of more rows, a part stands for all
/** How much doubt replies have to overcome that the cheap judge is wrong: that its own logit is worth another amount, that a column says more. */
const doubts = [1000, 100, 10];
const interceptPrecision = 0.01;

/**
 * Asks in rounds and gives what is known in the end. The first round is drawn at random, mostly from where it is unclear;
 * each further one takes the rows where an answer gains most. With the cut's probability c, a row of probability p gains
 * (1 - p) c above it and p (1 - c) below it: what is kept wrongly or lost if it is not asked about, and the place of another row.
 *
 * In the end the rows not asked about are kept from the lowest probability on with which the expected precision is what is
 * wanted. The intervals are over how the re-trained layer may be off and over what the rows not asked about may turn out to
 * be; they hold as far as its probabilities are honest.
 *
 * @param ask answers about rows, in their order; when some are pending, it is not asked again
 */
export async function escalate(
  view: CheapView,
  ask: (rows: Uint32Array) => Promise<readonly Verdict[]>,
  { budget, precision, rounds, seed }: EscalationOptions,
): Promise<EscalationResult> {
  const random = createRandom(seed);
  const layer = new LastLayer(view);
  const labels = new Int8Array(view.rows).fill(-1); // 1 and 0; -1 unknown
  let isComplete = true;
  const isAsked = new Uint8Array(view.rows);
  let { probabilities } = view;
  let fit: LayerFit | undefined;
  const most = Math.min(budget, view.rows);
  let chosen = drawPilot(probabilities, Math.ceil(most * pilotShare), random);
  let audit: Uint32Array | undefined; // drawn evenly, once it shows that the cheap judge is not to be believed
  for (let round = 0; chosen.length > 0;) {
    const verdicts = await ask(chosen);
    for (const [i, verdict] of verdicts.entries()) {
      if (verdict === "pending") isComplete = false;
      else isAsked[chosen[i]!] = 1;
      if (typeof verdict === "boolean") labels[chosen[i]!] = verdict ? 1 : 0;
    }
    fit = layer.fit(audit ? without(labels, audit) : labels); // what is to check the fit has no part in it
    if (fit) probabilities = layer.probabilities(fit);
    const left = most - count(isAsked);
    if (!isComplete || left <= 0) break;
    if (!audit && fit && !fit.isTrusted)
      chosen = audit = drawEvenly(isAsked, Math.min(left, Math.ceil(most * auditShare)), random);
    else if (round >= rounds) break;
    else chosen = mostGaining(probabilities, isAsked, Math.ceil(left / (rounds - round++)));
  }
  return conclude(view, { labels, isAsked, probabilities, fit, layer, precision, random, audit, isComplete });
}

function without(labels: Int8Array, rows: Uint32Array): Int8Array {
  const others = labels.slice();
  for (const row of rows) others[row] = -1;
  return others;
}

/** The rows that it would be asked about if its replies changed nothing, ascending. */
export function firstChoice({ probabilities, rows }: CheapView, budget: number): Uint32Array {
  return mostGaining(probabilities, new Uint8Array(rows), budget);
}

/** A fit, and whether it is the one that takes the cheap judge for right. */
interface LayerFit extends LogisticFit {
  readonly isTrusted: boolean;
}

/** The cheap judge's last layer: a weight for its own logit, one for each other column, and one for all. */
class LastLayer {
  readonly #columns: Float32Array;
  readonly #columnCount: number;
  /** The weights of the round before, by doubt. */
  readonly #before: Float64Array[] = [];
  readonly #rows: number;

  constructor({ rows, columns, columnCount }: CheapView) {
    this.#rows = rows;
    this.#columns = columns;
    this.#columnCount = columnCount;
  }

  fit(labels: Int8Array): LayerFit | undefined {
    const rows = Uint32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
    if (rows.length === 0) return undefined;
    return doubts
      .map((precision, i) => {
        const fit = fitLogistic(this.#columns, rows, labels, this.#priors(precision), this.#before[i]);
        this.#before[i] = fit.weights;
        return { ...fit, isTrusted: i === 0 };
      })
      .reduce((best, other) => (other.evidence > best.evidence ? other : best));
  }

  #priors(precision: number): Prior[] {
    return [
      { mean: 0, precision: interceptPrecision },
      { mean: 1, precision },
      ...Array.from({ length: this.#columnCount - 2 }, () => ({ mean: 0, precision })),
    ];
  }

  probabilities({ weights }: Pick<LogisticFit, "weights">): Float64Array {
    return Float64Array.from({ length: this.#rows }, (_, row) => probability(this.#columns, row, weights));
  }

  probability(row: number, weights: Float64Array): number {
    return probability(this.#columns, row, weights);
  }
}

/** What asking about a row is worth, where rows are kept from the cut on. */
function gain(p: number, cut: number): number {
  return p >= cut ? (1 - p) * cut : p * (1 - cut);
}

/** Rows drawn at random without replacement, mostly where it is unclear (Efraimidis and Spirakis 2006). */
function drawPilot(probabilities: Float64Array, size: number, random: Random): Uint32Array {
  const weights = probabilities.map((p) => gain(p, askedCut) ** 2);
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  const keys = weights.map((weight) => Math.log(1 - random()) / ((1 - pilotEven) * weight + pilotEven * mean + 1e-12));
  return Uint32Array.from(keys.keys())
    .sort((a, b) => keys[b]! - keys[a]!)
    .slice(0, size)
    .sort();
}

function drawEvenly(isAsked: Uint8Array, size: number, random: Random): Uint32Array {
  const open = Uint32Array.from(isAsked.keys()).filter((row) => !isAsked[row]);
  return shuffle(open, random).slice(0, size).sort();
}

function mostGaining(probabilities: Float64Array, isAsked: Uint8Array, size: number): Uint32Array {
  const gains = probabilities.map((p) => gain(p, askedCut));
  return Uint32Array.from(isAsked.keys())
    .filter((row) => !isAsked[row])
    .sort((a, b) => gains[b]! - gains[a]! || a - b)
    .slice(0, size)
    .sort();
}

function count(flags: Uint8Array): number {
  return flags.reduce((sum, flag) => sum + flag, 0);
}

interface State {
  readonly labels: Int8Array;
  readonly isAsked: Uint8Array;
  readonly probabilities: Float64Array;
  readonly fit: LogisticFit | undefined;
  readonly layer: LastLayer;
  readonly precision: number;
  readonly random: Random;
  readonly audit: Uint32Array | undefined;
  readonly isComplete: boolean;
}

/** Makes probabilities honest by rows that were drawn evenly: a line through their logits (Platt 1999). */
function recalibrate(probabilities: Float64Array, labels: Int8Array, audit: Uint32Array): LogisticFit {
  const columns = new Float32Array(probabilities.length * 2);
  for (const row of audit) columns.set([1, logit(probabilities[row]!)], row * 2);
  return fitLogistic(
    columns,
    audit.filter((row) => labels[row]! >= 0),
    labels,
    recalibrationPriors,
  );
}

function straighten(p: number, [shift, slope]: ArrayLike<number> & Iterable<number>): number {
  return 1 / (1 + Math.exp(-(shift! + slope! * logit(p))));
}

function logit(p: number): number {
  const bounded = Math.min(1 - 1e-6, Math.max(1e-6, p));
  return Math.log(bounded / (1 - bounded));
}

function conclude(view: CheapView, state: State): EscalationResult {
  const { labels, isAsked, fit, layer, random, audit, isComplete } = state;
  const askedCount = count(isAsked);
  const scored = labels.reduce((sum, label) => sum + (label >= 0 ? 1 : 0), 0);
  const scoredShare = askedCount > 0 ? scored / askedCount : 0; // a row without a score reaches nothing
  const line = audit && recalibrate(state.probabilities, labels, audit);
  const straight = line ? state.probabilities.map((p) => straighten(p, line.weights)) : state.probabilities;
  const known = straight.map((p, row) => (labels[row]! >= 0 ? labels[row]! : isAsked[row] ? 0 : p * scoredShare));
  const open = Uint32Array.from(known.keys()).filter((row) => !isAsked[row]);
  const sure = labels.reduce((sum, label) => sum + (label === 1 ? 1 : 0), 0);
  const keptFrom = fit ? findKeptFrom(open, known, sure, state.precision) : Infinity;
  const kept = open.filter((row) => known[row]! >= keptFrom);
  const isKept = (row: number) => (isAsked[row] ? labels[row] === 1 : known[row]! >= keptFrom);

  const sum = (rows: Uint32Array, of: (row: number) => number) => rows.reduce((total, row) => total + of(row), 0);
  const right = sure + sum(kept, (row) => known[row]!);
  const all = sure + sum(open, (row) => known[row]!);
  const precisions: number[] = [];
  const recalls: number[] = [];
  const stride = Math.max(1, Math.floor(open.length / countedRows));
  const counted = open.filter((_, i) => i % stride === 0);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  for (const weights of fit ? Array.from({ length: draws }, () => drawWeights(fit, normal)) : []) {
    const bend = line && drawWeights(line, normal);
    const share = scoredShare + Math.sqrt((scoredShare * (1 - scoredShare)) / Math.max(1, askedCount)) * normal();
    const tally = { kept: { mean: 0, variance: 0 }, dropped: { mean: 0, variance: 0 } };
    for (const row of counted) {
      const own = layer.probability(row, weights);
      const p = Math.min(1, Math.max(0, share)) * (bend ? straighten(own, bend) : own);
      const side = isKept(row) ? tally.kept : tally.dropped;
      side.mean += p * stride;
      side.variance += p * (1 - p) * stride;
    }
    const turnOut = ({ mean, variance }: { mean: number; variance: number }) =>
      Math.max(0, mean + Math.sqrt(variance) * normal());
    const keptRight = Math.min(kept.length, turnOut(tally.kept));
    precisions.push((sure + keptRight) / Math.max(1, sure + kept.length));
    recalls.push((sure + keptRight) / Math.max(1, sure + keptRight + turnOut(tally.dropped)));
  }
  const total = sure + kept.length;
  const alone = Uint32Array.from(known.keys())
    .sort((a, b) => view.probabilities[b]! - view.probabilities[a]!)
    .slice(0, total);
  const aloneRight = sum(alone, (row) => known[row]!);
  return {
    isComplete,
    hasLabels: fit !== undefined,
    audited: audit?.length ?? 0,
    asked: Uint32Array.from(isAsked.keys()).filter((row) => isAsked[row]),
    probabilities: known,
    keptFrom,
    kept: total,
    precision: withInterval(fit && total > 0 ? right / total : NaN, precisions),
    recall: withInterval(fit && all > 0 ? right / all : NaN, recalls),
    alone: { precision: total > 0 ? aloneRight / total : NaN, recall: all > 0 ? aloneRight / all : NaN },
  };
}

/** The lowest probability from which on open rows can be kept, so that of all kept rows the wanted share is expected to reach the cut. */
function findKeptFrom(open: Uint32Array, known: Float64Array, sure: number, precision: number): number {
  const order = open.toSorted((a, b) => known[b]! - known[a]!);
  let right = sure;
  let keptFrom = Infinity;
  for (let from = 0; from < order.length;) {
    const p = known[order[from]!]!;
    let to = from;
    while (to < order.length && known[order[to]!] === p) to++; // what is equally probable is kept together
    right += p * (to - from);
    if (right / (sure + to) < precision) break; // from here on it only falls
    keptFrom = p;
    from = to;
  }
  return keptFrom;
}

function withInterval(value: number, drawn: readonly number[]): Estimate {
  const sorted = Float64Array.from(drawn).sort();
  return { value, low: Math.min(value, quantile(sorted, 0.025)), high: Math.max(value, quantile(sorted, 0.975)) };
}
