import { formatCount } from "../format.ts";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Dataset } from "../dataset/open.ts";
import { hashExample, type Example } from "../dataset/example.ts";
import { RunError, UsageError } from "../errors.ts";
import { partialPath } from "../files/atomic-file.ts";
import type { Judge } from "../judge/judge.ts";
import { isEscalating, type EscalatingJudge, type Escalation } from "../judge/escalate.ts";
import { isPanel } from "../judge/panel.ts";
import { isRated, manifestVersion, type Manifest, type RatedManifest } from "../run/manifest.ts";
import type { AgreementRecord, EscalationRecord, RateSummary } from "../run/records/rating.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { Gate } from "../run/records/common.ts";
import { finiteOrNull, toAgreementRecord, toEstimateRecord } from "../run/estimate-record.ts";
import type { Rating, RatingState } from "../run/rating.ts";
import { openProgressFile } from "../run/progress-file.ts";
import { openRatingsWriter, type RatingLine } from "../run/ratings-file.ts";
import { workingFolder } from "../run/recorded-path.ts";
import { readManifest, runFolder, updateManifest, type RunFolder } from "../run/run-folder.ts";
import { measureAgreement, spearman } from "../stats/agreement.ts";
import { commonestScore, histogram } from "../stats/histogram.ts";
import { version } from "../version.ts";
import { describeBatchProgress, describeCallProgress, describeCalls } from "./describe-calls.ts";
import { describeQuestion } from "../run/describe-question.ts";
import { PanelTally } from "./panel-summary.ts";
import type { Progress, StageOptions } from "./progress.ts";

export interface RateOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  readonly judge: Judge;
  /** Scores to measure the judge against. */
  readonly against?: Judge | undefined;
  /** The least share of rows that must be scored for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** Replace the run's ratings if they are of other data or by another judge. */
  readonly overwrite?: boolean | undefined;
}

const defaultMinCoverage = 0.95;
const progressMs = 1_000;
const alarmShare = 0.95; // alarm when this share of scores has one value: such a judge selects nothing
const alarmRows = 20; // no alarm with fewer rows, which may agree by chance
const roundScores = 50_000; // distinct scores; with more, they are rounded to four digits for counting

/**
 * Rates every example of a dataset and writes `ratings.jsonl` (a line a row, in the dataset's order) and the manifest.
 *
 * @throws DataError at the first row that cannot be read, or when recorded scores do not fit the data
 * @throws RunError when the run holds other data or another judge's ratings, and `overwrite` is not set
 */
export async function rate(dataset: Dataset, options: RateOptions): Promise<RateSummary> {
  const startedAt = new Date();
  checkShare("minCoverage", options.minCoverage);
  const run = runFolder(options.run);
  const manifest = options.overwrite ? undefined : await readManifest(run);
  const previous = isRated(manifest) ? manifest : undefined;
  if (previous) expectSameQuestion(previous, dataset, options);

  const total = options.judge.calls && (await countRows(dataset, options));
  const writer = openRatingsWriter(run.ratingsPath);
  const tally = new RatingTally();
  const identity = createHash("sha256");
  const comparison = options.against && new Comparison(options.against);
  const { judge } = options;
  const panel = isPanel(judge) ? new PanelTally(judge) : undefined;
  using progressFile = openProgressFile(run, {
    source: dataset.source,
    workingFolder: workingFolder(run),
    shape: dataset.shape.name,
    ...(dataset.shape.map && { map: { ...dataset.shape.map } }),
    judge: judge.name,
    scale: judge.scale,
    ratingsPath: partialPath(run.ratingsPath),
  });
  let isPreparing = true;
  const show = (progress: Progress) => {
    options.onProgress?.(progress);
    progressFile.show(progress);
  };
  const showProgress = () => {
    if (isPreparing) return;
    const calls = judge.calls?.();
    show({
      stage: "rate",
      doing: "rating",
      done: calls ? Math.max(tally.rows, calls.made + calls.stored + calls.shared) : tally.rows,
      unit: "rows",
      total,
      ...describeCallProgress(calls),
    });
  };
  const clock = judge.calls && setInterval(showProgress, progressMs).unref(); // calls can take long without a result
  // A failure to flush is ignored here: the next write reports it.
  const flushing = judge.calls && setInterval(() => void writer.flush().catch(() => {}), progressMs).unref();
  try {
    await judge.prepare?.(
      () => dataset.batches(),
      (batches) => show({ stage: "rate", ...describeBatchProgress(batches, judge.calls?.()) }),
    );
    isPreparing = false;
    for await (const lines of rateInOrder(dataset, options.judge, options.signal)) {
      for (const line of lines) {
        tally.add(line);
        identity.update(line.hash);
        const written = writer.write(line);
        if (written) await written;
      }
      comparison?.addScores(lines);
      panel?.add(lines);
      showProgress();
    }
    await judge.finish?.();
    const agreement = await comparison?.measure(dataset);
    const panelSummary = await panel?.summarise(dataset, run, options);
    const datasetRecord = describeDataset(dataset, run, tally.rows, identity.digest("hex"));
    const arms = previous?.dataset.hash === datasetRecord.hash ? previous.arms : {}; // arms of other data are dropped
    options.signal?.throwIfAborted();

    const summary: RateSummary = {
      judge: options.judge.name,
      scale: options.judge.scale,
      question: options.judge.question,
      notes: [...options.judge.notes],
      ...describeCalls(options.judge, isEscalating(judge) ? judge.left : tally.pending),
      ...tally.summarise(),
      alarms: [...tally.alarms, ...(judge.alarms ?? [])],
      ...(judge.checks && { checks: [...judge.checks] }),
      panel: panelSummary,
      ...(isEscalating(judge) && judge.escalation && { escalation: toEscalationRecord(judge, judge.escalation) }),
      agreement,
      gates: [coverageGate(tally.coverage, options.minCoverage ?? defaultMinCoverage)],
      ratingsHash: await writer.commit(),
      command: options.command,
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    };
    const change = (latest: Manifest | undefined): Manifest => ({
      version: manifestVersion,
      alpagasus: version,
      dataset: datasetRecord,
      rate: summary,
      arms,
      ...(latest?.comparisons && { comparisons: latest.comparisons }),
      ...(latest?.models && { models: latest.models }),
      ...(latest?.answers && { answers: latest.answers }),
      ...(latest?.experiment && { experiment: latest.experiment }),
    });
    await updateManifest(run, change, { mayBeDamaged: options.overwrite ?? false });
    return summary;
  } finally {
    clearInterval(clock);
    clearInterval(flushing);
    await writer.discard();
  }
}

async function countRows(dataset: Dataset, { onProgress }: RateOptions): Promise<number> {
  let rows = 0;
  for await (const batch of dataset.batches()) {
    rows += batch.length;
    onProgress?.({ stage: "rate", doing: "counting", done: rows, unit: "rows" });
  }
  return rows;
}

/** Joins each example's index, id and hash with its rating. */
async function* rateInOrder(
  dataset: Dataset,
  judge: Judge,
  signal?: AbortSignal,
): AsyncGenerator<readonly RatingLine[]> {
  const waiting: Pick<RatingLine, "index" | "id" | "hash">[] = [];
  async function* examples(): AsyncGenerator<readonly Example[]> {
    for await (const batch of dataset.batches()) {
      signal?.throwIfAborted();
      for (const example of batch) {
        waiting.push({ index: example.index, id: example.id, hash: hashExample(example) });
      }
      yield batch;
    }
  }
  for await (const ratings of judge.rate(examples())) {
    const rows = waiting.splice(0, ratings.length);
    yield ratings.map((rating, i) => ({ ...rows[i]!, ...rating }));
  }
  if (waiting.length > 0)
    throw new RunError(`${judge.name}: expected a rating for every row, got none for the last ${waiting.length}`);
}

/** Counts states and scores in bounded memory. */
class RatingTally {
  rows = 0;
  #scored = 0;
  #sum = 0;
  #digits = 17;
  #counts = new Map<number, number>();
  readonly #states = new Map<RatingState, number>();

  add(rating: Rating): void {
    this.rows++;
    this.#states.set(rating.state, (this.#states.get(rating.state) ?? 0) + 1);
    if (rating.state !== "scored") return;
    this.#scored++;
    this.#sum += rating.score;
    const score = this.#digits === 17 ? rating.score : Number(rating.score.toPrecision(this.#digits));
    this.#counts.set(score, (this.#counts.get(score) ?? 0) + 1);
    if (this.#counts.size > roundScores && this.#digits === 17) this.#round();
  }

  /** Rows that are still to be rated. */
  get pending(): number {
    return this.#states.get("pending") ?? 0;
  }

  get coverage(): number {
    return this.rows ? this.#scored / this.rows : 0;
  }

  summarise(): Pick<RateSummary, "states" | "coverage" | "mean" | "histogram"> {
    return {
      states: Object.fromEntries(this.#states),
      coverage: this.coverage,
      mean: this.#scored ? this.#sum / this.#scored : null,
      histogram: histogram(this.#counts),
    };
  }

  get alarms(): string[] {
    const commonest = commonestScore(this.#counts);
    if (!commonest || this.#scored < alarmRows || commonest.share < alarmShare) return [];
    return [
      `${(100 * commonest.share).toFixed(1)} % of the scores are ${commonest.score}: a judge that says the same to everything selects nothing; look at its replies before using them`,
    ];
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

/** Keeps the judge's scores, to compare them with the reference's scores for the same rows. */
class Comparison {
  readonly #reference: Judge;
  readonly #scores: number[] = [];
  readonly #written: number[] = [];

  constructor(reference: Judge) {
    this.#reference = reference;
  }

  addScores(ratings: readonly Rating[]): void {
    for (const rating of ratings) {
      this.#scores.push(rating.state === "scored" ? rating.score : NaN);
      this.#written.push(rating.state === "scored" ? (rating.written ?? NaN) : NaN);
    }
  }

  async measure(dataset: Dataset): Promise<AgreementRecord> {
    const scores: number[] = [];
    const reference: number[] = [];
    const written: number[] = [];
    let row = 0;
    for await (const ratings of this.#reference.rate(dataset.batches())) {
      for (const rating of ratings) {
        const score = this.#scores[row]!;
        const asWritten = this.#written[row++]!;
        if (rating.state !== "scored" || Number.isNaN(score)) continue;
        scores.push(score);
        written.push(asWritten);
        reference.push(rating.score);
      }
    }
    const hasWritten = written.length > 0 && !written.some(Number.isNaN);
    return {
      ...toAgreementRecord(this.#reference.name, measureAgreement(scores, reference)),
      ...(hasWritten && { writtenSpearman: toEstimateRecord(spearman(written, reference)) }),
    };
  }
}

function toEscalationRecord(
  { studentName, other }: EscalatingJudge,
  { asked, audited, rows, minScore, kept, keptFrom, precision, recall, alone }: Escalation,
): EscalationRecord {
  return {
    student: studentName,
    to: other.name,
    asked,
    audited,
    rows,
    minScore,
    kept,
    keptFrom: finiteOrNull(keptFrom),
    precision: toEstimateRecord(precision),
    recall: toEstimateRecord(recall),
    alone: { precision: finiteOrNull(alone.precision), recall: finiteOrNull(alone.recall) },
  };
}

function describeDataset(dataset: Dataset, run: RunFolder, rows: number, hash: string): DatasetRecord {
  return {
    source: dataset.source,
    workingFolder: workingFolder(run),
    files: dataset.files.map(({ path, bytes }) => ({ path, bytes })),
    format: dataset.format,
    shape: dataset.shape.name,
    ...(dataset.shape.map && { map: { ...dataset.shape.map } }),
    rows,
    hash,
  };
}

/** The gate on the share of rows with a score. */
export function coverageGate(coverage: number, least: number): Gate {
  const percent = (share: number) => `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
  return {
    name: "coverage",
    held: coverage >= least,
    message: `${percent(coverage)} of the rows have a score; at least ${percent(least)} are wanted`,
  };
}

/** @throws UsageError unless the share is absent or from 0 to 1 */
export function checkShare(name: string, share: number | undefined): void {
  if (share !== undefined && !(share >= 0 && share <= 1))
    throw new UsageError(`${name}: expected a share from 0 to 1, got ${share}`);
}

function isSameSource(a: string, b: string): boolean {
  return a === b || resolve(a) === resolve(b);
}

/** @throws RunError when the run's ratings are of other data, by another judge, or to another question */
function expectSameQuestion(
  { dataset, rate: rated }: RatedManifest,
  asked: Dataset,
  { run, judge }: RateOptions,
): void {
  const advice = "use another run with --run DIR, or replace it with --overwrite";
  if (!isSameSource(dataset.source, asked.source)) {
    throw new RunError(
      `${run}: holds ratings of ${dataset.source} (${formatCount(dataset.rows)} rows), not of ${asked.source}; ${advice}`,
    );
  }
  if (rated.judge !== judge.name)
    throw new RunError(`${run}: holds ratings by ${rated.judge}, not by ${judge.name}; ${advice}`);
  if (judge.question && rated.question?.hash !== judge.question.hash)
    throw new RunError(
      `${run}: holds ratings that were asked for otherwise (${describeQuestion(rated.question)}, not ${describeQuestion(judge.question)}); ${advice}`,
    );
}
