import { InvalidArgumentError, Option } from "commander";
import { defaultRunFolder } from "../run/run-folder.ts";
import { mapFields } from "../dataset/shapes/index.ts";

/*
 * Options that several commands share, and parsers of their values. An invalid value is a usage error that says what was
 * expected.
 */

export const runOption = () => new Option("--run <dir>", "the run's folder").default(defaultRunFolder);
export const jsonOption = () => new Option("--json", "print only the summary, as JSON, on stdout");
export const seedOption = (what: string) =>
  new Option("--seed <n>", `random seed for ${what}; the same seed gives the same result`)
    .argParser(parseWhole)
    .default(42);
export const unreadableOption = () =>
  new Option(
    "--unreadable <what>",
    "rows that cannot be read: stop, or skip them (they get that state, and are in no arm)",
  )
    .choices(["stop", "skip"])
    .default("stop");
export const minCoverageOption = (of = "rows with a score") =>
  new Option("--min-coverage <share>", `minimum share of ${of}; exit code 3 if it is not reached`)
    .argParser(parseShare)
    .default(0.95, "95%");

/** Options with one value each that may be given several times; all others are refused when they are. */
export const repeatable = new WeakSet<Option>();

/** An option that is given once for each of several values. */
export function listOption(flags: string, description: string): Option {
  const option = new Option(flags, description).argParser((value: string, others: string[] | undefined) => [
    ...(others ?? []),
    value,
  ]);
  repeatable.add(option);
  return option;
}

/** `12`, `4.5`, `-1` */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
}

export function parseWhole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError(`Expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}.`);
  return value;
}

export function parsePositive(text: string): number {
  if (!/^0*[1-9]\d*$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new InvalidArgumentError("Expected a whole number from 1.");
  return Number(text);
}

/** `95%` or `0.95` */
export function parseShare(text: string): number {
  const value = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("Expected a share: 95% or 0.95.");
  return value;
}

/** `9000` or `10%` */
export function parseTop(text: string): number | { share: number } {
  const isShare = text.endsWith("%");
  const value = Number(isShare ? text.slice(0, -1) : text);
  if (isShare ? value > 0 && value <= 100 : /^[1-9]\d*$/.test(text) && Number.isSafeInteger(value))
    return isShare ? { share: value / 100 } : value;
  throw new InvalidArgumentError(
    "Expected a number of rows from 1 (9000), or a share of them over 0 and up to 100 % (10%).",
  );
}

/** `source=a:3000,b:20%`; a value with a comma, and an empty one, stand in double quotes: `source="a,b":20,"":5`. Rows without one are `null`. */
export function parseQuota(text: string): { column: string; keep: Map<string, number | { share: number }> } {
  const [, column, list] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  const keep = new Map<string, number | { share: number }>();
  for (const part of list?.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? []) {
    const [, written, most] = /^(.+):(\d+(?:\.\d+)?%?)$/s.exec(part.trim()) ?? [];
    const value = written?.replace(/^"(.*)"$/s, (_, inside: string) => inside.replaceAll('""', '"'));
    if (value === undefined || keep.has(value)) return failQuota();
    keep.set(value, parseTop(most!));
  }
  return column === undefined || keep.size === 0 ? failQuota() : { column: column.trim(), keep };
}

function failQuota(): never {
  throw new InvalidArgumentError(
    "Expected a column and, for each of its values once, a number of rows or a share: source=a:3000,b:20%.",
  );
}

/** `0..5` */
export function parseScale(text: string): { min: number; max: number } {
  const [, min, max] = /^(-?[\d.]+)\.\.(-?[\d.]+)$/.exec(text) ?? [];
  if (!(Number(min) < Number(max))) throw new InvalidArgumentError("Expected the lowest and the highest score: 0..5.");
  return { min: Number(min), max: Number(max) };
}

/** `instruction=prompt,output=answer` */
export function parseMap(text: string): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of text.split(",")) {
    const [, field, column] = /^\s*([^=]+)=(.+)$/.exec(pair) ?? [];
    if (!field || !column || !(mapFields as readonly string[]).includes(field)) {
      throw new InvalidArgumentError(`Expected FIELD=COLUMN, with the fields ${mapFields.join(", ")}.`);
    }
    map[field] = column.trim();
  }
  return map;
}

export function quotesOption(): Option {
  return new Option(
    "--quotes <how>",
    "in CSV and TSV: double quotes around values (double), or quotes are text (none)",
  ).choices(["double", "none"]);
}

/** `3/16`: the third of sixteen parts. */
export function parseShard(text: string): { index: number; of: number } {
  const [, index = 0, of = 0] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
  if (!(index >= 1 && index <= of)) throw new InvalidArgumentError("Expected a part and their number: 3/16.");
  return { index, of };
}
