import { reopenDataset } from "../dataset/reopen.ts";
import { stat } from "node:fs/promises";
import { openDataset } from "../dataset/open.ts";
import { conclude, seesOrder } from "../comparison/conclude.ts";
import { messageOf, RunError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge } from "../judge/open.ts";
import { isRated, type ComparisonSummary, type Manifest } from "../run/manifest.ts";
import { readWork } from "../run/progress-file.ts";
import type { Work } from "../run/work.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { describeQuestion } from "../run/describe-question.ts";
import { readFileStates, type FileStates } from "../run/file-states.ts";
import { version } from "../version.ts";
import type {
  ComparisonReport,
  PairDetail,
  PairPage,
  PairQuery,
  RowDetail,
  RowPage,
  RowQuery,
  RunReport,
  ScoreReport,
} from "./contract.ts";
import { describeStages } from "./describe-stages.ts";
import { openReplies, type Replies } from "./find-replies.ts";
import { readPairs, toDetail, type ReadPair } from "./read-pairs.ts";
import { startReading, type RowFigures, type RowReading, type RowSource } from "./read-rows.ts";
import type { IndexedRow } from "./row-index.ts";
import { selectPairs } from "./select-pairs.ts";

export interface OpenRunOptions {
  /** Judges to show beside the run's own; the one it was rated against when left out. None that asks a model. */
  readonly against?: readonly string[];
  /** Rows that arms were trained on, where this run did not select them. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** A run as it is looked at: its figures, and any row or pair of it. Follows the run while it changes. */
export interface OpenRun extends AsyncDisposable {
  /** All figures as they are by now. @throws RunError when the run's folder is gone or its manifest damaged */
  report(): Promise<RunReport>;
  /** Waits until every row was read, or found unreadable. */
  whenRead(): Promise<void>;
  rows(query: RowQuery): Promise<RowPage>;
  row(index: number): Promise<RowDetail | undefined>;
  /** The same rows as `rows`, each in full. */
  wholeRows(query: RowQuery): Promise<readonly RowDetail[]>;
  pairs(query: PairQuery): Promise<PairPage>;
  pair(comparison: string, set: string, id: string): Promise<PairDetail | undefined>;
}

const lookAgainMs = 500; // requests within it are answered from the same look at the files
const rereadShare = 10; // an unfinished rating is read again after this many times as long as reading it took

/** What the run's files say, at one moment. */
interface Look {
  readonly manifest: Manifest | undefined;
  /** Absent when nothing was rated yet. */
  readonly files: FileStates | undefined;
  readonly working: readonly Work[];
  readonly pairs: ReadonlyMap<string, readonly ReadPair[]>;
  readonly problems: readonly string[];
}

/** The rows that are being read, or were. */
interface Rows {
  /** What they were read from; another one is read anew. */
  readonly key: string;
  readonly total: number;
  readonly reading: RowReading;
  figures?: RowFigures;
  problem?: string;
  /** When it was done, and how long it took. */
  finishedAt?: number;
  tookMs?: number;
}

/**
 * Opens a run to look at it.
 *
 * @throws RunError when there is nothing to see: no such folder, no manifest and nothing at work
 * @throws UsageError, DataError when a judge of `against` cannot be opened
 */
export async function openRun(folder: string, options: OpenRunOptions = {}): Promise<OpenRun> {
  const run = runFolder(folder);
  const closing = new AbortController();
  const asked: Judge[] = [];
  for (const name of options.against ?? []) asked.push(await openJudge(name));
  let look: Look | undefined;
  let lookedAt = 0;
  let isLooking: Promise<Look> | undefined;
  let isStarting: Promise<void> | undefined;
  let shown: Rows | undefined;
  let next: Rows | undefined;
  let rowProblem: string | undefined;
  let store: Replies | undefined;

  async function lookAtFiles(): Promise<Look> {
    if (!(await stat(folder).catch(() => undefined)))
      throw new RunError(
        `${folder}: expected a run, found no such folder; rate or compare something first, or name another run with --run DIR`,
      );
    const manifest = await readManifest(run);
    const working = await readWork(run);
    if (!manifest && working.length === 0)
      throw new RunError(
        `${folder}: expected a run with something to show, found neither ratings nor comparisons; start with alpagasus rate DATA --run ${folder}`,
      );
    const isSame = look !== undefined && JSON.stringify(look.manifest) === JSON.stringify(manifest);
    const comparisons = isSame ? { pairs: look!.pairs, problems: look!.problems } : await readComparisons(manifest);
    const files = isRated(manifest) ? await readFileStates(folder, manifest) : undefined;
    return { manifest, working, files, ...comparisons };
  }

  async function readComparisons(manifest: Manifest | undefined): Promise<Pick<Look, "pairs" | "problems">> {
    const pairs = new Map<string, readonly ReadPair[]>();
    const problems: string[] = [];
    for (const [key, comparison] of Object.entries(manifest?.comparisons ?? {})) {
      const read = await readPairs(run, key, comparison);
      pairs.set(key, read.pairs);
      if (read.problem !== undefined) problems.push(read.problem);
    }
    const replies = await findReplies(manifest);
    if (replies.problem !== undefined) problems.push(replies.problem);
    return { pairs, problems };
  }

  /** The store once it is there; looked for again while it is not. */
  async function findReplies(manifest: Manifest | undefined): Promise<Replies> {
    if (store?.isOpen) return store;
    store = await openReplies(run, manifest);
    return store;
  }

  async function refresh(): Promise<Look> {
    if (look && Date.now() - lookedAt < lookAgainMs) return look;
    isLooking ??= lookAtFiles().finally(() => (isLooking = undefined));
    look = await isLooking;
    lookedAt = Date.now();
    isStarting ??= readRows(look).finally(() => (isStarting = undefined));
    await isStarting;
    return look;
  }

  /** Starts to read rows that are not being read yet. */
  async function readRows({ manifest, working, files }: Look): Promise<void> {
    const rating = working.find((work) => work.rating !== undefined);
    const latest = next ?? shown;
    if (latest && latest.finishedAt === undefined && latest.problem === undefined) return;
    const rated = isRated(manifest) ? manifest : undefined;
    if (!rating?.rating && !rated) return;
    const usable = (files?.arms ?? []).filter(({ isStale, state }) => !isStale && state !== "missing");
    const key = rating?.rating
      ? `${rating.rating.ratingsPath} ${rating.done}`
      : JSON.stringify([rated!.rate.ratingsHash, usable.map(({ arm, startedAt }) => [arm, startedAt])]);
    if (latest?.key === key) return;
    const isEarly =
      rating !== undefined && Date.now() - (latest?.finishedAt ?? 0) < rereadShare * (latest?.tookMs ?? 0);
    if (isEarly) return;
    try {
      const source: RowSource = rating?.rating
        ? {
            run,
            dataset: await openDataset(
              rating.rating.source,
              rating.rating.map ? { map: rating.rating.map } : { shape: rating.rating.shape },
            ),
            ratings: { unfinished: rating.rating.ratingsPath },
            arms: [],
            references: [],
            signal: closing.signal,
          }
        : {
            run,
            dataset: await reopenDataset(rated!.dataset, closing.signal),
            ratings: { hash: rated!.rate.ratingsHash },
            arms: usable,
            references: await openReferences(rated!),
            signal: closing.signal,
          };
      const total = rating ? (rating.total ?? rating.done) : rated!.dataset.rows;
      begin({ key, total, reading: await startReading(source) });
      rowProblem = undefined;
    } catch (error) {
      rowProblem = `the rows cannot be shown: ${messageOf(error)}`;
    }
  }

  /** Shows rows while they are read, unless there are others that are complete. */
  function begin(rows: Rows): void {
    const startedAt = Date.now();
    if (shown?.finishedAt === undefined) {
      void shown?.reading[Symbol.asyncDispose]();
      shown = rows;
    } else next = rows;
    rows.reading.figures
      .then((figures) => (rows.figures = figures))
      .catch((error: unknown) => (rows.problem = `the rows cannot be shown: ${messageOf(error)}`))
      .finally(() => {
        rows.finishedAt = Date.now();
        rows.tookMs = Date.now() - startedAt;
        if (next !== rows) return;
        void shown?.reading[Symbol.asyncDispose]();
        shown = rows;
        next = undefined;
      });
  }

  async function openReferences(manifest: Manifest): Promise<Judge[]> {
    if (options.against) return asked;
    const name = manifest.rate?.agreement?.reference;
    if (name === undefined) return [];
    const judge = await openJudge(name).catch(() => undefined); // gone since: its agreement is still in the manifest
    return judge ? [judge] : [];
  }

  return {
    async report() {
      const { manifest, working, files, problems } = await refresh();
      const rows = shown;
      const rowProblems = [rowProblem, rows?.problem].filter((problem) => problem !== undefined);
      const scores = describeScores(manifest, working, rows?.figures);
      return {
        version: 1,
        alpagasus: version,
        run: folder,
        madeAt: new Date().toISOString(),
        ...(manifest?.dataset && { dataset: manifest.dataset }),
        ...(scores && { scores }),
        arms: files?.arms ?? [],
        comparisons: Object.entries(manifest?.comparisons ?? {}).map(([key, comparison]) =>
          describeComparison(key, comparison, manifest!, options.sizes),
        ),
        stages: manifest ? describeStages(manifest) : [],
        problems: [...describeFiles(manifest, files), ...rowProblems, ...problems],
        working,
        rows: {
          read: rows?.reading.read ?? 0,
          total: rows?.total ?? manifest?.dataset?.rows ?? 0,
          isReady: rows?.figures !== undefined,
        },
      };
    },
    async whenRead() {
      await refresh();
      await (next ?? shown)?.reading.figures.catch(() => {});
    },
    async rows(query) {
      await refresh();
      if (!shown) return { total: 0, searched: 0, rows: [] };
      return { ...(await shown.reading.index.find(query)), searched: shown.reading.read };
    },
    async row(index) {
      const { manifest } = await refresh();
      const found = await shown?.reading.index.get(index);
      return found && withReply(found, await findReplies(manifest));
    },
    async wholeRows(query) {
      const { manifest } = await refresh();
      const found = (await shown?.reading.index.findWhole(query)) ?? [];
      const replies = await findReplies(manifest);
      return found.map((row) => withReply(row, replies));
    },
    async pairs(query) {
      const { pairs } = await refresh();
      return selectPairs([...pairs.values()].flat(), query);
    },
    async pair(comparison, set, id) {
      const { pairs, manifest } = await refresh();
      const found = pairs.get(comparison)?.find(({ line }) => line.set === set && line.id === id);
      if (!found) return undefined;
      const replies = await findReplies(manifest);
      return toDetail(found, replies);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      store?.[Symbol.dispose]();
      await isStarting;
      for (const rows of [shown, next]) await rows?.reading[Symbol.asyncDispose]();
    },
  };
}

function withReply({ call, ...detail }: IndexedRow, replies: Replies): RowDetail {
  return call === undefined ? detail : { ...detail, said: replies.find(call) ?? { reply: null, call } };
}

function describeScores(
  manifest: Manifest | undefined,
  working: readonly Work[],
  figures: RowFigures | undefined,
): ScoreReport | undefined {
  const rating = working.find((work) => work.rating !== undefined)?.rating;
  if (rating) {
    if (!figures) return undefined;
    const rows = figures.thresholds.total.rows;
    const scored = figures.states["scored"] ?? 0;
    return {
      judge: rating.judge,
      ...(rating.scale && { scale: rating.scale }),
      states: figures.states,
      coverage: rows > 0 ? scored / rows : 0,
      mean: figures.mean,
      histogram: [...figures.histogram],
      notes: [],
      alarms: [],
      rows,
      gates: [],
      isPartial: true,
      thresholds: figures.thresholds,
      references: [],
    };
  }
  if (!isRated(manifest)) return undefined;
  const { judge, scale, states, coverage, mean, histogram, notes, alarms, gates, question } = manifest.rate;
  const full = Object.values(manifest.arms)
    .map((arm) => arm.full)
    .find((whole) => whole?.trainingMinutes !== undefined || whole?.trainingUsd !== undefined);
  return {
    judge,
    ...(scale && { scale }),
    states,
    coverage,
    mean,
    histogram,
    notes,
    alarms,
    gates,
    rows: manifest.dataset.rows,
    ...(question && { question: describeQuestion(question) }),
    isPartial: false,
    ...(figures && {
      thresholds: {
        ...figures.thresholds,
        ...(full?.trainingMinutes !== undefined && { fullMinutes: full.trainingMinutes }),
        ...(full?.trainingUsd !== undefined && { fullUsd: full.trainingUsd }),
      },
    }),
    references: figures?.references ?? [],
  };
}

function describeComparison(
  key: string,
  comparison: ComparisonSummary,
  { arms, dataset }: Manifest,
  sizes: Readonly<Record<string, number>> = {},
): ComparisonReport {
  const sizeOf = (arm: string) => sizes[arm] ?? arms[arm]?.rows ?? (arm === "full" ? dataset?.rows : undefined);
  const [a, b] = [sizeOf(comparison.a), sizeOf(comparison.b)];
  return {
    ...comparison,
    key,
    sentence: conclude(comparison),
    sizes: { ...(a !== undefined && { a }), ...(b !== undefined && { b }) },
    seesOrder: seesOrder(comparison),
  };
}

/** Files of the run that are not what its manifest says. */
function describeFiles(manifest: Manifest | undefined, files: FileStates | undefined): string[] {
  if (!files || !manifest?.dataset) return [];
  const { dataset, ratings, arms } = files;
  const problems: string[] = [];
  if (dataset !== "present") problems.push(`${manifest.dataset.source}: the data is ${dataset} since it was rated`);
  if (ratings !== "present") problems.push(`ratings.jsonl: the ratings are ${ratings}`);
  for (const { arm, path, state, isStale } of arms) {
    if (state !== "present") problems.push(`${path}: the arm ${arm} is ${state}`);
    else if (isStale) problems.push(`${path}: the arm ${arm} is of older ratings or other data; select it again`);
  }
  return problems;
}
