import type { Row } from "../dataset/example.ts";
import type { Place } from "../dataset/place.ts";
import { dataErrorAt } from "../dataset/place.ts";
import { formatCount, formatNumbered } from "../format.ts";
import type { Scale } from "./judge.ts";

/** Columns that say which row a score is of, and whether it is one. */
const notMarks = new Set(["index", "id", "hash", "state", "__proto__"]);

/** A number as a text; no 0x10, which JavaScript takes for 16. */
export const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** A whole number over 2^53, which is read as a text, or a text of such digits. */
const largeNumber = /^-?\d{16,40}$/;
const infinite = /^\s*[-+]?inf(?:inity)?\s*$/i;

const longestName = 200; // characters
const mostShown = 5; // columns in a note
const mostColumns = 500;

interface Column {
  /** By slot; NaN where there is none. */
  values: Float64Array<ArrayBuffer>;
  /** The fields that lead to it, to tell `a.b` from `b` in `a`. */
  readonly path: string;
  minusOnes: number;
  outside: number;
  lowest: number;
}

/** The columns of numbers of a file, each a mark, by the rows' slots. A column with anything else in it is none. */
export class RecordedMarks {
  readonly #columns = new Map<string, Column>();
  readonly #others = new Set<string>(); // columns that are not all numbers
  readonly #lowerCase = new Map<string, string>();
  readonly #areTexts: boolean;
  readonly #scale: Scale | undefined;
  readonly #large = new Set<string>(); // columns left out at a whole number that is too large, or a text of its digits
  readonly #infinite = new Map<string, number>(); // infinite values, by column
  readonly #mixed = new Map<string, unknown>(); // columns left out at this value that is no number, though others are
  readonly #firstOthers = new Map<string, unknown>(); // the values that the others were left out at
  #leftOut = 0; // columns that there is no room for

  /** @param areTexts whether the file has texts alone, as CSV: then texts that are numbers count @param scale values outside it are none */
  constructor(areTexts: boolean, scale: Scale | undefined) {
    this.#areTexts = areTexts;
    this.#scale = scale;
  }

  /** @param score the column that the score is read from @throws DataError when two columns would have one name */
  add(slot: number, row: Row, score: string | undefined, place: Place): void {
    const state = row["state"];
    if (typeof state === "string" && state !== "scored") return; // a failed rating has no numbers
    this.#addFields(slot, row, [], score, place);
  }

  get names(): readonly string[] {
    return [...this.#columns.keys()];
  }

  get notes(): readonly string[] {
    const described = [...this.#columns].flatMap(([name, column]) => [
      ...(this.#hasMissing(column)
        ? [`${formatCount(column.minusOnes)} values of -1 in ${name} are taken as replies that could not be read`]
        : []),
      ...(column.outside > 0
        ? [`${formatCount(column.outside)} values of ${name} are outside the scale, and left out`]
        : []),
    ]);
    for (const [name, count] of this.#infinite)
      if (this.#columns.has(name))
        described.push(
          `${formatNumbered(count, "value", "values")} of ${name} ${count === 1 ? "is" : "are"} infinite, and left out`,
        );
    const mixed = [...this.#mixed].filter(([name]) => !this.#large.has(name));
    if (mixed.length > 0) {
      const shown = mixed.slice(0, mostShown).map(([name, value]) => `${name} (${describeCell(value)})`);
      described.push(
        `left out, since not all of their values are numbers: ${shown.join(", ")}${mixed.length > mostShown ? ` and ${mixed.length - mostShown} more` : ""}`,
      );
    }
    if (this.#large.size > 0)
      described.push(
        `${[...this.#large].join(", ")}: whole numbers over 2^53, or texts of digits, are no scores; name one with #COLUMN`,
      );
    return this.#leftOut === 0
      ? described
      : [
          ...described,
          `${formatCount(this.#leftOut)} further columns of numbers are left out: there is room for ${mostColumns}, with names of up to ${longestName} characters`,
        ];
  }

  /** The marks of a slot; undefined when it has none. */
  at(slot: number): Readonly<Record<string, number>> | undefined {
    let marks: Record<string, number> | undefined;
    for (const [name, column] of this.#columns) {
      const value = slot < column.values.length ? column.values[slot]! : NaN;
      if (Number.isNaN(value) || (value === -1 && this.#hasMissing(column))) continue;
      (marks ??= {})[name] = value;
    }
    return marks;
  }

  /** Whether -1 stands for a reply that could not be read, as for scores: without a scale, and where all others are 0 or more. */
  #hasMissing({ minusOnes, lowest }: Column): boolean {
    return minusOnes > 0 && this.#scale === undefined && lowest >= 0;
  }

  #addFields(slot: number, fields: Row, path: readonly string[], score: string | undefined, place: Place): void {
    for (const key in fields) {
      const value = fields[key];
      const isNested = typeof value === "object" && value !== null && !Array.isArray(value);
      if (path.length === 0 && (notMarks.has(key) || (key === score && !isNested))) continue;
      const name = [...path, key].join(".");
      if (value === null || value === undefined || value === "") continue;
      if (this.#others.has(name)) {
        if (typeof value === "number" && !this.#mixed.has(name)) this.#mixed.set(name, this.#firstOthers.get(name));
        continue;
      }
      if (isNested) {
        this.#addFields(slot, value as Row, [...path, key], score, place); // an object of a file
        continue;
      }
      const number = typeof value === "number" ? value : this.#areTexts ? toNumber(value) : undefined;
      if (number === Infinity || number === -Infinity || (typeof value === "string" && infinite.test(value)))
        this.#infinite.set(name, (this.#infinite.get(name) ?? 0) + 1);
      if (number === undefined) {
        if (typeof value === "string" && largeNumber.test(value)) this.#large.add(name);
        this.#others.add(name);
        this.#firstOthers.set(name, value);
        if (this.#columns.delete(name)) this.#mixed.set(name, value);
      } else if (Number.isFinite(number)) this.#put(name, JSON.stringify([...path, key]), slot, number, place);
    }
  }

  #put(name: string, path: string, slot: number, value: number, place: Place): void {
    let column = this.#columns.get(name);
    if (!column) {
      const other = this.#lowerCase.get(name.toLowerCase());
      if (other !== undefined && other !== name)
        throw dataErrorAt(
          place,
          `expected columns of numbers whose names differ by more than capital letters, got ${other} and ${name}`,
        );
      if (this.#columns.size >= mostColumns || name.length > longestName || name.includes('"')) {
        this.#others.add(name);
        this.#leftOut++;
        return;
      }
      column = { values: new Float64Array(1024).fill(NaN), path, minusOnes: 0, outside: 0, lowest: Infinity };
      this.#columns.set(name, column);
      this.#lowerCase.set(name.toLowerCase(), name);
    }
    if (column.path !== path)
      throw dataErrorAt(place, `expected each column once, got ${name} both as a name and as a field in a field`);
    if (this.#scale && (value < this.#scale.min || value > this.#scale.max)) {
      column.outside++;
      return;
    }
    if (slot >= column.values.length) {
      const larger = new Float64Array(2 ** Math.ceil(Math.log2(slot + 1))).fill(NaN);
      larger.set(column.values);
      column.values = larger;
    }
    column.values[slot] = value;
    if (value === -1) column.minusOnes++;
    else column.lowest = Math.min(column.lowest, value);
  }
}

function describeCell(value: unknown): string {
  return (typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "nothing")).slice(0, 40);
}

/** A text's number; NaN for a text that says there is none or an infinite one, undefined for any other. */
function toNumber(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  if (/^\s*(?:nan|na|n\/a|null|none)?\s*$/i.test(value) || infinite.test(value)) return NaN;
  return decimal.test(value.trim()) ? Number(value) : undefined; // infinite where it is too large
}
