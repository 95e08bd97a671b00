import { valueAt } from "../dataset/column-path.ts";
import type { Example } from "../dataset/example.ts";
import { describePlace } from "../dataset/place.ts";
import { kindOf, UsageError } from "../errors.ts";
import { formatCount } from "../format.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge, Scale } from "./judge.ts";
import { readRecording } from "./read-recording.ts";
import { type Recorded, type Recording, toRecorded } from "./recording-table.ts";

/*
 * Judges over existing scores: a file of scores, or a column of the data itself.
 */

export interface RecordedOptions {
  /** The judge's scale. Scores outside it are unparsable. Without it, only the scores' range is known. */
  readonly scale?: Scale | undefined;
  /** Take every column of numbers as a mark beside the score, which then may be missing. Goes with a file without `#COLUMN`. */
  readonly isWhole?: boolean | undefined;
}

/**
 * A judge over a file of scores: `FILE` or `FILE#COLUMN`, in JSON, JSON Lines, CSV or Parquet. The file holds one score
 * per data row in order (a JSON array, or a line, row or object each), or rows with an `index` (from 0) or `id` beside the
 * score.
 *
 * Rows without a score become `pending`. Without a scale, -1 becomes `unparsable` if all other scores are 0 or more: many
 * scripts write -1 for a reply they could not read.
 *
 * @throws DataError when the file is missing, its scores cannot be read, or (on rating) it does not fit the data
 */
export async function createRecordedJudge(source: string, options: RecordedOptions = {}): Promise<Judge> {
  const [, path, column] = /^(.*?)(?:#(.+))?$/s.exec(source)!;
  const recording = await readRecording(path!, column, {
    isWhole: options.isWhole === true && column === undefined,
    scale: options.scale,
  });
  const readRating = ratingReader(recording.lowest, options.scale);
  const notes = describeScale(recording, options.scale);
  return {
    name: `recorded:${source}`,
    scale: options.scale,
    markNames: recording.markNames,
    get notes() {
      return [
        ...notes,
        ...(recording.markNames.length > 0
          ? [`columns of numbers, each a score: ${recording.markNames.join(", ")}`]
          : []),
        ...recording.notes,
      ];
    },
    async *rate(examples) {
      let rows = 0;
      let used = 0;
      let unnamed = 0; // rows that cannot be read: a score by id may be theirs
      for await (const batch of examples) {
        rows += batch.length;
        yield batch.map((example) => {
          const entry = recording.find(example);
          if (example.unreadable !== undefined && example.id === undefined) unnamed++;
          if (entry) used++;
          const { recorded, marks } = entry ?? {};
          const rating: Rating =
            recorded === undefined ? { state: "pending", detail: "no recorded score" } : readRating(recorded);
          return marks ? { ...rating, marks } : rating;
        });
      }
      recording.expectAllUsed(rows, used + unnamed);
    },
  };
}

/**
 * A judge over a numeric column of the data itself; `scores.quality` names a nested column. A row without a value is
 * `pending`; one whose value is not a number is `unparsable`.
 */
export function createColumnJudge(column: string, options: RecordedOptions = {}): Judge {
  if (!column) throw new UsageError("--judge column:NAME: expected the name of a column");
  const notes: string[] = [];
  return {
    name: `column:${column}`,
    scale: options.scale,
    notes,
    async *rate(examples) {
      let minusOnes = 0;
      let isNegative = false;
      let numbers = 0;
      let text: Example | undefined; // the first row with a value that is no number
      const readRating = ratingReader(-Infinity, options.scale); // one pass cannot tell whether other scores are negative
      let isFirst = true;
      for await (const batch of examples) {
        if (
          isFirst &&
          batch.some(({ unreadable }) => unreadable === undefined) &&
          !batch.some((example) => valueAt(example.row, column) !== undefined)
        ) {
          throw new UsageError(
            `--judge column:${column}: expected a column of the data, got none of that name among ${Object.keys(batch.find(({ unreadable }) => unreadable === undefined)!.row).join(", ")}`,
          );
        }
        isFirst &&= batch.every(({ unreadable }) => unreadable !== undefined);
        yield batch.map((example) => {
          const value = valueAt(example.row, column);
          if (value === undefined || value === null || value === "")
            return { state: "pending" as const, detail: "no recorded score" };
          const recorded = toRecorded(value);
          if (typeof recorded === "number") numbers++;
          else text ??= example;
          if (recorded === -1) minusOnes++;
          else if (typeof recorded === "number" && recorded < 0) isNegative = true;
          return readRating(recorded);
        });
      }
      if (text && numbers === 0)
        throw new UsageError(
          `${describePlace(text.place)}: expected ${column} to be a number for --judge column:${column}, got ${describeValue(valueAt(text.row, column))}, and no number in any row; name another column`,
        );
      if (minusOnes > 0 && !isNegative && !options.scale) {
        notes.push(
          `${formatCount(minusOnes)} scores are exactly -1, which many scripts write for replies they could not read; leave them out with --scale`,
        );
      }
    },
  };
}

function describeValue(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value).slice(0, 60) : kindOf(value);
}

/** Gives a function that turns a recorded score into a rating. */
function ratingReader(lowest: number, scale: Scale | undefined): (recorded: Recorded) => Rating {
  return (recorded) => {
    if (typeof recorded === "string") return { state: recorded === "scored" ? "failed" : recorded };
    if (typeof recorded === "object")
      return { state: "unparsable", detail: `recorded as ${recorded.text.slice(0, 80)}` };
    if (scale && (recorded < scale.min || recorded > scale.max))
      return { state: "unparsable", detail: `recorded as ${recorded}, outside the scale` };
    if (!scale && recorded === -1 && lowest >= 0) return { state: "unparsable", detail: "recorded as -1" };
    return Number.isFinite(recorded)
      ? { state: "scored", score: recorded }
      : { state: "unparsable", detail: `recorded as ${recorded}` };
  };
}

function describeScale({ minusOnes, lowest }: Recording, scale: Scale | undefined): string[] {
  if (scale || minusOnes === 0 || lowest < 0) return [];
  return [
    `${formatCount(minusOnes)} recorded scores of -1 are treated as replies that could not be read; if -1 is a real score, give the scale with --scale`,
  ];
}
