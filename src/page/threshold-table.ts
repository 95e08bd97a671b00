import type { Example } from "../dataset/example.ts";
import { roundStep, tidy, type Bin } from "../stats/histogram.ts";
import type { ThresholdTable } from "./contract.ts";

const finestEdges = 400; // most steps of the threshold over the range of scores
const namedCategories = 12;
const countedCategories = 500; // a column with more values hardly names categories; the rest are summed

interface CategoryTally {
  total: number;
  readonly rows: number[];
}

/** Counts rows, text lengths and categories by score, for all thresholds at once. */
export class ThresholdTally {
  readonly #edges: readonly number[];
  readonly #rows: number[];
  readonly #prompts: number[];
  readonly #outputs: number[];
  readonly #categories = new Map<string, CategoryTally>();
  #rest: CategoryTally | undefined;
  readonly #total = { rows: 0, promptCharacters: 0, outputCharacters: 0 };

  /**
   * @param bins a histogram of the scores, which gives their range
   * @param cuts the arms' cuts; each becomes an edge, so that its figures are exact
   */
  constructor(bins: readonly Bin[], cuts: readonly number[]) {
    this.#edges = findEdges(bins, cuts);
    const zeros = () => this.#edges.map(() => 0);
    this.#rows = zeros();
    this.#prompts = zeros();
    this.#outputs = zeros();
  }

  /** @param score undefined if the row has none; the row then counts only in the totals */
  add(
    { instruction, input, output, category }: Pick<Example, "instruction" | "input" | "output" | "category">,
    score: number | undefined,
  ): void {
    const promptLength = instruction.length + input.length;
    this.#total.rows++;
    this.#total.promptCharacters += promptLength;
    this.#total.outputCharacters += output.length;
    const tally = category === undefined ? undefined : this.#tallyOf(category);
    if (tally) tally.total++;
    if (score === undefined) return;
    if (this.#edges.length === 0) return;
    const i = this.#find(score);
    this.#rows[i]!++;
    this.#prompts[i]! += promptLength;
    this.#outputs[i]! += output.length;
    if (tally) tally.rows[i]!++;
  }

  describe(): ThresholdTable {
    const categories = [...this.#categories].sort(([, one], [, other]) => other.total - one.total);
    const named = categories
      .slice(0, namedCategories)
      .map(([category, { total, rows }]) => ({ category, total, rows }));
    const others = [
      ...categories.slice(namedCategories).map(([, tally]) => tally),
      ...(this.#rest ? [this.#rest] : []),
    ];
    const rest = others.length > 0 && {
      category: "all others",
      isRest: true,
      total: others.reduce((sum, { total }) => sum + total, 0),
      rows: this.#edges.map((_, i) => others.reduce((sum, { rows }) => sum + rows[i]!, 0)),
    };
    return {
      edges: this.#edges,
      rows: this.#rows,
      promptCharacters: this.#prompts,
      outputCharacters: this.#outputs,
      ...(categories.length > 0 && { categories: [...named, ...(rest ? [rest] : [])] }),
      total: this.#total,
    };
  }

  #tallyOf(category: string): CategoryTally {
    const newTally = () => ({ total: 0, rows: this.#edges.map(() => 0) });
    const known = this.#categories.get(category);
    if (known) return known;
    if (this.#categories.size >= countedCategories) return (this.#rest ??= newTally());
    const tally = newTally();
    this.#categories.set(category, tally);
    return tally;
  }

  /** Index of the last edge at or below the score; 0 if there is none. */
  #find(score: number): number {
    let [low, high] = [0, this.#edges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#edges[middle]! <= score) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Edges are the single values of the scores or, for ranges, up to some hundred steps of a round width; and the cuts. */
function findEdges(bins: readonly Bin[], cuts: readonly number[]): number[] {
  if (bins.length === 0) return [];
  const edges = new Set(cuts);
  const [lowest, highest] = [bins[0]!.from, bins.at(-1)!.to];
  if (bins.every(({ from, to }) => from === to)) for (const { from } of bins) edges.add(from);
  else {
    const step = roundStep((highest - lowest) / finestEdges);
    for (let i = Math.floor(lowest / step + 1e-9); i * step <= highest; i++) edges.add(tidy(i * step));
  }
  return [...edges].sort((a, b) => a - b);
}
