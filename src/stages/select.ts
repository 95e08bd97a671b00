import { reopenDataset } from "../dataset/reopen.ts";
import { formatCount } from "../format.ts";
import type { Dataset } from "../dataset/open.ts";
import { valueAt } from "../dataset/column-path.ts";
import { extensionOf, openRowWriter } from "../dataset/write.ts";
import type { TestPrompt } from "../dataset/prompts.ts";
import { RunError, UsageError } from "../errors.ts";
import { pairWithRatings, type RatedExample } from "../judge/run.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import type { ArmSummary } from "../run/records/arm.ts";
import type { RatedManifest } from "../run/manifest.ts";
import type { Rating } from "../run/rating.ts";
import { readRatings } from "../run/ratings-file.ts";
import { requireRatings, runFolder, updateManifest, type RunFolder } from "../run/run-folder.ts";
import { contaminationFinder } from "../selection/contamination.ts";
import type { Decision, Reason, ReasonDetail } from "../selection/decision.ts";
import { diversity } from "../selection/diversity.ts";
import { exactDuplicates, nearDuplicates, type LearningCheck } from "../selection/duplicates.ts";
import { pickHighest, type Picked } from "../selection/pick.ts";
import { ArmTally, WhatIfTable, type FullTraining } from "../selection/what-if.ts";
import { factNames, openWhereFilter } from "../selection/where.ts";
import { renderHistogram } from "../stats/histogram.ts";
import type { StageOptions } from "./progress.ts";
import { checkShare, coverageGate } from "./rate.ts";

export const selectMethods = ["score", "random", "longest", "full"] as const;
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
  /** An SQL condition over the row's columns, its score and lengths. */
  readonly where?: string | undefined;
  /** A column: `top` is divided among its values, and the best rows of each value are kept. */
  readonly per?: string | undefined;
  readonly dedup?: "exact" | "near" | undefined;
  /** The least distance between kept rows, 0 to 1. */
  readonly diverse?: number | undefined;
  /** Rows that overlap these prompts are left out. */
  readonly decontaminate?: readonly TestPrompt[] | undefined;
  /** Seed for breaking ties and drawing random rows. */
  readonly seed?: number | undefined;
  /** The least share of rows that must be scored for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** What training on all rows takes, to compare thresholds with. */
  readonly fullTraining?: FullTraining | undefined;
}

/** The least distance of `--diverse` when none is given. */
export const defaultDistance = 0.8;
const defaultSeed = 42;
const defaultMinCoverage = 0.95;
const tieAlarm = 0.1; // alarm when more than this share of the kept rows was drawn from a tie

/**
 * Selects rows of a rated dataset into an arm. Writes the kept rows in order, in the dataset's own format with unchanged
 * text, and `ARM.decisions.jsonl` with the decision about every row and its reason.
 *
 * @throws UsageError for options that make no sense together or on this judge's scale
 * @throws RunError when there are no ratings, or they do not belong to the current data
 */
export async function select(options: SelectOptions): Promise<ArmSummary> {
  const startedAt = new Date();
  const run = runFolder(options.run);
  const manifest = await requireRatings(run);
  const plan = planSelection(options, manifest);
  const dataset = await reopenDataset(manifest.dataset, run, options.signal);
  const fateOf = plan.isImmediate
    ? immediateFates(plan, options)
    : await pickedFates(plan, options, manifest, dataset, run);
  const written = await writeArm(plan, options, manifest, dataset, run, fateOf);
  const summary = summarise(plan, options, manifest, written, fateOf, startedAt);
  await updateManifest(run, (latest = manifest) => ({ ...latest, arms: { ...latest.arms, [plan.arm]: summary } }));
  return summary;
}

/** The options, checked and completed. */
interface Plan {
  readonly method: SelectMethod | "rows";
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

function planSelection(options: SelectOptions, manifest: RatedManifest): Plan {
  checkShare("minCoverage", options.minCoverage);
  const method = options.rows ? "rows" : (options.method ?? "score");
  checkCombination(method, options);
  checkMinScore(options.minScore, manifest);
  const arm = options.arm ?? (method === "score" || method === "rows" ? "selected" : method);
  if (!/^[\w][\w.-]*$/.test(arm) || arm.includes("..") || arm.endsWith(".decisions"))
    throw new UsageError(`--arm: expected a name of letters, digits, ".", "_" and "-", got ${JSON.stringify(arm)}`);
  const isControl = method === "random" || method === "longest";
  const model = options.like ?? "selected";
  const selected = manifest.arms[model];
  if (isControl && options.top === undefined && !selected) {
    throw new UsageError(
      `--method ${method}: expected --top N, or an arm ${JSON.stringify(model)} in ${options.run} to take the size of; make that one first, or name another with --like`,
    );
  }
  const count =
    options.top !== undefined ? rowsOf(options.top, manifest.dataset.rows) : isControl ? selected!.rows : undefined;
  const needsOthers =
    count !== undefined ||
    options.where !== undefined ||
    options.dedup !== undefined ||
    options.diverse !== undefined ||
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
      !options.where &&
      !options.dedup &&
      options.diverse === undefined &&
      !options.decontaminate,
  };
}

/** @throws UsageError when options cannot be combined */
export function checkCombination(method: Plan["method"], options: SelectOptions): void {
  const { minScore, top, where, per, dedup, diverse, decontaminate } = options;
  if (
    method === "rows" &&
    (options.method ||
      minScore !== undefined ||
      top !== undefined ||
      where !== undefined ||
      per !== undefined ||
      dedup ||
      diverse !== undefined ||
      decontaminate)
  ) {
    throw new UsageError("--rows: keeps exactly the rows listed; it goes with no other way of choosing");
  }
  if (
    method === "score" &&
    [minScore, top, where, dedup, diverse, decontaminate].every((option) => option === undefined)
  ) {
    throw new UsageError(
      "expected a choice: --min-score SCORE, --top N, --top N%, --where SQL or --rows FILE; judges differ in scale, so there is no default threshold",
    );
  }
  if (minScore !== undefined && method !== "score")
    throw new UsageError(`--min-score: goes with --method score, not ${method}`);
  if (top !== undefined && method === "full")
    throw new UsageError("--top: goes with the methods score, random and longest, not full");
  if (per !== undefined && (method === "full" || (top === undefined && method === "score")))
    throw new UsageError("--per: expected --top beside it, to share out over the groups");
  if (options.like !== undefined && (top !== undefined || (method !== "random" && method !== "longest")))
    throw new UsageError("--like: goes with --method random or longest, in place of --top");
  for (const [name, value] of Object.entries(options.fullTraining ?? {})) {
    if (value !== undefined && !(value >= 0)) throw new UsageError(`--full-${name}: expected 0 or more, got ${value}`);
  }
  if (where !== undefined && where.trim() === "") throw new UsageError("--where: expected a condition, got nothing");
  if (diverse !== undefined && !(diverse > 0 && diverse <= 1))
    throw new UsageError(`--diverse: expected a distance over 0 and up to 1, got ${diverse}`);
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
    `--min-score ${minScore}: expected a cut that some row reaches, got one above everything the judge gave (${renderHistogram(bins)})`,
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

function describeChoice(method: Plan["method"], options: SelectOptions, count: number | undefined): string {
  const n = count === undefined ? undefined : formatCount(count);
  const base = {
    score:
      [options.minScore !== undefined && `rows that score at least ${options.minScore}`, n && `the ${n} best by score`]
        .filter(Boolean)
        .join(", of them ") || "all scored rows",
    random: `${n} rows at random`,
    longest: `the ${n} longest outputs`,
    full: "all rows",
    rows: `${formatCount(options.rows?.length ?? 0)} listed rows`,
  }[method];
  const extras = [
    options.per !== undefined && `shared out over ${options.per}`,
    options.where !== undefined && `where ${options.where}`,
    options.dedup && `without ${options.dedup} duplicates`,
    options.diverse !== undefined && `at least ${options.diverse} apart`,
    options.decontaminate && "without overlap with test prompts",
  ].filter(Boolean);
  return [base, ...extras].join(", ");
}

/** Decides whether a row is kept, and gives the reason. */
type FateOf = ((rated: RatedExample) => { reason: Reason; detail?: ReasonDetail }) & { readonly picked?: Picked };

function immediateFates(plan: Plan, { rows }: SelectOptions): FateOf {
  if (plan.method === "full") return () => ({ reason: "kept" });
  if (plan.method === "rows") {
    const listed = new Set(rows);
    return ({ example }) => ({ reason: listed.has(example.index) ? "kept" : "not listed" });
  }
  return ({ rating }) => {
    if (rating.state !== "scored") return { reason: "unrated" };
    return { reason: rating.score >= plan.minScore ? "kept" : "below cut" };
  };
}

/** Reads all rows first, then picks among them. */
async function pickedFates(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
): Promise<FateOf> {
  const survey = await surveyRows(plan, options, manifest, dataset, run);
  const { keys, excluded, checks, groups } = survey;
  const picked = pickHighest(keys, {
    seed: plan.seed,
    purpose: plan.method,
    checks,
    count: plan.count,
    groups,
  });
  const losing: Reason = plan.method === "random" ? "not drawn" : plan.method === "longest" ? "shorter" : "below cut";
  const fateOf = ({ example, rating }: RatedExample): { reason: Reason; detail?: ReasonDetail } => {
    const row = example.index;
    if (picked.kept[row]) return { reason: "kept" };
    const other = excluded.get(row) ?? picked.rejected.get(row);
    if (other) return other;
    if (survey.filtered?.[row] === 0) return { reason: "filtered" };
    if (plan.method === "score" && rating.state !== "scored") return { reason: "unrated" };
    return { reason: !groups && keys[row] === picked.cut ? "not drawn" : losing }; // tied with the last kept row
  };
  return Object.assign(fateOf, { picked });
}

interface Survey {
  /** Sort key of each row, higher is better; NaN when the row cannot be picked. */
  readonly keys: Float64Array;
  readonly excluded: Map<number, { reason: Reason; detail: ReasonDetail }>;
  readonly filtered?: Uint8Array | undefined;
  readonly groups?: Int32Array | undefined;
  readonly checks: readonly LearningCheck[];
}

async function surveyRows(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
): Promise<Survey> {
  const rowCount = manifest.dataset.rows;
  const { ratingsHash } = manifest.rate;
  const keys = new Float64Array(rowCount).fill(NaN);
  const excluded = new Map<number, { reason: Reason; detail: ReasonDetail }>();
  const checks = [
    options.dedup === "exact" && exactDuplicates(rowCount),
    options.dedup === "near" && nearDuplicates(),
    options.diverse !== undefined && diversity(options.diverse),
  ].filter((check) => check !== false);
  const needsText =
    plan.method === "longest" ||
    options.per !== undefined ||
    options.where !== undefined ||
    options.decontaminate !== undefined ||
    checks.length > 0;
  if (!needsText) {
    for await (const lines of readRatings(run.ratingsPath, ratingsHash)) {
      options.signal?.throwIfAborted();
      for (const rating of lines) keys[rating.index] = keyOf(plan, rating, 0);
    }
    return { keys, excluded, checks };
  }

  const findOverlap = options.decontaminate && contaminationFinder(options.decontaminate);
  const grouping = options.per === undefined ? undefined : new Grouping(options.per, rowCount);
  await using filter =
    options.where === undefined
      ? undefined
      : await openWhereFilter(dataset, options.where, /^column:(.+)$/s.exec(manifest.rate.judge)?.[1]);
  let done = 0;
  for await (const batch of pairWithRatings(dataset.batches(), run, ratingsHash)) {
    for (const { example, rating } of batch) {
      const key = keyOf(plan, rating, example.output.length);
      filter?.learn(example, rating);
      grouping?.learn(example.index, valueAt(example.row, options.per!));
      const overlap = findOverlap?.(example);
      if (overlap) excluded.set(example.index, { reason: "contaminated", detail: overlap });
      else if (!Number.isNaN(key)) {
        keys[example.index] = key;
        for (const check of checks) check.learn(example.index, example);
      }
    }
    done += batch.length;
    options.onProgress?.({ stage: "select", doing: "comparing", done, total: rowCount, unit: "rows" });
  }
  grouping?.expectFound();
  const filtered = await filter?.evaluate(rowCount);
  if (filtered) filtered.forEach((passes, row) => void (passes || (keys[row] = NaN)));
  return { keys, excluded, checks, filtered, ...(grouping && { groups: grouping.numbers }) };
}

function keyOf(plan: Plan, rating: Rating, outputLength: number): number {
  if (plan.method === "random" || plan.method === "full") return 0;
  if (plan.method === "longest") return outputLength;
  return rating.state === "scored" && rating.score >= plan.minScore ? rating.score : NaN;
}

/** Assigns a number to each distinct value of a column. */
class Grouping {
  readonly #column: string;
  readonly #names = new Map<string, number>();
  readonly numbers: Int32Array;
  #isFound = false;

  constructor(column: string, rowCount: number) {
    this.#column = column;
    this.numbers = new Int32Array(rowCount);
  }

  learn(row: number, value: unknown): void {
    this.#isFound ||= value !== undefined;
    const name = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
    let number = this.#names.get(name);
    if (number === undefined) this.#names.set(name, (number = this.#names.size));
    this.numbers[row] = number;
  }

  expectFound(): void {
    if (!this.#isFound)
      throw new UsageError(
        `--per: expected a column of the data, got ${JSON.stringify(this.#column)}, which no row has`,
      );
  }
}

interface Written {
  readonly path: string;
  readonly decisionsPath: string;
  readonly rows: number;
  readonly totalRows: number;
  readonly scoredRows: number;
  readonly cut: number | null;
  readonly reasons: Record<string, number>;
  readonly whatIf: WhatIfTable;
  readonly armTally: ArmTally;
}

/** Reads the data again, and writes the kept rows and the decision about every row. */
async function writeArm(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  dataset: Dataset,
  run: RunFolder,
  fateOf: FateOf,
): Promise<Written> {
  const { ratingsHash } = manifest.rate;
  const path = run.armPath(plan.arm, extensionOf(dataset));
  const decisionsPath = run.decisionsPath(plan.arm);
  const decisions = openAtomicFile(decisionsPath);
  const rows = openRowWriter(dataset, path);
  const whatIf = new WhatIfTable(options.fullTraining);
  const armTally = new ArmTally();
  const reasons: Record<string, number> = {};
  let kept = 0;
  let total = 0;
  let scored = 0;
  let cut = Infinity;
  try {
    for await (const batch of pairWithRatings(dataset.batches(), run, ratingsHash)) {
      for (const rated of batch) {
        const { example, rating } = rated;
        const { reason, detail } = fateOf(rated);
        const score = rating.state === "scored" ? rating.score : undefined;
        total++;
        reasons[reason] = (reasons[reason] ?? 0) + 1;
        whatIf.add(example, score);
        if (score !== undefined) scored++;
        if (reason === "kept") {
          kept++;
          if (score !== undefined && score < cut) cut = score;
          armTally.add(example);
          const written = rows.write(example);
          if (written) await written;
        }
        const written = decisions.write(`${JSON.stringify(decide(rated, reason, detail))}\n`);
        if (written) await written;
      }
      options.onProgress?.({ stage: "select", doing: "writing", done: total, unit: "rows" });
    }
    expectListed(options, total);
    if (kept === 0) throw noneKept(options, whatIf, reasons);
    options.signal?.throwIfAborted();
    await rows.commit();
    await decisions.commit();
  } finally {
    await rows.discard();
    await decisions.discard();
  }
  return {
    path,
    decisionsPath,
    rows: kept,
    totalRows: total,
    scoredRows: scored,
    cut: Number.isFinite(cut) ? cut : null,
    reasons,
    whatIf,
    armTally,
  };
}

function decide({ example, rating }: RatedExample, reason: Reason, detail: ReasonDetail | undefined): Decision {
  const { index, id } = example;
  const isScored = rating.state === "scored";
  const decision = {
    index,
    id,
    kept: reason === "kept",
    reason,
    score: isScored ? rating.score : undefined,
    state: isScored ? undefined : rating.state,
  };
  return detail ? { ...decision, ...detail } : decision;
}

function expectListed({ rows }: SelectOptions, total: number): void {
  const outside = rows?.find((row) => row >= total);
  if (outside !== undefined) throw new UsageError(`--rows: expected positions from 0 to ${total - 1}, got ${outside}`);
}

function noneKept(options: SelectOptions, whatIf: WhatIfTable, reasons: Record<string, number>): UsageError {
  const thresholds = whatIf.thresholds();
  const highest = thresholds.at(-1);
  if (options.minScore !== undefined && highest && options.minScore > highest.threshold && reasons["below cut"]) {
    return new UsageError(
      `--min-score ${options.minScore}: expected a cut that some row reaches, got one above everything the judge gave (${thresholds.map(({ threshold, rows }) => `>= ${threshold}: ${rows}`).join(", ")})`,
    );
  }
  const fates = Object.entries(reasons).map(([reason, rows]) => `${formatCount(rows)} ${reason}`);
  return new UsageError(`expected a choice that keeps some row, got one that keeps none (${fates.join(", ")})`);
}

function summarise(
  plan: Plan,
  options: SelectOptions,
  manifest: RatedManifest,
  written: Written,
  { picked }: FateOf,
  startedAt: Date,
): ArmSummary {
  const { whatIf, armTally, rows, totalRows, reasons } = written;
  const full = whatIf.all();
  const notes: string[] = [];
  const alarms: string[] = [...manifest.rate.alarms];
  if (picked && plan.method === "score" && picked.tied > picked.tiedKept && plan.count !== undefined) {
    const message = `${formatCount(picked.tied)} rows score exactly ${written.cut}; ${formatCount(picked.tiedKept)} of them were drawn by seed ${plan.seed}`;
    (picked.tiedKept > tieAlarm * rows ? alarms : notes).push(message);
  }
  if (plan.count !== undefined && rows < plan.count)
    notes.push(`${formatCount(plan.count)} rows were asked for; no more than ${formatCount(rows)} could be kept`);
  const { escalation } = manifest.rate;
  if (escalation && plan.method === "score" && options.minScore !== escalation.minScore)
    notes.push(
      `rows that ${escalation.to} was not asked about have a score by their probability to reach ${escalation.minScore}, not one that it would give: only --min-score ${escalation.minScore} keeps what the estimates are about`,
    );
  if (options.per !== undefined && factNames.includes(options.per))
    notes.push(`--per ${options.per} goes by the data's column of that name, not by what the rating says`);
  const unrated = totalRows - written.scoredRows;
  if (unrated > 0)
    notes.push(`${formatCount(unrated)} rows have no score${plan.method === "score" ? " and could not be kept" : ""}`);
  return {
    arm: plan.arm,
    method: plan.method,
    choice:
      plan.count !== undefined && rows < plan.count
        ? `${describeChoice(plan.method, options, rows)} (${formatCount(plan.count)} were asked for)`
        : plan.choice,
    seed: plan.seed,
    path: written.path,
    decisionsPath: written.decisionsPath,
    rows,
    totalRows,
    share: rows / totalRows,
    cut: plan.isPureCut ? written.cut : null,
    ...armTally.describe(full),
    reasons,
    coverage: written.scoredRows / totalRows,
    full,
    whatIf: plan.isPureCut ? whatIf.thresholds(written.cut ?? undefined) : [],
    notes,
    alarms,
    gates: [coverageGate(written.scoredRows / totalRows, options.minCoverage ?? defaultMinCoverage)],
    ratingsHash: manifest.rate.ratingsHash,
    command: options.command,
    startedAt: startedAt.toISOString(),
    wallMs: Date.now() - startedAt.getTime(),
  };
}
