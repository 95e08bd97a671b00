import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../dataset/open.ts";
import { hashExample, type Example } from "../dataset/example.ts";
import { pairWithRatings, type RatedExample } from "../judge/run.ts";
import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { toAgreementRecord } from "../run/estimate-record.ts";
import { readRatings, type RatingLine } from "../run/ratings-file.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { Decision } from "../selection/decision.ts";
import { readDecisions } from "../selection/decisions-file.ts";
import { measureAgreement, rank } from "../stats/agreement.ts";
import { histogram, histogramOfMany, type Bin } from "../stats/histogram.ts";
import type { ReferenceReport, ThresholdTable } from "./contract.ts";
import { openRowIndex, type RowIndex } from "./row-index.ts";
import { ThresholdTally } from "./threshold-table.ts";

/** Which rows to read. */
export interface RowSource {
  readonly run: RunFolder;
  readonly dataset: Dataset;
  /** The hash of finished ratings, or the file that unfinished ratings are being written to. */
  readonly ratings: { readonly hash: string } | { readonly unfinished: string };
  /** Arms selected from these ratings. */
  readonly arms: readonly { readonly arm: string; readonly cut: number | null }[];
  readonly references: readonly Judge[];
  /** Whether the user asked for these references; one that does not fit the data is then an error. */
  readonly areReferencesAsked: boolean;
  readonly signal: AbortSignal;
}

/** Figures computed while reading all rows. */
export interface RowFigures {
  readonly thresholds: ThresholdTable;
  readonly references: readonly ReferenceReport[];
  /** Histogram of the run's own scores. */
  readonly histogram: readonly Bin[];
  readonly states: Readonly<Record<string, number>>;
  readonly mean: number | null;
  /** What else could not be read, and why. */
  readonly problems: readonly string[];
}

export interface RowReading extends AsyncDisposable {
  /** Usable at once; rows appear in it as they are read. */
  readonly index: RowIndex;
  /** How many rows are in the index so far. */
  readonly read: number;
  /** Rejects if the rows cannot be read or are not those that were rated. */
  readonly figures: Promise<RowFigures>;
}

const flushRows = 20_000;
const batchesPerTurn = 4; // read before other work may run
const fewScores = 20_000; // distinct scores counted one by one; if there are more, they are counted by bin
const mostCompared = 1_000_000; // most rows that agreement is measured on; larger data are thinned evenly

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
  const fates = new Fates(source, problems);
  const states: Record<string, number> = {};
  let unseen = 0;
  let batches = 0;
  try {
    for await (const batch of ratedExamples(source)) {
      signal.throwIfAborted();
      for (const { example, rating } of batch) {
        const { index: row } = example;
        const told = fates.next();
        states[rating.state] = (states[rating.state] ?? 0) + 1;
        tally.add(example, rating.state === "scored" ? rating.score : undefined);
        index.add({
          example,
          rating,
          references: others.map(({ scores }) => scores[row] ?? NaN),
          disagreements: disagreements.map((far) => far[row] ?? NaN),
          fates: told instanceof Promise ? await told : told,
        });
      }
      unseen += batch.length;
      if (++batches % batchesPerTurn === 0) await setImmediate(); // lets pending requests run
      if (unseen < flushRows) continue;
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
  return { thresholds: tally.describe(), histogram: bins, states, mean: meanOf(own), references, problems };
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
    }
  }
  return rated;
}

/** Each arm's decisions, row by row. An arm whose file is damaged adds a problem; its decisions are then undefined. */
class Fates {
  readonly #arms: { readonly arm: string; decisions: InTurn<Decision> | undefined }[];
  readonly #problems: string[];

  constructor({ run, arms }: RowSource, problems: string[]) {
    this.#arms = arms.map(({ arm }) => ({ arm, decisions: inTurn(readDecisions(run.decisionsPath(arm))) }));
    this.#problems = problems;
  }

  /** Each arm's reason for the next row; undefined if the arm has none. */
  next(): (string | undefined)[] | Promise<(string | undefined)[]> {
    const found = this.#arms.map(({ decisions }) => decisions?.next());
    return found.some((decision) => decision instanceof Promise)
      ? this.#waitFor(found)
      : found.map((decision) => (decision as Decision | undefined)?.reason); // none of them is a promise
  }

  async #waitFor(
    found: readonly (Promise<Decision | undefined> | Decision | undefined)[],
  ): Promise<(string | undefined)[]> {
    const reasons: (string | undefined)[] = [];
    for (const [i, decision] of found.entries()) {
      try {
        reasons.push((await decision)?.reason);
      } catch (error) {
        this.#problems.push(`what the arm ${this.#arms[i]!.arm} decided cannot be shown: ${messageOf(error)}`);
        this.#arms[i]!.decisions = undefined;
        reasons.push(undefined);
      }
    }
    return reasons;
  }

  async close(): Promise<void> {
    for (const { decisions } of this.#arms) await decisions?.close();
  }
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

/** Iterates over the items of batches one by one. */
interface InTurn<T> {
  /** Undefined at the end. */
  next(): Promise<T | undefined> | T | undefined;
  close(): Promise<void>;
}

function inTurn<T>(batches: AsyncIterable<readonly T[]>): InTurn<T> {
  const iterator = batches[Symbol.asyncIterator]();
  let batch: readonly T[] = [];
  let at = 0;
  const more = async (): Promise<T | undefined> => {
    while (at === batch.length) {
      const { value, done } = await iterator.next();
      if (done) return undefined;
      batch = value;
      at = 0;
    }
    return batch[at++];
  };
  return {
    next: () => (at < batch.length ? batch[at++] : more()),
    close: async () => void (await iterator.return?.()),
  };
}

async function readScores(lines: AsyncIterable<readonly RatingLine[]>, signal: AbortSignal): Promise<Float64Array> {
  const parts: Float64Array[] = [];
  for await (const batch of lines) {
    signal.throwIfAborted();
    if (parts.length % batchesPerTurn === 0) await setImmediate();
    parts.push(Float64Array.from(batch, (rating) => (rating.state === "scored" ? rating.score : NaN)));
  }
  const scores = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    scores.set(part, at);
    at += part.length;
  }
  return scores;
}

/** The judge's score of each row, NaN if none. @throws UsageError if its scores do not fit the data */
async function rateWith(judge: Judge, dataset: Dataset, rows: number, signal: AbortSignal): Promise<Float64Array> {
  const scores = new Float64Array(rows).fill(NaN);
  let row = 0;
  try {
    for await (const ratings of judge.rate(dataset.batches())) {
      signal.throwIfAborted();
      for (const rating of ratings) {
        if (rating.state === "scored") scores[row] = rating.score;
        row++;
      }
    }
  } catch (cause) {
    if (!(cause instanceof AlpagasusError)) throw cause;
    throw new UsageError(`--against ${judge.name}: its scores are not of this run's data: ${cause.message}`, { cause });
  }
  return scores;
}

/** Distance between two judges' ranks of each row, as a share of the rows both scored; NaN if either has no score. */
function measureDisagreement(own: Float64Array, other: Float64Array): Float64Array {
  const rows = bothScored(own, other);
  const ranks = [own, other].map((scores) => rank(Float64Array.from(rows, (row) => scores[row]!)));
  const far = new Float64Array(own.length).fill(NaN);
  rows.forEach((row, i) => (far[row] = Math.abs(ranks[0]![i]! - ranks[1]![i]!) / rows.length));
  return far;
}

function bothScored(own: Float64Array, other: Float64Array): Uint32Array {
  const rows = new Uint32Array(own.length);
  let count = 0;
  own.forEach((score, row) => {
    if (!Number.isNaN(score) && !Number.isNaN(other[row]!)) rows[count++] = row;
  });
  return rows.subarray(0, count);
}

function histogramOf(scores: Float64Array): readonly Bin[] {
  const counts = new Map<number, number>();
  for (const score of scores) {
    if (Number.isNaN(score)) continue;
    counts.set(score, (counts.get(score) ?? 0) + 1);
    if (counts.size > fewScores) return histogramOfMany(scores);
  }
  return histogram(counts);
}

function meanOf(scores: Float64Array): number | null {
  let [sum, count] = [0, 0];
  for (const score of scores) {
    if (Number.isNaN(score)) continue;
    sum += score;
    count++;
  }
  return count > 0 ? sum / count : null;
}

function describeReference(
  { name }: Judge,
  own: Float64Array,
  ownBins: readonly Bin[],
  reference: Float64Array,
): ReferenceReport {
  const rows = bothScored(own, reference);
  const [ownScores, referenceScores] = [own, reference].map((scores) =>
    Float64Array.from(rows, (row) => scores[row]!),
  ) as [Float64Array, Float64Array]; // map keeps the length
  const bins = histogramOf(reference);
  const counts = bins.map(() => ownBins.map(() => 0));
  if (ownBins.length > 0)
    ownScores.forEach((score, i) => counts[binOf(bins, referenceScores[i]!)]![binOf(ownBins, score)]!++);
  return {
    name,
    scored: reference.reduce((sum, score) => sum + (Number.isNaN(score) ? 0 : 1), 0),
    mean: meanOf(reference),
    histogram: bins,
    agreement: toAgreementRecord(name, measureAgreement(everySoMany(ownScores), everySoMany(referenceScores))),
    grid: { own: ownBins, reference: bins, counts },
  };
}

/** Thins many scores, since sorting all would take too long: keeps every second, third, … of them. */
function everySoMany(scores: Float64Array): Float64Array {
  const step = Math.ceil(scores.length / mostCompared);
  return step <= 1 ? scores : scores.filter((_, i) => i % step === 0);
}

/** Index of the last bin that begins at or below the score. */
function binOf(bins: readonly Bin[], score: number): number {
  let i = bins.length - 1;
  while (i > 0 && bins[i]!.from > score + 1e-9) i--;
  return i;
}
