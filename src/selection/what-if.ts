import type { Example } from "../dataset/example.ts";
import type { ArmSummary, WhatIf } from "../run/records/arm.ts";
import { roundStep, tidy } from "../stats/histogram.ts";

/** Time and cost of training on all rows. A threshold takes the share of them that its rows have. */
export interface FullTraining {
  readonly minutes?: number | undefined;
  readonly usd?: number | undefined;
}

/** Counts of some rows. */
interface Tally {
  rows: number;
  promptLength: number;
  outputLength: number;
  readonly categories: Map<string, number>;
}

const mostExactScores = 20_000; // with more distinct scores, all are rounded down to four significant digits; only thresholds of so many digits are then listed
const mostListedScores = 13; // up to this many distinct scores are each used as a threshold
const wantedThresholds = 10;
const shownCategories = 40;

/** Collects scores, lengths and categories of all rows, to show what any threshold would keep. Memory is bounded. */
export class WhatIfTable {
  readonly #full: FullTraining;
  readonly #all = newTally();
  #byScore = new Map<number, Tally>();
  #isRounded = false;

  constructor(full: FullTraining = {}) {
    this.#full = full;
  }

  /** @param score undefined for an unscored row, which counts only in the full set */
  add(example: Example, score: number | undefined): void {
    count(this.#all, example);
    if (score === undefined) return;
    const key = this.#isRounded ? rounded(score) : score;
    let tally = this.#byScore.get(key);
    if (!tally) this.#byScore.set(key, (tally = newTally()));
    count(tally, example);
    if (this.#byScore.size > mostExactScores && !this.#isRounded) this.#round();
  }

  /** What it has counted, as data. */
  counts(): { readonly all: Tally; readonly byScore: ReadonlyMap<number, Tally>; readonly isRounded: boolean } {
    return { all: this.#all, byScore: this.#byScore, isRounded: this.#isRounded };
  }

  /** Adds what another one counted of other rows. */
  addCounts({ all, byScore, isRounded }: ReturnType<WhatIfTable["counts"]>): void {
    merge(this.#all, all);
    if (isRounded && !this.#isRounded) this.#round();
    for (const [score, tally] of byScore) this.#addTally(this.#isRounded ? rounded(score) : score, tally);
    if (this.#byScore.size > mostExactScores && !this.#isRounded) this.#round();
  }

  #addTally(key: number, tally: Tally): void {
    const known = this.#byScore.get(key);
    if (known) merge(known, tally);
    else this.#byScore.set(key, tally);
  }

  /** The entry for all rows, scored or not. */
  all(): WhatIf {
    return this.#describe(this.#scores()[0] ?? 0, this.#all);
  }

  /** One entry for each round threshold, ascending. `cut` gets one too, unless it is there already or scores are rounded. */
  thresholds(cut?: number): WhatIf[] {
    const scores = this.#scores();
    const rounds = scores.length <= mostListedScores ? scores : roundThresholds(scores[0]!, scores.at(-1)!);
    const list = this.#isRounded ? rounds.filter((one) => rounded(one) === one) : rounds; // of others the count is not known
    if (cut !== undefined && Number.isFinite(cut) && !list.includes(cut) && !this.#isRounded) list.push(cut);
    return list.sort((a, b) => a - b).map((threshold) => this.atLeast(threshold));
  }

  atLeast(threshold: number): WhatIf {
    const sum = newTally();
    for (const [score, tally] of this.#byScore) if (score >= threshold) merge(sum, tally);
    return this.#describe(threshold, sum);
  }

  #scores(): number[] {
    return [...this.#byScore.keys()].sort((a, b) => a - b);
  }

  #describe(threshold: number, tally: Tally): WhatIf {
    const { rows, promptLength, outputLength, categories } = tally;
    const share = this.#all.rows ? rows / this.#all.rows : 0;
    const { minutes, usd } = this.#full;
    return {
      threshold,
      rows,
      share,
      meanPromptLength: rows ? promptLength / rows : 0,
      meanOutputLength: rows ? outputLength / rows : 0,
      textShare: (promptLength + outputLength) / (this.#all.promptLength + this.#all.outputLength || 1),
      trainingShare: share,
      ...(minutes !== undefined && { trainingMinutes: minutes * share }),
      ...(usd !== undefined && { trainingUsd: usd * share }),
      ...listCategories(categories, rows),
    };
  }

  #round(): void {
    this.#isRounded = true;
    const exact = this.#byScore;
    this.#byScore = new Map();
    for (const [score, tally] of exact) this.#addTally(rounded(score), tally);
  }
}

/** Lengths and categories of an arm's rows, and their share of the full set's text. */
export class ArmTally {
  readonly #tally = newTally();

  add(example: Example): void {
    count(this.#tally, example);
  }

  counts(): Tally {
    return this.#tally;
  }

  /** Adds what another one counted of other rows. */
  addCounts(tally: Tally): void {
    merge(this.#tally, tally);
  }

  describe(full: WhatIf): Pick<ArmSummary, "meanPromptLength" | "meanOutputLength" | "textShare" | "categories"> {
    const { rows, promptLength, outputLength, categories } = this.#tally;
    const fullText = full.rows * (full.meanPromptLength + full.meanOutputLength);
    return {
      meanPromptLength: rows ? promptLength / rows : null,
      meanOutputLength: rows ? outputLength / rows : null,
      textShare: fullText ? (promptLength + outputLength) / fullText : 0,
      ...listCategories(categories, rows),
    };
  }
}

/** The largest categories with their share of the rows; {} when the rows have none. */
function listCategories(categories: ReadonlyMap<string, number>, rows: number): Pick<WhatIf, "categories"> {
  if (categories.size === 0) return {};
  const listed = [...categories].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, shownCategories);
  return { categories: listed.map(([category, n]) => ({ category, rows: n, share: n / rows })) };
}

function roundThresholds(lowest: number, highest: number): number[] {
  const step = roundStep((highest - lowest) / wantedThresholds);
  const thresholds: number[] = [];
  for (let i = Math.ceil(lowest / step - 1e-9); i * step <= highest; i++) thresholds.push(tidy(i * step));
  return thresholds;
}

function newTally(): Tally {
  return { rows: 0, promptLength: 0, outputLength: 0, categories: new Map() };
}

function count(tally: Tally, { instruction, input, output, category, unreadable }: Example): void {
  if (unreadable !== undefined) return; // no arm keeps it
  tally.rows++;
  tally.promptLength += instruction.length + input.length;
  tally.outputLength += output.length;
  if (category !== undefined) tally.categories.set(category, (tally.categories.get(category) ?? 0) + 1);
}

function merge(into: Tally, tally: Tally): void {
  into.rows += tally.rows;
  into.promptLength += tally.promptLength;
  into.outputLength += tally.outputLength;
  for (const [category, rows] of tally.categories)
    into.categories.set(category, (into.categories.get(category) ?? 0) + rows);
}

function rounded(score: number): number {
  const near = Number(score.toPrecision(4));
  if (!(near > score)) return near;
  const exponent = Math.floor(Math.log10(Math.abs(score))); // not of `near`, which may be the next power of ten
  return Number((near - 10 ** (exponent - 3)).toPrecision(4));
}
