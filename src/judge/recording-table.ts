import { type Example, type Row, hashExample } from "../dataset/example.ts";
import { type Place, dataErrorAt } from "../dataset/place.ts";
import { DataError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { RatingState } from "../run/rating.ts";
import { decimal, RecordedMarks } from "./recorded-marks.ts";

/** What a file says about one row: a number, a state other than scored, or text that is neither. */
export type Recorded = number | RatingState | { readonly text: string };

interface Entry {
  readonly recorded: Recorded | undefined;
  readonly marks?: Readonly<Record<string, number>> | undefined;
}

export interface Recording {
  /** The lowest number other than -1. */
  readonly lowest: number;
  /** How many numbers are exactly -1. */
  readonly minusOnes: number;
  /** Names of the marks, in a file that is read whole. */
  readonly markNames: readonly string[];
  /** Notes on the marks, one line each. */
  readonly notes: readonly string[];
  /** What is recorded of a row; undefined when nothing is. */
  find(example: Example): Entry | undefined;
  /** @throws DataError when the file has scores that belong to no row of the data */
  expectAllUsed(rows: number, used: number): void;
}

export function toRecorded(value: unknown): Recorded {
  if (typeof value === "number") return value;
  const text = String(value).trim();
  return decimal.test(text) && Number.isFinite(Number(text)) ? Number(text) : { text };
}

/** An index further than this many places beyond the scores so far, for each of them, is kept apart: 8 bytes a place add up. */
const mostGap = 64;

/** Scores by position or by id. Numbers by position are in one dense array, so that millions of rows fit in memory. */
export class RecordingTable implements Recording {
  readonly #path: string;
  #scores = new Float64Array(1024).fill(NaN);
  readonly #others = new Map<number, Recorded>();
  readonly #named = new Map<string, Recorded>();
  readonly #slots = new Map<string, number>(); // of each id: which it is, from 0
  /** Of a file that is read whole: of each index, which it is, from 0. */
  readonly #places = new Map<number, number>();
  readonly #empty = new Set<number>(); // indexes that were given without a score
  readonly #asked = new Set<string>();
  /** Hashes of the rows as they were scored, if the file has them (our own ratings do). */
  readonly #hashes = new Map<number, string>();
  #column: string | undefined; // of the scores
  #kind: "in order" | "by index" | "by id" | undefined;
  #length = 0; // one past the highest position
  entries = 0;
  #usable = 0;
  lowest = Infinity;
  minusOnes = 0;
  readonly #marks: RecordedMarks | undefined;

  /** @param marks where every column of numbers is a mark */
  constructor(path: string, marks?: RecordedMarks) {
    this.#path = path;
    this.#marks = marks;
  }

  get notes(): readonly string[] {
    return this.#marks?.notes ?? [];
  }

  get isWhole(): boolean {
    return this.#marks !== undefined;
  }

  get markNames(): readonly string[] {
    return this.#marks?.names ?? [];
  }

  get hasScores(): boolean {
    return this.minusOnes > 0 || Number.isFinite(this.lowest);
  }

  /**
   * The column that holds the scores of all rows: `score`, or else `rating`. Undefined where no row had one yet.
   *
   * @throws DataError where rows before had another one: two columns are not one score
   */
  scoreColumn(row: Row, place: Place): string | undefined {
    const own = ["score", "rating"].find((name) => Object.hasOwn(row, name));
    this.#column ??= own;
    if (this.#column === "rating" && own === "score" && !this.isWhole)
      throw dataErrorAt(
        place,
        'expected scores in "rating" as in the rows before, got "score" too; name one with #COLUMN after the file',
      );
    return this.#column;
  }

  addNext(recorded: Recorded | undefined, place: Place, row?: Row, score?: string): void {
    this.#expectKind("in order", place);
    if (row) this.#marks?.add(this.#length, row, score, place);
    this.#put(this.#length, recorded);
  }

  addAt(
    index: number,
    recorded: Recorded | undefined,
    place: Place,
    { hash, row, score }: { readonly hash: string | undefined; readonly row: Row; readonly score: string | undefined },
  ): void {
    this.#expectKind("by index", place);
    if (index >= 2 ** 32) throw dataErrorAt(place, `expected an index under ${2 ** 32}, got ${index}`);
    if (this.#at(index) !== undefined || this.#places.has(index) || this.#empty.has(index))
      throw dataErrorAt(place, `expected each index once, got ${index} again`);
    this.#marks?.add(this.#places.size, row, score, place);
    if (this.isWhole) this.#places.set(index, this.#places.size);
    else if (recorded === undefined) this.#empty.add(index);
    if (hash !== undefined) this.#hashes.set(index, hash);
    this.#put(index, recorded);
  }

  addNamed(id: string, recorded: Recorded | undefined, place: Place, row: Row, score: string | undefined): void {
    this.#expectKind("by id", place);
    if (this.#slots.has(id)) throw dataErrorAt(place, `expected each id once, got ${JSON.stringify(id)} again`);
    this.#marks?.add(this.#slots.size, row, score, place);
    this.#slots.set(id, this.#slots.size);
    this.entries++;
    if (recorded === undefined && !this.isWhole) return;
    this.#usable++;
    if (recorded === undefined) return;
    this.#named.set(id, recorded);
    this.#count(recorded);
  }

  find(example: Example): Entry | undefined {
    const recorded = this.#findScore(example);
    if (!this.#marks) return recorded === undefined ? undefined : { recorded };
    const { id = "", index } = example;
    const slot =
      this.#kind === "by id" ? this.#slots.get(id) : this.#kind === "by index" ? this.#places.get(index) : index;
    return slot === undefined ? undefined : { recorded, marks: this.#marks.at(slot) };
  }

  #findScore(example: Example): Recorded | undefined {
    if (this.#kind !== "by id") {
      if (this.#kind === "in order" && example.index >= this.#length) {
        throw new DataError(
          `${this.#path}: expected one score for each row of the data, got ${formatCount(this.#length)} scores and more rows than that`,
        );
      }
      const hash = this.#hashes.get(example.index);
      if (hash !== undefined && hash !== hashExample(example)) {
        throw dataErrorAt(
          example.place,
          `expected the row that ${this.#path} has a score for, got another (edited or moved since, or other data)`,
        );
      }
      return this.#at(example.index);
    }
    if (example.id === undefined && example.unreadable !== undefined) return undefined;
    if (example.id === undefined)
      throw new DataError(
        `${this.#path}: its scores are keyed by id, and row ${example.index + 1} of the data has none; name the column with --map id=COLUMN`,
      );
    if (this.#asked.has(example.id))
      throw dataErrorAt(
        example.place,
        `expected each id once, since scores are joined by id, got ${JSON.stringify(example.id)} again`,
      );
    this.#asked.add(example.id);
    return this.#named.get(example.id);
  }

  expectAllUsed(rows: number, used: number): void {
    if (this.#kind === "in order" && rows < this.#length) {
      throw new DataError(
        `${this.#path}: expected one score for each of the ${formatCount(rows)} rows of the data, got ${formatCount(this.#length)}`,
      );
    }
    if (used < this.#usable) {
      throw new DataError(
        `${this.#path}: expected scores of this data, got ${formatCount(this.#usable - used)} that belong to no row of it`,
      );
    }
  }

  #at(index: number): Recorded | undefined {
    if (index >= this.#length) return undefined;
    const score = index < this.#scores.length ? this.#scores[index]! : NaN;
    return Number.isNaN(score) ? this.#others.get(index) : score;
  }

  #put(index: number, recorded: Recorded | undefined): void {
    this.entries++;
    const isFar = index >= this.#scores.length && index > mostGap * this.entries + mostGap; // not worth the room between
    if (!isFar) while (index >= this.#scores.length) this.#scores = grown(this.#scores);
    this.#length = Math.max(this.#length, index + 1);
    if (recorded === undefined && !this.isWhole) return;
    this.#usable++;
    if (recorded === undefined) return;
    if (typeof recorded === "number" && !Number.isNaN(recorded) && !isFar) this.#scores[index] = recorded;
    else this.#others.set(index, recorded);
    this.#count(recorded);
  }

  #count(recorded: Recorded): void {
    if (typeof recorded !== "number") return;
    if (recorded === -1) this.minusOnes++;
    else this.lowest = Math.min(this.lowest, recorded);
  }

  #expectKind(kind: "in order" | "by index" | "by id", place: Place): void {
    this.#kind ??= kind;
    if (this.#kind !== kind)
      throw dataErrorAt(place, `expected a score ${this.#kind} like those before, got one ${kind}`);
  }
}

function grown(scores: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(scores.length * 2).fill(NaN);
  larger.set(scores);
  return larger;
}
