import { dirname, join } from "node:path";
import { writeWhole } from "../files/atomic-file.ts";
import { isForeignFile } from "../files/foreign-file.ts";
import { UsageError } from "../errors.ts";
import { tryParse } from "../files/try-parse.ts";
import type { LeftOut, RunReport } from "../page/contract.ts";
import { isPage, renderHtml } from "../page/html.ts";
import { openRun, type OpenRunOptions } from "../page/open-run.ts";
import { embed } from "../page/sample.ts";
import {
  type ConditionResult,
  type FigureCondition,
  checkCondition,
  listFigures,
  readCondition,
} from "../page/figures.ts";
import { makeFolder } from "../files/make-folder.ts";
import { describeMet, isRenderedFigures, renderFigures, type ReportFormat } from "./report-formats.ts";

export interface ReportOptions extends OpenRunOptions {
  /** The run's folder. */
  readonly run: string;
  /** Where the page goes; `report.html` in the run's folder when left out. The figures go beside it, as `.json`. */
  readonly out?: string | undefined;
  /** Conditions that no figure of the run may meet: `winning_score < 1`. */
  readonly failOn?: readonly string[] | undefined;
}

export interface ReportSummary {
  readonly run: string;
  /** The page. */
  readonly path: string;
  readonly bytes: number;
  /** Its figures. */
  readonly jsonPath: string;
  /** Rows and pairs inside the page, with their texts. */
  readonly rows: number;
  readonly pairs: number;
  readonly leftOut: LeftOut;
  /** Whether all rows could be read; without them, what a threshold would keep is not known. */
  readonly isComplete: boolean;
  /** What could not be shown, and why. */
  readonly problems: readonly string[];
  /** The conditions that figures meet, and which figures. */
  readonly failed: readonly string[];
}

/** A run's figures as text. */
export interface FiguresText extends Pick<ReportSummary, "isComplete" | "problems" | "failed"> {
  readonly text: string;
}

/**
 * Writes a run's report: one page that opens from disk, with all figures and a bounded sample of rows and pairs, and the same
 * figures as JSON.
 *
 * @throws RunError when there is nothing to show, or the manifest is damaged
 * @throws UsageError, DataError when a judge of `against` cannot be opened or does not fit the data, a size belongs to no
 *   arm, or the path has a file that is not a report
 */
export async function report(options: ReportOptions): Promise<ReportSummary> {
  const path = options.out ?? join(options.run, "report.html");
  if (!/\.html?$/i.test(path))
    throw new UsageError(`--out: expected a name that ends in .html, got ${JSON.stringify(path)}`);
  const jsonPath = path.replace(/\.html?$/i, ".json");
  await expectOwn(path, isPage);
  await expectOwn(jsonPath, isFigures);
  const conditions = (options.failOn ?? []).map(readCondition);
  await using run = await openRun(options.run, options);
  await run.whenRead();
  const figures = await run.report();
  expectComparable(figures, options);
  const checked = checkAll(conditions, figures);
  const embedded = await embed(run, figures);
  const { html } = await renderHtml(embedded, titleOf(options));
  makeFolder(dirname(path));
  await writeWhole(path, html);
  await writeWhole(jsonPath, `${JSON.stringify(figures, null, 2)}\n`);
  return {
    run: options.run,
    path,
    bytes: Buffer.byteLength(html),
    jsonPath,
    rows: embedded.rows.length,
    pairs: embedded.pairs.length,
    leftOut: embedded.leftOut,
    ...describeEnd(figures, checked),
  };
}

/**
 * A run's figures in another format than the page.
 *
 * @throws as {@link report}; UsageError for a condition that is none, or about a figure that the run does not have
 */
export async function reportFigures(
  format: Exclude<ReportFormat, "html">,
  options: Omit<ReportOptions, "out">,
): Promise<FiguresText> {
  const conditions = (options.failOn ?? []).map(readCondition);
  await using run = await openRun(options.run, options);
  await run.whenRead();
  const figures = await run.report();
  expectComparable(figures, options);
  const checked = checkAll(conditions, figures);
  return { text: renderFigures(figures, format, checked), ...describeEnd(figures, checked) };
}

/**
 * Writes a run's figures to a file, whole or not at all.
 *
 * @throws UsageError when the name does not end as the format does, or there is a file that is no such report
 */
export async function writeFigures(path: string, format: Exclude<ReportFormat, "html">, text: string): Promise<void> {
  const ending = format === "junit" ? "xml" : format;
  if (!path.toLowerCase().endsWith(`.${ending}`))
    throw new UsageError(`--out: expected a name that ends in .${ending}, got ${JSON.stringify(path)}`);
  await expectOwn(path, (found) => (format === "json" ? isFigures(found) : isRenderedFigures(found, format)));
  makeFolder(dirname(path));
  await writeWhole(path, text);
}

/** @throws UsageError when judges are to be compared with ratings, and there are none */
function expectComparable({ dataset }: RunReport, { run, against = [] }: Pick<ReportOptions, "run" | "against">): void {
  if (dataset === undefined && against.length > 0)
    throw new UsageError(`--against: expected a run with ratings to compare with, ${run} has none; leave it out`);
}

function checkAll(conditions: readonly FigureCondition[], run: RunReport): ConditionResult[] {
  const figures = conditions.length > 0 ? listFigures(run) : [];
  return conditions.map((condition) => checkCondition(condition, figures));
}

function describeEnd(
  { dataset, rows, problems }: RunReport,
  checked: readonly ConditionResult[],
): Pick<ReportSummary, "isComplete" | "problems" | "failed"> {
  return {
    isComplete: dataset === undefined || rows.isReady,
    problems,
    failed: checked
      .filter(({ met }) => met.length > 0)
      .map((one) => `--fail-on ${JSON.stringify(one.condition.text)}: ${describeMet(one)}`),
  };
}

/** @throws UsageError when there is a file that is not a report, since it could be the user's data */
async function expectOwn(path: string, isOwn: (text: string) => boolean): Promise<void> {
  if (await isForeignFile(path, isOwn))
    throw new UsageError(
      `${path}: expected no file or an older report there, got a file that is none; choose another --out`,
    );
}

function isFigures(text: string): boolean {
  const found = tryParse(text) as Partial<RunReport> | null | undefined; // checked below
  return found?.alpagasus !== undefined && found.madeAt !== undefined && found.stages !== undefined;
}

/** The page's title in the browser's tab. */
export function titleOf({ title, run }: Pick<ReportOptions, "title" | "run">): string {
  return `${title ?? run} · alpagasus`;
}
