import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openAtomicFile } from "../files/atomic-file.ts";
import type { LeftOut } from "../page/contract.ts";
import { renderHtml } from "../page/html.ts";
import { openRun, type OpenRunOptions } from "../page/open-run.ts";
import { embed } from "../page/sample.ts";

export interface ReportOptions extends OpenRunOptions {
  /** The run's folder. */
  readonly run: string;
  /** Where the page goes; `report.html` in the run's folder when left out. The figures go beside it, as `.json`. */
  readonly out?: string;
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
  /** What could not be shown, and why. */
  readonly problems: readonly string[];
}

/**
 * Writes a run as one page that opens from disk, with all its figures and a bounded sample of its rows and pairs, and the
 * same figures as JSON.
 *
 * @throws RunError when there is nothing to show, or the manifest is damaged
 * @throws UsageError, DataError when a judge of `against` cannot be opened
 */
export async function report(options: ReportOptions): Promise<ReportSummary> {
  await using run = await openRun(options.run, options);
  await run.whenRead();
  const figures = await run.report();
  const embedded = await embed(run, figures);
  const { html } = await renderHtml(embedded, titleOf(options.run));
  const path = options.out ?? join(options.run, "report.html");
  const jsonPath = path.replace(/(\.html?)?$/i, ".json");
  await mkdir(dirname(path), { recursive: true });
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
    problems: figures.problems,
  };
}

/** What the page is called in the browser's tab. */
export function titleOf(run: string): string {
  return `${run} · alpagasus`;
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = openAtomicFile(path);
  try {
    await file.write(text);
    await file.commit();
  } finally {
    await file.discard();
  }
}
