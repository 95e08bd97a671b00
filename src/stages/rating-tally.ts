import { isPlain } from "../dataset/conversation.ts";
import type { Example } from "../dataset/example.ts";
import { describePlace } from "../dataset/place.ts";
import { formatCount, formatNumbered, formatShare } from "../format.ts";
import type { Rating, RatingState } from "../run/rating.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { commonestScore, histogram } from "../stats/histogram.ts";

const alarmShare = 0.95; // alarm when this share of scores has one value: such a judge selects nothing
const alarmRows = 20; // no alarm with fewer rows, which may agree by chance
const mostListed = 3; // unreadable rows in the note
const roundScores = 50_000; // distinct scores; with more, they are rounded to four digits for counting

const ofRows = new RegExp(
  [
    "cannot be read and",
    "turns after the last answer",
    "an answer that trainings do not learn",
    "no turn before the answer",
    "an empty answer and",
  ].join("|"),
);

/** Whether a note is one of those that the tally makes of the rows. */
export function isOfRows(note: string): boolean {
  return ofRows.test(note);
}

/** Counts states and scores in bounded memory. */
export class RatingTally {
  rows = 0;
  readonly #scores = new ValueTally();
  readonly #marks = new Map<string, ValueTally>();
  #marked = 0; // rows with any mark
  #unasked = 0; // rows that failed without a call, such as those whose prompt is too long
  #empty = 0;
  /** Whether some row is more than a question and its answer. */
  hasChats = false;
  #promptless = 0; // chats that begin with the answer
  readonly #emptyRows: number[] = []; // the first ones
  #skipped = 0; // rows of other shards
  #longer = 0; // rows with turns after the answer
  #unlearnt = 0; // rows whose answer has weight 0
  #columns: readonly string[] | undefined;
  readonly #unread: string[] = [];
  readonly #states = new Map<RatingState, number>();

  add(rating: Rating): void {
    this.rows++;
    this.#states.set(rating.state, (this.#states.get(rating.state) ?? 0) + 1);
    if (rating.state === "scored") this.#scores.add(rating.score);
    if (rating.state === "failed" && rating.call === undefined && !rating.panel) this.#unasked++;
    if (!rating.marks) return;
    this.#marked++;
    for (const name in rating.marks) {
      let tally = this.#marks.get(name);
      if (!tally) this.#marks.set(name, (tally = new ValueTally()));
      tally.add(rating.marks[name]!);
    }
  }

  /** Counts a row of another shard. */
  skip(): void {
    this.rows++;
    this.#skipped++;
  }

  /**
   * Notes what a row is like that readers of the scores should know.
   *
   * @param isOwn whether it is of the rows that are rated here: of others, only what holds for all the data counts
   */
  addExample({ index, output, conversation, unreadable, place, row, turnsAfter }: Example, isOwn = true): void {
    this.hasChats ||= unreadable === undefined && conversation !== undefined && !isPlain(conversation);
    this.#columns ??= unreadable === undefined ? Object.keys(row) : undefined;
    if (!isOwn) return;
    if (turnsAfter !== undefined) this.#longer++;
    if (conversation?.answer.weight === 0) this.#unlearnt++;
    if (unreadable === undefined && conversation?.turns.length === 0) this.#promptless++;
    if (unreadable !== undefined) {
      if (this.#unread.length < mostListed) this.#unread.push(`${describePlace(place)}: ${unreadable}`);
    } else if (output.trim() === "" && !conversation?.answer.toolCalls) {
      this.#empty++;
      if (this.#emptyRows.length < mostListed) this.#emptyRows.push(index);
    }
  }

  /** A note where the data has a column of a score's name. */
  describeClash(name: string): string[] {
    const isColumn = this.#columns?.some((column) => column.toLowerCase() === name.toLowerCase()) ?? false;
    if (isColumn && this.#marks.size > 0)
      return [
        `the data has a column ${name} too: SQL cannot tell it from this score and its marks; give the score another name`,
      ];
    return isColumn
      ? [
          `the data has a column ${name} too: in --by and --where, rating_${name} is this score and data_${name} the column`,
        ]
      : [];
  }

  /** Rows that cannot be read. */
  get unreadable(): number {
    return this.#states.get("unreadable") ?? 0;
  }

  get notes(): string[] {
    const { unreadable } = this;
    const more = unreadable > this.#unread.length ? `; and ${formatCount(unreadable - this.#unread.length)} more` : "";
    return [
      ...(unreadable > 0
        ? [
            `${formatNumbered(unreadable, "row", "rows")} cannot be read and ${unreadable === 1 ? "is" : "are"} in no arm: ${this.#unread.join("; ")}${more} (state unreadable in ratings.jsonl)`,
          ]
        : []),
      ...(this.#longer > 0
        ? [
            `${formatNumbered(this.#longer, "row has", "rows have")} turns after the last answer, which neither judges nor trainings see`,
          ]
        : []),
      ...(this.#unlearnt > 0
        ? [
            `${formatNumbered(this.#unlearnt, "row has", "rows have")} an answer that trainings do not learn (weight 0, or train false); it is rated all the same`,
          ]
        : []),
      ...(this.#promptless > 0
        ? [
            `${formatNumbered(this.#promptless, "row has", "rows have")} no turn before the answer: judges see an answer without its question, and no model can be trained on such rows; are other columns meant (--map)?`,
          ]
        : []),
      ...(this.#empty > 0
        ? [
            `${formatNumbered(
              this.#empty,
              "row has an empty answer and is rated as it is",
              "rows have an empty answer and are rated as they are",
            )}: ${this.#emptyRows.join(", ")}${this.#empty > this.#emptyRows.length ? ", …" : ""} (from 0)`,
          ]
        : []),
    ];
  }

  /** Rows that are still to be rated. */
  get pending(): number {
    return this.#states.get("pending") ?? 0;
  }

  /** Whether there are marks and not one score, as in a file whose columns all are marks. */
  get hasOnlyMarks(): boolean {
    return this.#marked > 0 && this.#scores.count === 0;
  }

  /** Rows that are rated here: not those of other shards, or beyond a limit. */
  get ownRows(): number {
    return this.rows - this.#skipped;
  }

  /** The share of rows with a score; where there are only marks, with any of them. */
  get coverage(): number {
    const rows = this.ownRows;
    if (rows === 0) return this.#skipped > 0 ? 1 : 0; // of a shard without rows, nothing is missing
    return (this.hasOnlyMarks ? this.#marked : this.#scores.count) / rows;
  }

  summarise(): Pick<RateSummary, "states" | "unasked" | "coverage" | "mean" | "histogram" | "marks" | "hasOnlyMarks"> {
    const marks = [...this.#marks].map(([name, tally]) => [name, { rows: tally.count, ...tally.summarise() }] as const);
    return {
      states: Object.fromEntries(this.#states),
      ...(this.#unasked > 0 && { unasked: this.#unasked }),
      coverage: this.coverage,
      ...this.#scores.summarise(),
      ...(marks.length > 0 && { marks: Object.fromEntries(marks) }),
      ...(this.hasOnlyMarks && { hasOnlyMarks: true }),
    };
  }

  get alarms(): string[] {
    const commonest = this.#scores.commonest;
    if (!commonest || this.#scores.count < alarmRows || commonest.share < alarmShare) return [];
    return [
      `${formatShare(commonest.share)} of the scores are ${commonest.score}: a judge that scores everything the same cannot select; look at its replies before using them`,
    ];
  }
}

/** Counts values in bounded memory. */
class ValueTally {
  count = 0;
  #sum = 0;
  #digits = 17;
  #counts = new Map<number, number>();

  add(value: number): void {
    this.count++;
    this.#sum += value;
    const counted = this.#digits === 17 ? value : Number(value.toPrecision(this.#digits));
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1);
    if (this.#counts.size > roundScores && this.#digits === 17) this.#round();
  }

  get commonest(): ReturnType<typeof commonestScore> {
    return commonestScore(this.#counts);
  }

  summarise(): Pick<RateSummary, "mean" | "histogram"> {
    return { mean: this.count ? this.#sum / this.count : null, histogram: histogram(this.#counts) };
  }

  #round(): void {
    this.#digits = 4;
    const exact = this.#counts;
    this.#counts = new Map();
    for (const [score, count] of exact) {
      const rounded = Number(score.toPrecision(this.#digits));
      this.#counts.set(rounded, (this.#counts.get(rounded) ?? 0) + count);
    }
  }
}
