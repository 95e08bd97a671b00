import { formatNumbered } from "../format.ts";
import { createHash } from "node:crypto";
import type { Dataset } from "../dataset/dataset.ts";
import { hashExample, type Example } from "../dataset/example.ts";
import { UsageError } from "../errors.ts";
import { partialPath } from "../files/atomic-file.ts";
import type { Judge, Escalating, Escalation } from "../judge/judge.ts";
import { inPart, partOfLimit, partOfShard, type Part } from "../judge/part.ts";
import type { Shard } from "../judge/shard.ts";
import { rateAll, readableOnly } from "../judge/rate-all.ts";
import { isRated } from "../run/manifest.ts";
import type { EscalationRecord, RateSummary } from "../run/records/rating.ts";
import { finiteOrNull, toEstimateRecord } from "../run/estimate-record.ts";
import { openRatingsWriter, type RatingLine } from "../run/ratings-file.ts";
import { keepFailure, latestCheck } from "../run/judge-checks.ts";
import { workingFolder, typedCommand } from "../run/recorded-path.ts";
import { readManifest, runFolder, extendManifest } from "../run/run-folder.ts";
import { describeDataset, recordPool } from "./describe-dataset.ts";
import { describeCalls } from "./describe-calls.ts";
import { keepScores } from "./kept-scores.ts";
import { untilAborted } from "./until-aborted.ts";
import { PanelTally } from "./panel-summary.ts";
import type { StageOptions } from "./progress.ts";
import { ReferenceAgreement } from "./reference-agreement.ts";
import { StageProgress } from "./stage-progress.ts";
import { RatingTally } from "./rating-tally.ts";
import {
  expectNoMore,
  expectRated,
  expectSameQuestion,
  expectSameShard,
  expectUnchanged,
  expectScoreName,
  hashRows,
  otherRows,
} from "./rate-checks.ts";
import {
  describeLimit,
  describeEarlierCheck,
  describeDropped,
  describeLostScores,
  describeUnused,
} from "./rate-notes.ts";
import { checkShare, readableGate, rowCoverageGate } from "./coverage.ts";
import { version } from "../version.ts";

export interface RateOptions extends StageOptions {
  /** The run's folder. */
  readonly run: string;
  readonly judge: Judge;
  /** Scores to measure the judge against. */
  readonly against?: Judge | undefined;
  /** The least share of rows that must be scored for the gate to hold, 0 to 1. */
  readonly minCoverage?: number | undefined;
  /** The largest share of rows that cannot be read for the gate to hold, 0 to 1; .01 when left out. */
  readonly maxUnreadable?: number | undefined;
  /** Rate only a part of the rows; `merge` puts the parts together. */
  readonly shard?: Shard | undefined;
  /** Rate only so many rows, drawn at random, for a try; a larger number, or none, goes on with them. */
  readonly limit?: number | undefined;
  /** The name of a further score of the run's rows; without it, the ratings are the run's own. */
  readonly as?: string | undefined;
  /** Keep the run's scores to the same question whose replies are gone from the store, instead of asking again (unless `overwrite`). */
  readonly keepScores?: boolean | undefined;
  /** Replace the run's ratings if they are of other data or by another judge. */
  readonly overwrite?: boolean | undefined;
}

const flushMs = 1_000;

/**
 * Rates every example of a dataset and writes `ratings.jsonl` (a line a row, in the dataset's order) and the manifest.
 *
 * @throws DataError at the first row that cannot be read, or when recorded scores do not fit the data
 * @throws RunError when the run holds other data or another judge's ratings, and `overwrite` is not set; with `as`, when its rows are not rated
 * @throws UsageError when `as` is no name of a score
 */
export async function rate(dataset: Dataset, options: RateOptions): Promise<RateSummary> {
  const startedAt = new Date();
  checkShare("minCoverage", options.minCoverage);
  checkShare("maxUnreadable", options.maxUnreadable);
  const run = runFolder(options.run);
  const { as, shard, limit } = options;
  const { scale } = options.judge;
  if (scale && !(Number.isFinite(scale.min) && Number.isFinite(scale.max) && scale.min < scale.max))
    throw new UsageError(
      `${options.judge.name}: expected a scale from one number to a higher one, got ${scale.min} to ${scale.max}`,
    );
  if (shard && limit !== undefined) throw new UsageError("--limit: expected all of the rows, got --shard with it");
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0))
    throw new UsageError(`limit: expected a whole number of rows from 1, got ${limit}`);
  if (as !== undefined) await expectScoreName(as);
  const manifest = options.overwrite && as === undefined ? undefined : await readManifest(run);
  const previous = isRated(manifest) ? manifest : undefined;
  const replaced = options.overwrite && as === undefined ? await readManifest(run).catch(() => undefined) : manifest; // it may be damaged
  if (as !== undefined) expectRated(previous, as, options);
  const rated = as === undefined ? previous?.rate : options.overwrite ? undefined : previous?.scores?.[as];
  if (previous) await expectSameQuestion(previous.dataset, rated, dataset, options);
  if (previous) expectSameShard(as === undefined ? rated : previous.rate, options);
  if (as !== undefined && previous?.dataset.hash !== (await hashRows(dataset))) throw otherRows(options.run); // before anything is paid
  const ratingsPath = as === undefined ? run.ratingsPath : run.scorePath(as);

  const isLong = options.judge.calls !== undefined || options.judge.work !== undefined;
  const total = isLong || limit !== undefined ? await countRows(dataset, options) : undefined;
  const tally = new RatingTally();
  const identity = createHash("sha256");
  const reference = options.against && new ReferenceAgreement(options.against);
  const before =
    (options.keepScores ?? !options.overwrite) ? await readManifest(run).catch(() => undefined) : undefined; // one that is damaged has none
  const kept = await keepScores(options.judge, as === undefined ? before?.rate : before?.scores?.[as], ratingsPath);
  const keeping = kept?.judge ?? options.judge;
  const isLimited = limit !== undefined && limit < total!; // it was counted
  const part = shard ? partOfShard(shard) : isLimited ? partOfLimit(limit, total!) : undefined;
  if (part && isLimited && rated) await expectNoMore(rated, ratingsPath, part, options.run);
  const judge = part ? inPart(keeping, part) : keeping;
  const panel = judge.panel && new PanelTally(judge.panel);
  using progress = new StageProgress({
    run,
    stage: "rate",
    doing: () => judge.work?.().phase ?? "rating",
    unit: "rows",
    total,
    onProgress: options.onProgress,
    calls: judge.calls,
    done: (calls) =>
      Math.max(
        tally.rows - tally.pending,
        calls ? calls.made + calls.stored + calls.shared : 0,
        judge.work?.().done ?? 0,
      ),
    rating:
      as === undefined
        ? {
            source: dataset.source,
            workingFolder: workingFolder(run),
            shape: dataset.shape.name,
            ...(dataset.shape.map && { map: { ...dataset.shape.map } }),
            ...(dataset.quotes && { quotes: dataset.quotes }),
            ...recordPool(dataset),
            judge: judge.name,
            scale: judge.scale,
            ratingsPath: partialPath(ratingsPath),
          }
        : undefined, // the viewer shows the run's own rating
  });
  const writer = openRatingsWriter(ratingsPath); // last: it is given up below
  // A failure to flush is ignored here: the next write reports it.
  const flushing = isLong && setInterval(() => void writer.flush().catch(() => {}), flushMs).unref();
  try {
    const preparing = judge.prepare?.(() => readableOnly(dataset.batches()), progress.showBatches);
    await Promise.resolve(preparing).finally(() => keepFailure(run, options.judge));
    if (isLong) progress.begin();
    for await (const lines of rateInOrder(dataset, judge, tally, part, options.signal)) {
      for (const line of lines) {
        if (part && !part.isIn(line.index)) tally.skip();
        else tally.add(line);
        identity.update(line.hash);
        const written = writer.write(line);
        if (written) await written;
      }
      reference?.addScores(lines);
      panel?.add(lines);
      progress.update();
    }
    await judge.finish?.();
    const agreement = await reference?.measure(dataset);
    const panelSummary = await panel?.summarise(dataset, run, options);
    const { hasChats } = tally;
    const datasetRecord = { ...describeDataset(dataset, run, tally.rows, identity.digest("hex")), hasChats };
    const earlierArms = isRated(replaced) ? replaced.arms : {};
    const arms = isRated(replaced) && replaced.dataset.hash === datasetRecord.hash ? earlierArms : {}; // arms of other data are dropped
    options.signal?.throwIfAborted();

    const escalated = judge.escalating?.result();
    const earlier = judge.checks ? undefined : await latestCheck(run, options.judge.name, judge.question?.hash);
    const hasKept = kept !== undefined && kept.count() > 0;
    const ratedBefore = hasKept ? (as === undefined ? before?.rate : before?.scores?.[as]) : undefined;
    const checks = judge.checks ?? earlier?.checks ?? ratedBefore?.checks;
    const alarms = [...tally.alarms, ...(judge.alarms ?? []), ...describeEarlierCheck(earlier, judge.alarms)];
    const summarise = (file: Pick<RateSummary, "ratingsHash" | "ratingsBytes">): RateSummary => ({
      ...(shard && { shard: { ...shard } }),
      ...(isLimited && { limit: { rows: limit, of: total! } }),
      judge: options.judge.name,
      scale: options.judge.scale,
      question: options.judge.question,
      notes: [
        ...(isLimited ? [describeLimit(limit, total!, tally.pending, options.judge)] : []),
        ...options.judge.notes,
        ...describeUnused(dataset, judge),
        ...(hasKept
          ? [
              `${formatNumbered(kept.count(), "score was", "scores were")} kept from the earlier ratings, since the store with their replies is gone: they cannot be traced to their replies any more`,
            ]
          : []),
        ...(as === undefined ? [] : tally.describeClash(as)),
        ...describeDropped(earlierArms, arms),
        ...(as === undefined && isRated(replaced) && replaced.dataset.hash !== datasetRecord.hash
          ? describeLostScores(replaced.scores ?? {})
          : []),
        ...tally.notes,
      ].filter((note, i, all) => all.indexOf(note) === i),
      ...describeCalls(
        options.judge,
        judge.escalating?.left() ?? tally.pending,
        undefined,
        options.judge.question?.samples,
      ),
      ...tally.summarise(),
      ...(isLimited && { coverage: (tally.coverage * limit) / total! }), // of all rows
      alarms: [...new Set([...alarms, ...(ratedBefore?.alarms ?? [])])], // kept scores keep what was said of them
      ...(checks && { checks: [...checks] }),
      panel: panelSummary,
      ...(escalated && { escalation: toEscalationRecord(judge.escalating!, escalated) }),
      agreement,
      gates: [
        rowCoverageGate(tally.coverage, options.minCoverage, isLimited ? "the rows of --limit" : undefined),
        ...(tally.unreadable > 0 ? [readableGate(tally.unreadable, tally.ownRows, options.maxUnreadable)] : []),
      ],
      ...file,
      ...typedCommand(options.command, run),
      startedAt: startedAt.toISOString(),
      wallMs: Date.now() - startedAt.getTime(),
    });
    let summary: RateSummary | undefined;
    await extendManifest(
      run,
      async (latest) => {
        if (!options.overwrite) await expectUnchanged(rated, latest, dataset, options);
        const isSameData = latest?.dataset?.hash === datasetRecord.hash; // now, when it is written
        if (as !== undefined && !isSameData) throw otherRows(options.run);
        summary = summarise(await writer.commit());
        const scores = isSameData ? latest.scores : undefined;
        if (as === undefined) return { alpagasus: version, dataset: datasetRecord, rate: summary, arms, scores };
        return { scores: { ...scores, [as]: summary } };
      },
      { mayBeDamaged: (options.overwrite ?? false) && as === undefined },
    );
    return summary!; // it was made there
  } finally {
    clearInterval(flushing || undefined);
    await writer.discard();
  }
}

/** How many rows a dataset has. */
export async function countRows(dataset: Dataset, { onProgress }: Pick<RateOptions, "onProgress">): Promise<number> {
  let rows = 0;
  for await (const batch of dataset.batches()) {
    rows += batch.length;
    onProgress?.({ stage: "rate", doing: "counting", done: rows, unit: "rows" });
  }
  return rows;
}

/** Joins each example's index, id and hash with its rating, and shows the examples to the tally. */
async function* rateInOrder(
  dataset: Dataset,
  judge: Judge,
  tally: RatingTally,
  part: Part | undefined,
  signal?: AbortSignal,
): AsyncGenerator<readonly RatingLine[]> {
  const waiting: Pick<RatingLine, "index" | "id" | "hash">[] = [];
  async function* examples(): AsyncGenerator<readonly Example[]> {
    for await (const batch of dataset.batches()) {
      signal?.throwIfAborted();
      for (const example of batch) {
        waiting.push({ index: example.index, id: example.id, hash: hashExample(example) });
        tally.addExample(example, part?.isIn(example.index));
      }
      yield batch;
    }
  }
  const rated = rateAll(judge, examples());
  const isOwn = judge.calls === undefined && judge.work === undefined; // others stop by themselves, when what is in flight is stored
  for await (const ratings of signal && isOwn ? untilAborted(rated, signal) : rated) {
    const rows = waiting.splice(0, ratings.length);
    yield ratings.map((rating, i) => ({ ...rows[i]!, ...rating }));
  }
}

function toEscalationRecord(
  { studentName, other }: Escalating,
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
