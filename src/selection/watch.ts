import { escapePattern } from "../escape-pattern.ts";
import type { Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { formatCount, formatShare } from "../format.ts";
import type { WatchedWord } from "../run/records/arm.ts";
import { unspaced } from "./words.ts";

const letter = String.raw`[[\p{L}\p{M}\p{N}_]--[${unspaced}]]`;
const beginsUnspaced = new RegExp(`^[${unspaced}]`, "v");
const endsUnspaced = new RegExp(`[${unspaced}]$`, "v");

const mostWords = 50;
const longestWord = 100; // characters

/**
 * Counts, for each word, the rows that have it and those of them that are kept. The paper counts its coding rows so: a selection by one
 * number can all but lose a skill. Words are looked for in instruction, input and output, whole and without regard to capital letters; `c` is not in
 * `c++` and `c#`. Where a script puts no spaces between words, a word is found wherever it stands.
 */
export class WordWatch {
  readonly #words: readonly string[];
  readonly #typed: ReadonlyMap<string, string>;
  readonly #patterns: readonly RegExp[]; // one a word: of several in one, those that overlap would hide each other
  readonly #counts = new Map<
    string,
    { rows: number; kept: number; byCategory: Map<string, [rows: number, kept: number]> }
  >();

  /** @param words separated by "|": `java|python|c++` @throws UsageError when there are none, or too many */
  constructor(words: string) {
    const typed = words.split("|").map((word) => word.trim().normalize());
    const all = typed.map((word) => word.toLowerCase());
    this.#words = [...new Set(all)];
    this.#typed = new Map(typed.toReversed().map((word) => [word.toLowerCase(), word])); // the first spelling is shown
    if (all.some((word) => word === "" || word.length > longestWord) || this.#words.length > mostWords)
      throw new UsageError(
        `--watch: expected up to ${mostWords} words of up to ${longestWord} characters with "|" between them, such as "java|python|c++", got ${JSON.stringify(words.slice(0, 200))}`,
      );
    this.#patterns = this.#words.map((word) => {
      const before = beginsUnspaced.test(word) ? "" : `(?<!${letter})`;
      const after = endsUnspaced.test(word) ? "" : `(?!${letter}${word.length === 1 ? String.raw`|\+\+|#` : ""})`;
      return new RegExp(`${before}${escapePattern(word)}${after}`, "iv");
    });
    for (const word of this.#words) this.#counts.set(word, { rows: 0, kept: 0, byCategory: new Map() });
  }

  /** A letter may become two where it is made small, as İ does. */
  #has(word: number, text: string, small: string): boolean {
    const pattern = this.#patterns[word]!;
    return pattern.test(text) || (small.length !== text.length && pattern.test(small));
  }

  add({ instruction, input, output, category, unreadable }: Example, isKept: boolean): void {
    if (unreadable !== undefined) return;
    const text = `${instruction}\n${input}\n${output}`.normalize(); // an accent may be a character of its own
    const small = text.toLowerCase();
    for (const [i, word] of this.#words.entries()) {
      if (!small.includes(word) || !this.#has(i, text, small)) continue; // the first look is faster
      const count = this.#counts.get(word)!;
      count.rows++;
      if (isKept) count.kept++;
      if (category === undefined) continue;
      const [rows, kept] = count.byCategory.get(category) ?? [0, 0];
      count.byCategory.set(category, [rows + 1, kept + (isKept ? 1 : 0)]);
    }
  }

  describe(): WatchedWord[] {
    return this.#words.map((word) => {
      const { rows, kept, byCategory } = this.#counts.get(word)!;
      const categories = [...byCategory]
        .map(([category, [all, left]]) => ({ category, rows: all, kept: left }))
        .toSorted((a, b) => b.rows - a.rows)
        .slice(0, shownCategories);
      return { word: this.#typed.get(word)!, rows, kept, ...(categories.length > 0 && { categories }) };
    });
  }
}

const shownCategories = 20;

const fewestExpected = 8; // rows: with so many expected, under a quarter of them is rarely chance (Poisson: .003)
const leastRetained = 0.25;

/** Alarms for words that all but vanish: of the rows that an arm of this size would keep by chance, under a quarter is there. */
export function alarmsOfWords(words: readonly WatchedWord[], share: number): string[] {
  return words.flatMap(({ word, rows, kept }) => {
    const expected = rows * share;
    return expected >= fewestExpected && kept < leastRetained * expected
      ? [
          `${word} all but vanishes: ${formatCount(kept)} of ${formatCount(rows)} rows are kept, where ${formatShare(share)} would be ${formatCount(Math.round(expected))}`,
        ]
      : [];
  });
}
