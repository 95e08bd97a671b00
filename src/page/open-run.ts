import { onJudgesScale } from "../run/records/arm.ts";
import { stat } from "node:fs/promises";
import { RunError, UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge } from "../judge/open.ts";
import { readFileStates, type FileStates } from "../run/file-states.ts";
import { isRated, type Manifest } from "../run/manifest.ts";
import { readWork } from "../run/progress-file.ts";
import { spentOnCalls } from "../run/spent.ts";
import { readManifest, runFolder, type RunFolder } from "../run/run-folder.ts";
import { shellWord } from "../shell-word.ts";
import type { Work } from "../run/work.ts";
import { version } from "../version.ts";
import type { PairDetail, PairPage, PairQuery, RowDetail, RowPage, RowQuery, RunReport } from "./contract.ts";
import { adjustComparisons } from "../comparison/adjust.ts";
import { findRankings, type Ranking } from "../comparison/ranking.ts";
import { describeComparison, describeFiles, describeScores, missingReference } from "./describe-run.ts";
import { describeStages } from "./describe-stages.ts";
import { openReplies, type Replies } from "./find-replies.ts";
import { createRowFollower } from "./follow-rows.ts";
import { withPeople, labelState, summariseAllLabels, type LabelsSummary } from "./people-labels.ts";
import { describeHead } from "./head.ts";
import { readPairs, toDetail, type ReadPair } from "./read-pairs.ts";
import type { IndexedRow } from "./row-index.ts";
import { selectPairs } from "./select-pairs.ts";
import { scoreJudges } from "./several-scores.ts";

export interface OpenRunOptions {
  /** Judges to compare with the run's own, none of which calls a model; by default the one it was rated against. */
  readonly against?: readonly string[] | undefined;
  /** How many rows each arm was trained on, for arms that this run did not select. */
  readonly sizes?: Readonly<Record<string, number>> | undefined;
  /** Whether to read the files again while the run changes; otherwise everything stays as first read. */
  readonly isFollowing?: boolean | undefined;
  /** The page's title; by default the run's folder. */
  readonly title?: string | undefined;
  /** The command the user typed, so that others can repeat it. */
  readonly command?: string | undefined;
}

/** An open run: its figures, and any of its rows and pairs. Follows the run's changes if `isFollowing` is set. */
export interface OpenRun extends AsyncDisposable {
  /** All current figures. @throws RunError if the run's folder is gone or its manifest is damaged */
  report(): Promise<RunReport>;
  /** Waits until all rows are read or reading fails. @throws UsageError if a judge of `against` does not fit the data */
  whenRead(): Promise<void>;
  rows(query: RowQuery): Promise<RowPage>;
  row(index: number): Promise<RowDetail | undefined>;
  /** The same rows as `rows`, each in full. */
  wholeRows(query: RowQuery): Promise<readonly RowDetail[]>;
  pairs(query: PairQuery): Promise<PairPage>;
  pair(comparison: string, set: string, id: string): Promise<PairDetail | undefined>;
}

const snapshotLifetimeMs = 500; // requests within this time share one reading of the files

/** Snapshot of the run's files. */
interface Snapshot {
  readonly manifest: Manifest | undefined;
  /** Absent if nothing has been rated yet. */
  readonly files: FileStates | undefined;
  readonly working: readonly Work[];
  readonly pairs: ReadonlyMap<string, readonly ReadPair[]>;
  readonly rankings: readonly Ranking[];
  readonly problems: readonly string[];
}

/**
 * Opens a run to show it. Its files are read on the first request, which throws a RunError if there is nothing to show: no
 * such folder, or no manifest and no stage in progress.
 *
 * @throws UsageError, DataError if a judge of `against` cannot be opened
 */
export async function openRun(folder: string, options: OpenRunOptions = {}): Promise<OpenRun> {
  const run = runFolder(folder);
  const against: Judge[] = [];
  for (const name of options.against ?? []) against.push(await openJudge(name, { option: "--against" }));
  const rows = createRowFollower(run, options.against ? { against } : {});
  let labelled:
    | { readonly state: string; readonly manifest: Manifest | undefined; readonly summaries: readonly LabelsSummary[] }
    | undefined;
  let snapshot: Snapshot | undefined;
  let snapshotAt = 0;
  let pendingSnapshot: Promise<Snapshot> | undefined;
  let store: Replies | undefined;
  let isClosed = false;

  async function readSnapshot(): Promise<Snapshot> {
    if (!(await stat(folder).catch(() => undefined)))
      throw new RunError(
        `${folder}: expected a run, found no such folder; rate or compare something first, or name another run with --run DIR`,
      );
    const working = await readWork(run); // first: a stage that ends writes the manifest before it takes its progress away
    const manifest = await readManifest(run);
    if (!manifest && working.length === 0)
      throw new RunError(
        `${folder}: expected a run with something to show, found neither ratings nor comparisons; start with alpagasus rate DATA --run ${shellWord(folder)}`,
      );
    const isSame =
      snapshot !== undefined &&
      snapshot.problems.length === 0 && // a problem may have been fixed since
      JSON.stringify(snapshot.manifest) === JSON.stringify(manifest);
    const comparisons = isSame
      ? { pairs: snapshot!.pairs, rankings: snapshot!.rankings, problems: snapshot!.problems }
      : await readComparisons(manifest);
    const files = isRated(manifest) ? await readFileStates(folder, manifest) : undefined;
    return { manifest, working, files, ...comparisons };
  }

  async function readComparisons(
    manifest: Manifest | undefined,
  ): Promise<Pick<Snapshot, "pairs" | "rankings" | "problems">> {
    const pairs = new Map<string, readonly ReadPair[]>();
    const problems: string[] = [];
    for (const [key, comparison] of Object.entries(manifest?.comparisons ?? {})) {
      const read = await readPairs(run, key, comparison);
      pairs.set(key, read.pairs);
      if (read.problem !== undefined) problems.push(read.problem);
    }
    const replies = await findReplies(manifest);
    if (replies.problem !== undefined) problems.push(replies.problem);
    const rankings = findRankings(
      Object.entries(manifest?.comparisons ?? {}).map(([key, summary]) => ({
        summary,
        verdicts: pairs.get(key)!.map(({ verdict }) => verdict),
      })),
    );
    return { pairs, rankings, problems };
  }

  /** What people say; read again when their files have grown. */
  async function readPeople(manifest: Manifest | undefined): Promise<readonly LabelsSummary[]> {
    const state = await labelState(run);
    if (state === "") return [];
    if (labelled?.state !== state || labelled.manifest !== manifest)
      labelled = { state, manifest, summaries: await summariseAllLabels(run) };
    return labelled.summaries;
  }

  /** The open call store; tries to open it again while it is missing. */
  async function findReplies(manifest: Manifest | undefined): Promise<Replies> {
    if (store && (store.isOpen || isClosed)) return store;
    store = await openReplies(run, manifest);
    return store;
  }

  async function refresh(): Promise<Snapshot> {
    if (snapshot && (!options.isFollowing || isClosed || Date.now() - snapshotAt < snapshotLifetimeMs)) return snapshot;
    pendingSnapshot ??= readSnapshot().finally(() => (pendingSnapshot = undefined));
    snapshot = await pendingSnapshot;
    snapshotAt = Date.now();
    await rows.follow(snapshot);
    return snapshot;
  }

  return {
    async report() {
      const { manifest, working, files, rankings, problems } = await refresh();
      const { shown } = rows;
      checkSizes(options.sizes, manifest);
      const scores = describeScores(manifest, working, shown);
      const spent = await spentOnCalls(run, manifest);
      const people = await readPeople(manifest);
      const comparisons = adjustComparisons(
        Object.entries(manifest?.comparisons ?? {}).map(([key, comparison]) => ({
          key,
          ...withPeople(people, comparison),
        })),
      ).map(({ key, ...comparison }) => describeComparison(key, comparison, manifest!, options.sizes));
      return {
        version: 1,
        alpagasus: version,
        run: folder,
        title: options.title,
        command: options.command,
        madeAt: new Date().toISOString(),
        head: describeHead(manifest, scores, comparisons, people),
        ...(manifest?.dataset && { dataset: manifest.dataset }),
        scores,
        arms: (files?.arms ?? []).map(onJudgesScale),
        agreements: (scores?.isPartial === false && shown?.figures?.agreements) || [],
        overlaps: shown?.figures?.overlaps ?? [],
        losses: Object.values(manifest?.losses ?? {}),
        benchmarks: Object.values(manifest?.benchmarks ?? {}),
        ...(manifest?.experiment && { experiment: manifest.experiment }),
        comparisons,
        rankings,
        people,
        stages: manifest ? describeStages(manifest, run) : [],
        ...(spent && {
          money: {
            paidUsd: spent.paidUsd,
            perhapsPaidUsd: spent.perhapsPaidUsd,
            unpricedCalls: spent.unpricedCalls,
          },
        }),
        problems: [
          ...describeFiles(manifest, files),
          ...[rows.problem, shown?.problem].filter((problem) => problem !== undefined),
          ...(shown?.figures?.problems ?? []),
          ...missingReference(manifest, scores),
          ...leftOutScores(manifest, run),
          ...problems,
        ],
        working,
        rows: {
          read: shown?.reading.read ?? 0,
          total: shown?.total ?? manifest?.dataset?.rows ?? 0,
          isReady: scores?.thresholds !== undefined && !scores.isPartial,
          revision: `${shown?.key ?? ""} ${shown?.figures === undefined ? (shown?.reading.read ?? 0) : "all"}`,
          isReading: shown !== undefined && shown.figures === undefined && shown.problem === undefined,
        },
      };
    },
    async whenRead() {
      await refresh();
      await rows.whenRead();
    },
    async rows(query) {
      await refresh();
      const { shown } = rows;
      if (!shown) return { total: 0, searched: 0, rows: [] };
      return { ...(await shown.reading.index.find(query)), searched: shown.reading.read };
    },
    async row(index) {
      const { manifest } = await refresh();
      const found = await rows.shown?.reading.index.get(index);
      return found && withReply(found, await findReplies(manifest));
    },
    async wholeRows(query) {
      const { manifest } = await refresh();
      const found = (await rows.shown?.reading.index.findWhole(query)) ?? [];
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
      return found && toDetail(found, await findReplies(manifest));
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await pendingSnapshot?.catch(() => {});
      store?.[Symbol.dispose]();
      await rows[Symbol.asyncDispose]();
    },
  };
}

function leftOutScores(manifest: Manifest | undefined, run: RunFolder): string[] {
  const leftOut = isRated(manifest) ? scoreJudges(manifest, run).leftOut : 0;
  return leftOut > 0 ? [`${leftOut} further scores are not shown here; alpagasus status lists all`] : [];
}

/** @throws UsageError if a size is given for an unknown arm */
function checkSizes(sizes: OpenRunOptions["sizes"] = {}, manifest: Manifest | undefined): void {
  const known = new Set([
    ...Object.keys(manifest?.arms ?? {}),
    ...Object.values(manifest?.comparisons ?? {}).flatMap(({ a, b }) => [a, b]),
  ]);
  const unknown = Object.keys(sizes).find((arm) => !known.has(arm));
  if (unknown !== undefined)
    throw new UsageError(
      `--size: expected an arm of this run (${[...known].join(", ") || "it has none"}), got ${JSON.stringify(unknown)}`,
    );
}

function withReply({ call, ...detail }: IndexedRow, replies: Replies): RowDetail {
  return call === undefined ? detail : { ...detail, said: replies.find(call) ?? { reply: null, call } };
}
