import { onJudgesScale } from "../run/records/arm.ts";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { reopenDataset } from "../dataset/reopen.ts";
import { messageOf, UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge } from "../judge/open.ts";
import type { FileStates } from "../run/file-states.ts";
import { isRated, type Manifest, type RatedManifest } from "../run/manifest.ts";
import type { RunFolder } from "../run/run-folder.ts";
import type { Work } from "../run/work.ts";
import { startReading, type RowReading } from "./read-rows.ts";
import type { RowSource } from "./in-turn.ts";
import type { RowFigures } from "./row-figures.ts";
import { scoreJudges } from "./several-scores.ts";

/** Snapshot of the files that determine a run's rows. */
interface RunSnapshot {
  readonly manifest: Manifest | undefined;
  readonly files: FileStates | undefined;
  readonly working: readonly Work[];
}

/** A set of rows that is being read or has been read. */
export interface FollowedRows {
  /** Identifies what the rows are read from. */
  readonly key: string;
  readonly reading: RowReading;
  /** How many rows there are to read. */
  readonly total: number;
  /** Whether they belong to a rating still in progress. */
  readonly isPartial: boolean;
  /** Hash of the finished ratings that the rows have. */
  readonly ratingsHash?: string | undefined;
  /** Present once all rows are read. */
  readonly figures?: RowFigures | undefined;
  /** Why reading failed. */
  readonly problem?: string | undefined;
}

/** Reads a run's rows, and reads them again when they change. */
export interface RowFollower extends AsyncDisposable {
  follow(now: RunSnapshot): Promise<void>;
  readonly shown: FollowedRows | undefined;
  /** Why the latest rows could not be read. */
  readonly problem: string | undefined;
  /** Waits until all rows are read or reading fails. @throws UsageError if a judge of `against` does not fit the data */
  whenRead(): Promise<void>;
}

interface FollowOptions {
  /** Judges to compare with the run's own; by default the one it was rated against. */
  readonly against?: readonly Judge[] | undefined;
}

interface ReadRows extends FollowedRows {
  figures?: RowFigures | undefined;
  problem?: string | undefined;
  finishedAt?: number | undefined;
  tookMs?: number | undefined;
}

/** Rows to read that are not opened yet. */
interface Wanted {
  readonly key: string;
  readonly total: number;
  readonly isPartial: boolean;
  readonly ratingsHash?: string | undefined;
  readonly open: (signal: AbortSignal) => Promise<RowSource>;
}

const rereadWaitFactor = 10; // waits this many times the last reading's duration before reading an unfinished rating again

export function createRowFollower(run: RunFolder, { against }: FollowOptions = {}): RowFollower {
  const closing = new AbortController();
  let shown: ReadRows | undefined;
  let next: ReadRows | undefined;
  let lastFailure: { readonly key: string; readonly problem: string } | undefined;
  let following: Promise<void> = Promise.resolve();

  async function read(wanted: Wanted): Promise<void> {
    const startedAt = Date.now();
    const { open, ...about } = wanted;
    let rows: ReadRows;
    try {
      rows = { ...about, reading: await startReading(await open(closing.signal)) };
      lastFailure = undefined;
    } catch (error) {
      lastFailure = { key: wanted.key, problem: describeReadError(error) };
      return;
    }
    if (shown && shown.finishedAt !== undefined) next = rows;
    else shown = rows; // shown while they are read, unless other rows are already shown in full
    rows.reading.figures
      .then((figures) => (rows.figures = figures))
      .catch((error: unknown) => (rows.problem = describeReadError(error)))
      .finally(() => {
        rows.finishedAt = Date.now();
        rows.tookMs = rows.finishedAt - startedAt;
        if (next === rows) showNext(rows);
      });
  }

  /** Shows the rows that were read in the background; if reading them failed, keeps the rows shown. */
  function showNext(rows: ReadRows): void {
    next = undefined;
    const discarded = rows.problem === undefined ? shown : rows;
    if (rows.problem === undefined) shown = rows;
    else lastFailure = { key: rows.key, problem: rows.problem };
    Promise.resolve(discarded?.reading[Symbol.asyncDispose]()).catch(() => {}); // no longer shown
  }

  async function followNow(now: RunSnapshot): Promise<void> {
    const wanted = findWanted(run, now, against);
    const latest = next ?? shown;
    if (!wanted || latest?.key === wanted.key || lastFailure?.key === wanted.key) return;
    if (latest && latest.finishedAt === undefined) return; // one reading at a time
    const isEarly =
      wanted.isPartial && latest?.isPartial && Date.now() - latest.finishedAt! < rereadWaitFactor * latest.tookMs!;
    if (!isEarly) await read(wanted);
  }

  return {
    get shown() {
      return shown;
    },
    get problem() {
      return lastFailure?.problem;
    },
    follow(now) {
      following = following.then(() => (closing.signal.aborted ? undefined : followNow(now)));
      return following;
    },
    async whenRead() {
      await (next ?? shown)?.reading.figures.catch((error: unknown) => {
        if (error instanceof UsageError) throw error;
      });
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await following;
      for (const rows of [shown, next]) await rows?.reading[Symbol.asyncDispose]();
    },
  };
}

function describeReadError(error: unknown): string {
  return `the rows cannot be shown: ${messageOf(error)}`;
}

/** The rows to read: those of a rating in progress, else those of the finished one. */
function findWanted(
  run: RunFolder,
  { manifest, files, working }: RunSnapshot,
  against: FollowOptions["against"],
): Wanted | undefined {
  const work = working.find(({ rating }) => rating !== undefined);
  if (work?.rating && existsSync(join(run.folder, basename(work.rating.ratingsPath))))
    return partialRows(run, work, work.rating);
  return isRated(manifest) && files ? finishedRows(run, manifest, files, against) : undefined;
}

function partialRows(run: RunFolder, { done, total, startedAt }: Work, rating: NonNullable<Work["rating"]>): Wanted {
  return {
    key: `${startedAt} ${done}`,
    total: total ?? done,
    isPartial: true,
    open: async (signal) => ({
      run,
      dataset: await reopenDataset(rating, run, signal),
      ratings: { unfinished: join(run.folder, basename(rating.ratingsPath)) }, // that process may have another working folder
      arms: [],
      references: [],
      areReferencesAsked: false,
      signal,
    }),
  };
}

function finishedRows(
  run: RunFolder,
  manifest: RatedManifest,
  files: FileStates,
  against: FollowOptions["against"],
): Wanted {
  const { dataset, rate } = manifest;
  const arms = files.arms.filter(({ isStale, state }) => !isStale && state !== "missing").map(onJudgesScale);
  return {
    key: JSON.stringify([
      rate.ratingsHash,
      Object.entries(manifest.scores ?? {}).map(([name, { ratingsHash }]) => [name, ratingsHash]),
      files.dataset,
      files.ratings,
      arms.map(({ arm, startedAt }) => [arm, startedAt]),
    ]),
    total: dataset.rows,
    isPartial: false,
    ratingsHash: rate.ratingsHash,
    open: async (signal) => {
      const further = scoreJudges(manifest, run).judges;
      return {
        run,
        dataset: await reopenDataset(dataset, run, signal),
        ratings: { hash: rate.ratingsHash },
        arms,
        references: [...(against ?? (await openReference(manifest))), ...further],
        furtherScores: new Set(further.map(({ name }) => name)),
        areReferencesAsked: against !== undefined,
        signal,
      };
    },
  };
}

/** Opens the judge that the run was rated against, if it is still there. */
async function openReference({ rate }: RatedManifest): Promise<Judge[]> {
  const name = rate.agreement?.reference;
  // if it is gone, the manifest still has the agreement
  const judge = name === undefined ? undefined : await openJudge(name).catch(() => undefined);
  return judge ? [judge] : [];
}
