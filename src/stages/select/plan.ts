import { expectName, expectOtherThan } from "../../run/name.ts";
import type { TestPrompt } from "../../dataset/prompts.ts";
import { RunError, UsageError } from "../../errors.ts";
import { formatCount, formatNumbered, formatShare } from "../../format.ts";
import type { RatedManifest } from "../../run/manifest.ts";
import type { Quota } from "../../selection/quota.ts";
import type { FullTraining } from "../../selection/what-if.ts";
import { renderHistogram } from "../../stats/histogram.ts";
import { checkShare } from "../coverage.ts";
import type { StageOptions } from "../progress.ts";
import { defaultSeed } from "../../stats/random.ts";

export const selectMethods = ["score", "random", "longest", "full", "representative"] as const;

export type SelectMethod = (typeof selectMethods)[number];

export interface SelectOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  /** `score` (the default), or how a control arm is drawn. */
  readonly method?: SelectMethod | undefined;
  /** The arm's name; `selected` for the method `score`, else the method's name. */
  readonly arm?: string | undefined;
  /** Keep rows that score at least this, on the judge's own scale. */
  readonly minScore?: number | undefined;
  /** Keep this many rows, or this share of all rows. A control without it takes the size of the arm `selected`. */
  readonly top?: number | { readonly share: number } | undefined;
  /** The arm whose size a control takes when `top` is absent; `selected` by default. */
  readonly like?: string | undefined;
  /** Keep exactly these rows, by position from 0, such as a published selection. */
  readonly rows?: readonly number[] | undefined;
  /** An SQL expression over the row's columns, its scores and lengths, whose value takes the place of the score. */
  readonly by?: string | undefined;
  /** An SQL condition over the row's columns, its score and lengths. */
  readonly where?: string | undefined;
  /** A column: `top` is divided among its values, and the best rows of each value are kept. */
  readonly per?: string | undefined;
  /** A column, and how many rows to keep of each of its values, or which share of them; other values keep none. */
  readonly quota?: Quota | undefined;
  /** `exact`: the same text; `near`: nearly the same words; `semantic`: nearly the same vector. Of such rows the best is kept. */
  readonly dedup?: DedupKind | undefined;
  /** What counts as a duplicate, over 0 to 1: the Jaccard similarity of word triples (`near`), the cosine of vectors (`semantic`). */
  readonly similarity?: number | undefined;
  /** The least distance between kept rows, 0 to 1: of their words, or of their vectors where `vectors` are named. */
  readonly diverse?: number | undefined;
  /** A file of examples: rows near to them are kept, each example in its turn taking the nearest. Needs `top` and vectors of the file. */
  readonly toward?: string | undefined;
  /** The name of the run's vectors that `toward`, `dedup` and `diverse` go by. */
  readonly vectors?: string | undefined;
  /** Whether `diverse` goes by vectors; where `vectors` are named, unless this says otherwise. */
  readonly isDiverseByVectors?: boolean | undefined;
  /** Rows that overlap these prompts are left out. */
  readonly decontaminate?: readonly TestPrompt[] | undefined;
  /** Seed for breaking ties and drawing random rows. */
  readonly seed?: number | undefined;
  /** Names of the further scores that SQL may use; all of the run's when left out. */
  readonly scores?: readonly string[] | undefined;
  /** Words, separated by "|", whose rows are counted among all rows and among those kept. */
  readonly watch?: string | undefined;
  /** The least share of rows that must be scored for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** What training on all rows takes, to compare thresholds with. */
  readonly fullTraining?: FullTraining | undefined;
}

export const dedupKinds = ["exact", "near", "semantic"] as const;
export type DedupKind = (typeof dedupKinds)[number];

/** The least distance of `--diverse` when none is given: of words, and of vectors. */
export const defaultDistance = 0.8;
export const defaultVectorDistance = 0.1; // as in DEITA

/** What counts as a duplicate when `--similarity` is not given. */
export const defaultSimilarity: Readonly<Record<Exclude<DedupKind, "exact">, number>> = { near: 0.8, semantic: 0.95 };

export function isDiverseByVectors({ vectors, isDiverseByVectors: is }: SelectOptions): boolean {
  return is ?? vectors !== undefined;
}

/** The options, checked and completed. */
export interface Plan {
  readonly method: SelectMethod | "rows" | "toward";
  readonly arm: string;
  readonly choice: string;
  readonly seed: number;
  readonly minScore: number;
  readonly count?: number | undefined;
  /** Whether the decision about a row depends on that row alone. */
  readonly isImmediate: boolean;
  /** Whether only scores decide. Only then is the lowest kept score a cut. */
  readonly isPureCut: boolean;
}

export function planSelection(options: SelectOptions, manifest: RatedManifest): Plan {
  checkShare("minCoverage", options.minCoverage);
  const method = options.rows ? "rows" : options.toward !== undefined ? "toward" : (options.method ?? "score");
  checkCombination(method, options);
  if (options.by === undefined) checkMinScore(options.minScore, manifest);
  const arm = options.arm ?? (method === "score" || method === "rows" ? "selected" : method);
  expectName("--arm", arm);
  expectOtherThan("--arm", arm, Object.keys(manifest.arms));
  const isControl = method === "random" || method === "longest";
  const model = options.like ?? "selected";
  const selected = manifest.arms[model];
  if (isControl && options.top === undefined && !options.quota && model === arm)
    throw new UsageError(
      `--method ${method}: expected a control to have another name than the arm whose size it takes, got ${arm} for both; name another with --arm or --like, or give --top N`,
    );
  if (isControl && options.top === undefined && !options.quota && !selected) {
    throw new UsageError(
      `--method ${method}: expected --top N, or an arm ${JSON.stringify(model)} in ${options.run} to take the size of; make that one first, or name another with --like`,
    );
  }
  const count =
    options.top !== undefined
      ? rowsOf(options.top, manifest.dataset.rows)
      : isControl && !options.quota
        ? selected!.rows
        : undefined;
  const needsOthers =
    count !== undefined ||
    options.by !== undefined ||
    options.quota !== undefined ||
    options.where !== undefined ||
    options.dedup !== undefined ||
    options.diverse !== undefined ||
    options.toward !== undefined ||
    method === "representative" ||
    options.decontaminate !== undefined;
  return {
    method,
    arm,
    choice: describeChoice(method, options, count),
    seed: options.seed ?? defaultSeed,
    minScore: options.minScore ?? -Infinity,
    count,
    isImmediate: !needsOthers,
    isPureCut:
      method === "score" &&
      !options.per &&
      !options.quota &&
      !options.where &&
      !options.dedup &&
      options.diverse === undefined &&
      !options.decontaminate,
  };
}

/** @throws UsageError when options cannot be combined */
export function checkCombination(method: Plan["method"], options: SelectOptions): void {
  const { minScore, top, by, where, per, quota, dedup, diverse, decontaminate } = options;
  checkVectorOptions(options);
  if (method === "representative" && (top === undefined || per !== undefined || quota || options.rows))
    throw new UsageError(
      "--method representative: expected how many rows to keep, --top N or --top N%, without --per, --quota and --rows",
    );
  if (
    method === "rows" &&
    (options.method ||
      minScore !== undefined ||
      top !== undefined ||
      by !== undefined ||
      where !== undefined ||
      per !== undefined ||
      quota !== undefined ||
      dedup ||
      diverse !== undefined ||
      decontaminate)
  ) {
    throw new UsageError("--rows: keeps exactly the listed rows; it cannot be combined with another way of choosing");
  }
  const choices = [minScore, top, where, quota, dedup, diverse, decontaminate];
  const isOpen = choices.every((option) => option === undefined);
  if (by !== undefined && method !== "score") throw new UsageError(`--by: goes with --method score, not ${method}`);
  if (by !== undefined && isOpen)
    throw new UsageError(
      "--by: it orders rows; add how many to keep: --top N, --top N%, --min-score VALUE or --quota COLUMN=VALUE:N",
    );
  if (per !== undefined && top === undefined && (method === "score" || method === "full"))
    throw new UsageError("--per: expected --top beside it, to share out over the groups");
  if (method === "score" && isOpen) {
    throw new UsageError(
      "expected a choice: --min-score SCORE, --top N, --top N%, --quota COLUMN=VALUE:N, --where SQL, --rows FILE, --dedup, --diverse, --decontaminate, --toward FILE, or --method random, longest or full; judges differ in scale, so there is no default threshold",
    );
  }
  if (by !== undefined && by.trim() === "") throw new UsageError("--by: expected an expression, got nothing");
  if (minScore !== undefined && method !== "score" && method !== "toward" && method !== "representative")
    throw new UsageError(`--min-score: goes with --method score, not ${method}`);
  if (top !== undefined && method === "full")
    throw new UsageError("--top: goes with the methods score, random and longest, not full");
  if (per !== undefined && method === "full")
    throw new UsageError("--per: goes with the methods score, random and longest, not full");
  if (quota && (method === "full" || per !== undefined || top !== undefined))
    throw new UsageError("--quota: goes with the methods score, random and longest, in place of --top and --per");
  if (options.like !== undefined && (top !== undefined || (method !== "random" && method !== "longest")))
    throw new UsageError("--like: goes with --method random or longest, in place of --top");
  for (const [name, value] of Object.entries(options.fullTraining ?? {})) {
    if (value !== undefined && !(value >= 0)) throw new UsageError(`--full-${name}: expected 0 or more, got ${value}`);
  }
  if (where !== undefined && where.trim() === "") throw new UsageError("--where: expected a condition, got nothing");
  if (diverse !== undefined && !(diverse > 0 && diverse <= 1))
    throw new UsageError(`--diverse: expected a distance over 0 and up to 1, got ${diverse}`);
}

/** @throws UsageError when options about vectors and similarity cannot be combined */
function checkVectorOptions({ toward, vectors, similarity, dedup, diverse, ...options }: SelectOptions): void {
  const { top, rows, method, by, per, quota, like } = options;
  const other = Object.entries({ rows, by, per, quota, like }).find(([, value]) => value !== undefined)?.[0];
  if (toward !== undefined && other !== undefined)
    throw new UsageError(
      `--toward: is a way to choose; leave out --${other} (--min-score, --where, --dedup, --diverse and --decontaminate go with it)`,
    );
  if (toward !== undefined && method !== undefined)
    throw new UsageError(`--toward: is a way to choose; leave out --method ${method}`);
  if (toward !== undefined && top === undefined)
    throw new UsageError("--toward: expected how many rows to keep: --top N or --top N%");
  const needsVectors = toward !== undefined || dedup === "semantic" || diverse !== undefined;
  if (vectors !== undefined && !needsVectors && method !== "representative")
    throw new UsageError(
      "--vectors: expected --toward FILE, --dedup semantic, --diverse or --method representative with it, got none of them",
    );
  if (similarity !== undefined && dedup !== "near" && dedup !== "semantic")
    throw new UsageError("--similarity: expected --dedup near or --dedup semantic with it, got neither");
  if (similarity !== undefined && !(similarity > 0 && similarity <= 1))
    throw new UsageError(`--similarity: expected a similarity over 0 and up to 1, got ${similarity}`);
}

function checkMinScore(minScore: number | undefined, { rate }: RatedManifest): void {
  if (minScore === undefined) return;
  if (!Number.isFinite(minScore)) throw new UsageError(`--min-score: expected a number, got ${minScore}`);
  const { scale, histogram } = rate;
  if (scale && (minScore < scale.min || minScore > scale.max))
    throw new UsageError(
      `--min-score ${minScore}: expected a score on the judge's scale, ${scale.min} to ${scale.max}`,
    );
  const highest = histogram.at(-1);
  if (!highest) throw new RunError(`--min-score ${minScore}: no row has a score`);
  if (minScore > highest.to) throw aboveAll(minScore, histogram);
}

function aboveAll(minScore: number, bins: RatedManifest["rate"]["histogram"]): UsageError {
  return new UsageError(
    `--min-score ${minScore}: expected a cut that some row reaches, got one above everything the judge gave (rows by score${bins.length > 6 ? ", at the highest" : ""}: ${renderHistogram(bins.slice(-6))})`,
  );
}

function rowsOf(top: number | { readonly share: number }, rows: number): number {
  if (typeof top === "number") {
    if (!Number.isSafeInteger(top) || top < 1)
      throw new UsageError(`--top: expected a whole number of rows from 1, or a percentage, got ${top}`);
    if (top > rows) throw new UsageError(`--top ${top}: expected at most the ${formatCount(rows)} rows there are`);
    return top;
  }
  if (!(top.share > 0 && top.share <= 1))
    throw new UsageError(`--top: expected a percentage over 0 and up to 100, got ${top.share * 100}`);
  return Math.max(1, Math.round(top.share * rows));
}

function describeQuota({ column, keep }: Quota): string {
  const parts = [...keep].map(([value, most]) =>
    typeof most === "number" ? `${formatCount(most)} of ${value}` : `${formatShare(most.share)} of ${value}`,
  );
  return `by ${column} at most ${parts.join(", ")}`;
}

export function describeChoice(method: Plan["method"], options: SelectOptions, count: number | undefined): string {
  const n = count === undefined ? undefined : formatCount(count);
  const base = {
    score:
      [
        options.minScore !== undefined &&
          `rows ${options.by === undefined ? "that score" : `whose ${options.by} is`} at least ${options.minScore}`,
        n && `the ${n} best by ${options.by ?? "score"}`,
        options.minScore === undefined &&
          n === undefined &&
          options.by !== undefined &&
          `rows with a value of ${options.by}`,
      ]
        .filter(Boolean)
        .join(", of them ") || "all scored rows",
    random: n ? `${n} rows at random` : "rows at random",
    longest: n ? `the ${n} longest outputs` : "the longest outputs",
    full: "all rows",
    rows: formatNumbered(options.rows?.length ?? 0, "listed row", "listed rows"),
    representative: `${n ?? ""} rows that represent all (facility location)`,
    toward: `the ${n ?? ""} rows nearest to ${options.toward}${options.minScore === undefined ? "" : ` among those that score at least ${options.minScore}`}`,
  }[method];
  const extras = [
    options.quota !== undefined && describeQuota(options.quota),
    options.per !== undefined && `shared out over ${options.per}`,
    options.where !== undefined && `where ${options.where}`,
    options.dedup &&
      `without ${options.dedup} duplicates${options.similarity === undefined ? "" : ` (similarity ${options.similarity})`}`,
    options.diverse !== undefined &&
      `at least ${options.diverse} apart${isDiverseByVectors(options) ? " by their vectors" : ""}`,
    options.decontaminate && "without overlap with test prompts",
  ].filter(Boolean);
  return [base, ...extras].join(", ");
}
