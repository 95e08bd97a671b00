import { valueAt } from "../dataset/column-path.ts";
import type { Row } from "../dataset/example.ts";
import { type Place, dataErrorAt } from "../dataset/place.ts";
import { openRecords } from "../dataset/records.ts";
import { findDatasetFiles } from "../dataset/source.ts";
import { DataError, UsageError, kindOf } from "../errors.ts";
import { type RatingState, ratingStates } from "../run/rating.ts";
import type { Scale } from "./judge.ts";
import { RecordedMarks } from "./recorded-marks.ts";
import { type Recorded, type Recording, RecordingTable, toRecorded } from "./recording-table.ts";

/** @param options.isWhole whether every column of numbers is a mark, and the score may be missing */
export async function readRecording(
  path: string,
  column: string | undefined,
  { isWhole = false, scale }: { readonly isWhole?: boolean | undefined; readonly scale?: Scale | undefined } = {},
): Promise<Recording> {
  const files = await findDatasetFiles(path);
  if (files.length !== 1) throw new UsageError(`${path}: expected one file of scores, got ${files.length}`);
  const source = await openRecords(files[0]!);
  const table = new RecordingTable(path, isWhole ? new RecordedMarks(files[0]!.format === "csv", scale) : undefined);
  for await (const batch of source.batches()) {
    for (const record of batch) readEntry(record.value, record.place, column, table);
  }
  if (table.entries === 0) throw new DataError(`${path}: expected scores, got none`);
  if (isWhole && table.markNames.length === 0 && !table.hasScores)
    throw new DataError(`${path}: expected a column of numbers beside index or id, got none`);
  return table;
}

/** Adds one record of the file to the table. */
function readEntry(value: unknown, place: Place, column: string | undefined, table: RecordingTable): void {
  if (typeof value !== "object" || value === null) return table.addNext(readValue(value, place), place);
  if (Array.isArray(value)) throw dataErrorAt(place, `expected a score or an object with one, got ${kindOf(value)}`);
  const row = value as Row; // an object read from a file
  const name = column ?? table.scoreColumn(row, place);
  const recorded = readScore(row, name, column, place, table.isWhole);
  const index = row["index"];
  if (index !== undefined && index !== null && index !== "") {
    const isNumber =
      typeof index === "number" ||
      typeof index === "bigint" ||
      (typeof index === "string" && /^\s*\d+\s*$/.test(index));
    const position = isNumber ? Number(index) : NaN;
    if (!Number.isSafeInteger(position) || position < 0)
      throw dataErrorAt(place, `expected "index" to be a row number from 0, got ${JSON.stringify(index)}`);
    const hash = row["hash"];
    return table.addAt(position, recorded, place, {
      hash: typeof hash === "string" ? hash : undefined,
      row,
      score: name,
    });
  }
  const id = row["id"];
  if (typeof id === "string" || typeof id === "number") return table.addNamed(String(id), recorded, place, row, name);
  return table.addNext(recorded, place, row, name);
}

function readScore(
  row: Row,
  name: string | undefined,
  column: string | undefined,
  place: Place,
  isWhole: boolean,
): Recorded | undefined {
  const state = row["state"];
  if (column === undefined && typeof state === "string" && isRatingState(state) && state !== "scored")
    return state === "pending" || state === "unreadable" ? undefined : state; // whether a row can be read is seen here
  const value = name === undefined ? undefined : valueAt(row, name);
  if (isWhole && (value === undefined || typeof value === "object")) return undefined;
  if (value === undefined && (column === undefined || !place.ordinal || place.ordinal === 1)) {
    const wanted = `a column ${JSON.stringify(name ?? "score")}`;
    throw dataErrorAt(
      place,
      `expected ${wanted}, got ${listed(Object.keys(row)) || "none"}; name it with #COLUMN after the file`,
    );
  }
  return readValue(value, place);
}

function readValue(value: unknown, place: Place): Recorded | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  if (typeof value === "object" || typeof value === "boolean")
    throw dataErrorAt(place, `expected a score, got ${kindOf(value)}`);
  return toRecorded(value);
}

function isRatingState(text: string): text is RatingState {
  return (ratingStates as readonly string[]).includes(text);
}

const mostListed = 12;

/** The first names of a list, which may be as long as a file. */
function listed(names: readonly string[]): string {
  return `${names.slice(0, mostListed).join(", ")}${names.length > mostListed ? `, and ${names.length - mostListed} more` : ""}`;
}
