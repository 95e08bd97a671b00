import { histogramOf } from "../stats/histogram.ts";
import { setImmediate } from "node:timers/promises";
import { type Example, hashExample } from "../dataset/example.ts";
import { type RatedExample, pairWithRatings } from "../dataset/rated-rows.ts";
import { UsageError, messageOf } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { type RatingLine, readRatings } from "../run/ratings-file.ts";
import type { ReferenceReport } from "./contract.ts";
import { Fates } from "./fates.ts";
import { type InTurn, type RowSource, batchesPerTurn, inTurn } from "./in-turn.ts";
import {
  type RowFigures,
  describeReference,
  meanOf,
  measureDisagreement,
  rateWith,
  readScores,
} from "./row-figures.ts";
import { type RowIndex, openRowIndex } from "./row-index.ts";
import { measureAgreements, OverlapTally } from "./several-scores.ts";
import { ThresholdTally } from "./threshold-table.ts";

export interface RowReading extends AsyncDisposable {
  /** Usable at once; rows appear in it as they are read. */
  readonly index: RowIndex;
  /** How many rows are in the index so far. */
  readonly read: number;
  /** Rejects if the rows cannot be read or are not those that were rated. */
  readonly figures: Promise<RowFigures>;
}

const rowsPerFlush = 20_000;

/** Starts reading a run's rows into an index. Rows read so far can already be searched. */
export async function startReading(source: RowSource): Promise<RowReading> {
  const { references, arms, signal } = source;
  const index = await openRowIndex(
    references.length,
    arms.map(({ arm }) => arm),
  );
  const stopping = new AbortController();
  const progress = { read: 0 };
  const work = readAll({ ...source, signal: AbortSignal.any([signal, stopping.signal]) }, index, progress);
  work.catch(() => {}); // callers get the error from `figures`
  return {
    index,
    figures: work,
    get read() {
      return progress.read;
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await work.catch(() => {});
      await index[Symbol.asyncDispose]();
    },
  };
}

async function readAll(source: RowSource, index: RowIndex, progress: { read: number }): Promise<RowFigures> {
  const { signal } = source;
  const own = await readScores(ratingLines(source), signal);
  const problems: string[] = [];
  const others = await rateWithReferences(source, own.length, problems);
  const disagreements: Float64Array[] = [];
  for (const { scores } of others) {
    disagreements.push(measureDisagreement(own, scores));
    await setImmediate();
  }
  const bins = histogramOf(own);
  const tally = new ThresholdTally(
    bins,
    source.arms.flatMap(({ cut }) => cut ?? []),
  );
  const fates = await Fates.open(source, problems);
  const overlaps = new OverlapTally(source.arms.map(({ arm }) => arm));
  const states: Record<string, number> = {};
  let unseen = 0;
  let batches = 0;
  try {
    for await (const batch of ratedExamples(source)) {
      signal.throwIfAborted();
      for (const { example, rating } of batch) {
        const { index: row } = example;
        const next = fates.next();
        const rowReasons = next instanceof Promise ? await next : next;
        overlaps.add(rowReasons);
        states[rating.state] = (states[rating.state] ?? 0) + 1;
        tally.add(example, rating.state === "scored" ? rating.score : undefined);
        index.add({
          example,
          rating,
          references: others.map(({ scores }) => scores[row] ?? NaN),
          disagreements: disagreements.map((rankDistances) => rankDistances[row] ?? NaN),
          fates: rowReasons,
        });
      }
      unseen += batch.length;
      if (++batches % batchesPerTurn === 0) await setImmediate(); // lets pending requests run
      if (unseen < rowsPerFlush) continue;
      progress.read += unseen;
      unseen = 0;
      index.flush();
    }
  } finally {
    await fates.close();
  }
  index.flush();
  progress.read += unseen;
  const references: ReferenceReport[] = [];
  for (const { judge, scores } of others) {
    references.push(describeReference(judge, own, bins, scores));
    await setImmediate();
  }
  const hasFurther = others.some(({ judge }) => source.furtherScores?.has(judge.name));
  return {
    thresholds: tally.describe(),
    histogram: bins,
    states,
    mean: meanOf(own),
    references,
    agreements: hasFurther
      ? measureAgreements([
          { name: "score", scores: own },
          ...others.map(({ judge, scores }) => ({ name: judge.name, scores })),
        ])
      : [],
    overlaps: overlaps.describe(fates.known),
    problems,
  };
}

/** @throws UsageError if a judge that the user asked for does not fit; other judges add to `problems` instead */
async function rateWithReferences(
  { references, areReferencesAsked, dataset, signal }: RowSource,
  rows: number,
  problems: string[],
): Promise<{ judge: Judge; scores: Float64Array }[]> {
  const rated: { judge: Judge; scores: Float64Array }[] = [];
  for (const judge of references) {
    try {
      rated.push({ judge, scores: await rateWith(judge, dataset, rows, signal) });
    } catch (error) {
      if (areReferencesAsked || !(error instanceof UsageError)) throw error;
      problems.push(messageOf(error));
      rated.push({ judge, scores: new Float64Array(rows).fill(NaN) }); // the rows have its column all the same
    }
  }
  return rated;
}

function ratingLines({ run, ratings }: RowSource): AsyncIterable<readonly RatingLine[]> {
  return "hash" in ratings
    ? readRatings(run.ratingsPath, ratings.hash)
    : readRatings(ratings.unfinished, undefined, { isUnfinished: true });
}

/** Every row with its rating; if rating is unfinished, only the rows rated so far. */
function ratedExamples(source: RowSource): AsyncIterable<readonly RatedExample[]> {
  const { dataset, run, ratings } = source;
  if ("hash" in ratings) return pairWithRatings(dataset.batches(), run, ratings.hash);
  return pairSoFar(dataset.batches(), inTurn(ratingLines(source)));
}

async function* pairSoFar(
  examples: AsyncIterable<readonly Example[]>,
  ratings: InTurn<RatingLine>,
): AsyncGenerator<readonly RatedExample[]> {
  try {
    for await (const batch of examples) {
      const pairs: RatedExample[] = [];
      for (const example of batch) {
        const rating = await ratings.next();
        if (!rating || rating.hash !== hashExample(example)) {
          yield pairs;
          return;
        }
        pairs.push({ example, rating });
      }
      yield pairs;
    }
  } finally {
    await ratings.close();
  }
}
