import type { Estimate } from "../stats/estimate.ts";
import { createRandom, type Random } from "../stats/random.ts";
import { checkShare, concludeCheck, leastChecked, planCheck, type CheckPlan } from "./check.ts";
import { fitLogistic, probability, type LogisticFit, type Prior } from "../stats/logistic.ts";

/*
 * Chooses the rows to ask an expensive judge about, after a cheap judge has rated all rows: those where it is least clear
 * whether the score reaches the threshold. After each round, the cheap judge's last layer is trained again on the verdicts.
 * A last round of rows drawn at random shows which of the other rows can be kept.
 */

/** The cheap judge's view of all rows. */
export interface CheapView {
  readonly rows: number;
  /** By row: the cheap judge's probability that the score reaches the threshold. */
  readonly probabilities: Float64Array;
  /** [row, column]: a 1, the logit of that probability, and its other features, standardised (mean 0, deviation 1). */
  readonly columns: Float32Array;
  readonly columnCount: number;
}

/**
 * The expensive judge's verdict on a row: whether it reaches the threshold, `unscored` if it got no score, `pending` if the
 * asking stopped before it.
 */
export type Verdict = boolean | "unscored" | "pending";

export interface EscalationOptions {
  /** How many rows the expensive judge may be asked about. */
  readonly budget: number;
  /** The share of the kept rows that must reach the threshold, in at least 19 of 20 cases. */
  readonly precision: number;
  readonly rounds: number;
  readonly seed: number;
}

/** The result of an escalation. */
export interface EscalationResult {
  /** Whether all questions were answered; otherwise nothing else here is final. */
  readonly isComplete: boolean;
  /** Whether the expensive judge scored any row; if not, nothing is known of the rows. */
  readonly hasLabels: boolean;
  /** How many of the rows asked about were drawn at random for the estimates; 0 where all rows were asked about. */
  readonly audited: number;
  /** Rows asked about, ascending. */
  readonly asked: Uint32Array;
  /** By row: the probability to reach the threshold; 1 or 0 where it is known. */
  readonly probabilities: Float64Array;
  /** Rows not asked about are kept if their probability is at least this. */
  readonly keptFrom: number;
  /** How many rows are kept. */
  readonly kept: number;
  /**
   * Compared with asking about every row. Precision: the share of kept rows that reach the threshold. Recall: the share of
   * rows reaching it that are kept.
   */
  readonly precision: Estimate;
  readonly recall: Estimate;
  /** Both figures if the cheap judge alone had kept as many rows. */
  readonly alone: { readonly precision: number; readonly recall: number };
}

const pilotShare = 0.05; // of the rows for teaching: the first round, drawn at random
const evenShare = 0.05; // of it, drawn evenly: the judges may differ on any row
const assumedCut = 0.4; // assumed cut while asking; final cuts are near it
const recalibrationPriors: readonly Prior[] = [
  { mean: 0, precision: 1 },
  { mean: 1, precision: 10 },
];
const leastSlope = 0.05; // of the recalibration line, so that the order of rows stays
const leastProbability = 1e-12; // so that the logit is finite
/** Prior precisions to try, strongest trust in the cheap judge first: its logit has weight 1, other columns add nothing. */
const priorPrecisions = [1000, 100, 10];
const interceptPrecision = 0.01;

/**
 * Asks the expensive judge in rounds and returns what is known at the end. The first round is drawn at random, mostly from
 * unclear rows; each later one takes the rows where an answer gains most. With a cut at probability c, a row of probability p
 * gains (1 - p) c above the cut: it would be kept wrongly in place of a row that is right with probability c. Below the cut it
 * gains p (1 - c): it would be lost to a row that is wrong with probability 1 - c.
 *
 * The last round is drawn at random and only checks: it finds the lowest probability at which rows not asked about are kept.
 * The estimates and intervals rest on it alone (see check.ts), and hold even if the probabilities are bad.
 *
 * @param ask gives the verdicts on rows, in their order; it is not called again once some are pending
 */
export async function escalate(
  view: CheapView,
  ask: (rows: Uint32Array) => Promise<readonly Verdict[]>,
  { budget, precision, rounds, seed }: EscalationOptions,
): Promise<EscalationResult> {
  const random = createRandom(seed);
  const layer = new LastLayer(view);
  const labels = new Int8Array(view.rows).fill(-1); // 1 or 0; -1 if unknown
  const isAsked = new Uint8Array(view.rows);
  let isComplete = true;
  const askAbout = async (chosen: Uint32Array) => {
    for (const [i, verdict] of (await ask(chosen)).entries()) {
      if (verdict === "pending") isComplete = false;
      else isAsked[chosen[i]!] = 1;
      if (typeof verdict === "boolean") labels[chosen[i]!] = verdict ? 1 : 0;
    }
  };
  let { probabilities } = view;
  const most = Math.min(budget, view.rows);
  const checkBudget =
    most < view.rows ? Math.min(most, Math.max(Math.round(most * checkShare), leastChecked(precision))) : 0;
  const teachingBudget = most - checkBudget;
  let chosen = drawPilot(probabilities, Math.ceil(teachingBudget * pilotShare), random);
  for (let round = 0; chosen.length > 0;) {
    await askAbout(chosen);
    const fit = layer.fit(labels);
    if (fit) probabilities = layer.probabilities(fit);
    const left = teachingBudget - count(isAsked);
    if (!isComplete || left <= 0 || round >= rounds) break;
    chosen = rowsOfMostGain(probabilities, isAsked, Math.ceil(left / (rounds - round++)));
  }
  return finish(view, { labels, isAsked, probabilities, precision, random }, checkBudget, isComplete, async (rows) => {
    await askAbout(rows);
    return isComplete;
  });
}

/** What is known after the teaching rounds. */
interface TaughtState {
  readonly labels: Int8Array;
  readonly isAsked: Uint8Array;
  readonly probabilities: Float64Array;
  readonly precision: number;
  readonly random: Random;
}

/** The rows that would be asked about if the verdicts changed nothing, ascending. */
export function firstChoice({ probabilities, rows }: CheapView, budget: number): Uint32Array {
  return rowsOfMostGain(probabilities, new Uint8Array(rows), budget);
}

/** The cheap judge's last layer: an intercept, a weight for its own logit, and one for each other column. */
class LastLayer {
  readonly #columns: Float32Array;
  readonly #columnCount: number;
  /** The weights of the previous round, by prior precision. */
  readonly #before: Float64Array[] = [];
  readonly #rows: number;

  constructor({ rows, columns, columnCount }: CheapView) {
    this.#rows = rows;
    this.#columns = columns;
    this.#columnCount = columnCount;
  }

  fit(labels: Int8Array): LogisticFit | undefined {
    const rows = Uint32Array.from(labels.keys()).filter((row) => labels[row]! >= 0);
    if (rows.length === 0) return undefined;
    return priorPrecisions
      .map((precision, i) => {
        const fit = fitLogistic(this.#columns, rows, labels, this.#priors(precision), this.#before[i]);
        this.#before[i] = fit.weights;
        return fit;
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
}

/** What asking about a row of probability `p` gains, where rows at or above the cut are kept. */
function gain(p: number, cut: number): number {
  return p >= cut ? (1 - p) * cut : p * (1 - cut);
}

/** Draws rows without replacement, mostly unclear ones (weighted sampling, Efraimidis and Spirakis 2006). */
function drawPilot(probabilities: Float64Array, size: number, random: Random): Uint32Array {
  const weights = probabilities.map((p) => gain(p, assumedCut) ** 2);
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  const keys = weights.map((weight) => Math.log(1 - random()) / ((1 - evenShare) * weight + evenShare * mean + 1e-12));
  return Uint32Array.from(keys.keys())
    .sort((a, b) => keys[b]! - keys[a]!)
    .slice(0, size)
    .sort();
}

function rowsOfMostGain(probabilities: Float64Array, isAsked: Uint8Array, size: number): Uint32Array {
  const gains = probabilities.map((p) => gain(p, assumedCut));
  return Uint32Array.from(isAsked.keys())
    .filter((row) => !isAsked[row])
    .sort((a, b) => gains[b]! - gains[a]! || a - b)
    .slice(0, size)
    .sort();
}

function count(flags: Uint8Array): number {
  return flags.reduce((sum, flag) => sum + flag, 0);
}

/** Asks about the rows of the check, and concludes. @param ask asks about rows; tells whether all were answered */
async function finish(
  view: CheapView,
  { labels, isAsked, probabilities, precision, random }: TaughtState,
  size: number,
  wasComplete: boolean,
  ask: (rows: Uint32Array) => Promise<boolean>,
): Promise<EscalationResult> {
  const scored = count(isAsked) > 0 ? labels.filter((label) => label >= 0).length / count(isAsked) : 1;
  const before = probabilities.map((p) => clampProbability(p * scored)); // a row without a score does not reach the threshold
  const plan = planCheck(
    { probabilities: before, isAsked, sure: countSure(labels), size: wasComplete ? size : 0, precision },
    random,
  );
  const isComplete = wasComplete && (plan.drawn.length === 0 || (await ask(plan.drawn)));
  const hasLabels = labels.some((label) => label >= 0);
  const sure = countSure(labels);
  const calibration = recalibrate(before, labels, plan).weights;
  const calibrated = before.map((p, row) => (isAsked[row] ? Math.max(0, labels[row]!) : calibrate(p, calibration)));
  const sum = (rows: Uint32Array) => rows.reduce((total, row) => total + calibrated[row]!, 0);
  const {
    kept,
    precision: found,
    recall,
  } = concludeCheck(
    plan,
    (row) => labels[row] === 1,
    { sure, precision, guess: (rows) => sum(rows) / Math.max(1, rows.length) },
    random,
  );
  const keptFrom = kept.length > 0 ? calibrate(before[kept.at(-1)!]!, calibration) : Infinity;
  const total = sure + kept.filter((row) => !isAsked[row]).length;
  const byView = Uint32Array.from(calibrated.keys()).sort((a, b) => view.probabilities[b]! - view.probabilities[a]!);
  const aloneRight = sum(byView.subarray(0, total));
  const all = calibrated.reduce((right, p) => right + p, 0);
  const nothing: Estimate = { value: NaN, low: NaN, high: NaN };
  return {
    isComplete,
    hasLabels,
    audited: plan.drawn.length,
    asked: Uint32Array.from(isAsked.keys()).filter((row) => isAsked[row]),
    probabilities: calibrated,
    keptFrom: hasLabels ? keptFrom : Infinity,
    kept: hasLabels ? total : 0,
    precision: hasLabels ? found : nothing,
    recall: hasLabels ? recall : nothing,
    alone: {
      precision: total > 0 ? Math.min(1, aloneRight / total) : NaN,
      recall: all > 0 ? Math.min(1, aloneRight / all) : NaN,
    },
  };
}

function countSure(labels: Int8Array): number {
  return labels.reduce((sum, label) => sum + (label === 1 ? 1 : 0), 0);
}

/** Calibrates probabilities on the rows drawn at random by a line through the logits (Platt 1999), which keeps their order. */
function recalibrate(probabilities: Float64Array, labels: Int8Array, { drawn }: CheckPlan): LogisticFit {
  const columns = new Float32Array(probabilities.length * 2);
  for (const row of drawn) columns.set([1, logit(probabilities[row]!)], row * 2);
  const right = labels.map((label) => Math.max(0, label));
  return fitLogistic(columns, drawn, right, recalibrationPriors);
}

function calibrate(p: number, [shift, slope]: ArrayLike<number> & Iterable<number>): number {
  return 1 / (1 + Math.exp(-(shift! + Math.max(leastSlope, slope!) * logit(p))));
}

function logit(p: number): number {
  return Math.log(p / (1 - p));
}

function clampProbability(p: number): number {
  return Math.min(1 - leastProbability, Math.max(leastProbability, p));
}
