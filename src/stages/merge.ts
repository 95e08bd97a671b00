import { isAbsolute, relative, resolve } from "node:path";
import { defaultStorePath } from "../llm/call-store.ts";
import { StoreMerge } from "../llm/merge-stores.ts";
import { reopenDataset } from "../dataset/reopen.ts";
import type { Dataset } from "../dataset/dataset.ts";
import { RunError, UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { isRated, type RatedManifest } from "../run/manifest.ts";
import { realFolder } from "../run/recorded-path.ts";
import { readRatings, type RatingLine } from "../run/ratings-file.ts";
import type { CallsRecord } from "../run/records/common.ts";
import type { DatasetRecord } from "../run/records/dataset.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { extendManifest, openPurse, readManifest, readPurse, runFolder, type RunFolder } from "../run/run-folder.ts";
import type { StageOptions } from "./progress.ts";
import { hashRows } from "./rate-checks.ts";
import { rate } from "./rate.ts";
import { isOfRows } from "./rating-tally.ts";
import { wantsRetry } from "./next-step.ts";
import { sharedAlarms, worstChecks } from "./shards-said.ts";

export interface MergeOptions extends StageOptions {
  /** The run that the shards become. */
  readonly run: string;
  /** The shards' runs, in any order. */
  readonly shards: readonly string[];
  /** The call store that their replies go to. */
  readonly store?: string | undefined;
  readonly minCoverage?: number | undefined;
  /** The largest share of rows that cannot be read, as in `rate`. */
  readonly maxUnreadable?: number | undefined;
  /** Replace the ratings that the run has. */
  readonly overwrite?: boolean | undefined;
}

export interface MergeSummary {
  readonly rate: RateSummary;
  /** Further scores, by their names. */
  readonly scores: readonly string[];
  /** Replies that came into the store. */
  readonly replies: number;
}

interface ShardRun {
  readonly run: RunFolder;
  readonly manifest: RatedManifest;
  readonly index: number;
}

/**
 * Puts the shards of a rating (rate --shard) together as one run: ratings and further scores are byte for byte what one machine would have
 * written, replies go to one store, and what was paid is added up.
 *
 * @throws RunError when a run is no shard, one is missing or there twice, or they are of other data or by other judges
 */
export async function merge(options: MergeOptions): Promise<MergeSummary> {
  const { store = defaultStorePath, ...stage } = options;
  const run = runFolder(options.run);
  const itself = options.shards.find((folder) => resolve(folder) === resolve(options.run));
  if (itself !== undefined)
    throw new UsageError(
      `${itself}: expected another run for what the shards become, got one of them; name one with --run DIR`,
    );
  const shards = await readShards(options);
  const before = await readManifest(run);
  if (before?.rate && !options.overwrite)
    throw new RunError(
      `${options.run}: expected a run without ratings, found some; name another with --run DIR, or replace them with --overwrite`,
    );
  const first = shards[0]!;
  const reopened = await reopenDataset(first.manifest.dataset, first.run, options.signal);
  const dataset = seenFromHere(reopened, first.manifest.dataset);
  if ((await hashRows(dataset)) !== first.manifest.dataset.hash)
    throw new RunError(
      `${dataset.source}: expected the rows that were rated, got others (edited or moved since); put back the data that the shards were made of`,
    );
  const replies = await mergeReplies(run, shards, store);
  const rateAs = (as: string | undefined) =>
    rate(dataset, {
      ...stage,
      judge: replay(shards, as),
      overwrite: options.overwrite,
      ...(as !== undefined && { as }),
    });
  const summaryOf = ({ manifest }: ShardRun, as: string | undefined) =>
    as === undefined ? manifest.rate : manifest.scores![as]!;
  const withCalls = async (as: string | undefined): Promise<RateSummary> => {
    const summary = await rateAs(as);
    const calls = addCalls(
      shards.flatMap((shard) => summaryOf(shard, as).calls ?? []),
      store,
    );
    const hasRetried = shards.every((shard) => !wantsRetry(summaryOf(shard, as)));
    return calls ? { ...summary, calls: { ...calls, hasRetried } } : summary;
  };
  const rated = await withCalls(undefined);
  const scores: Record<string, RateSummary> = {};
  for (const score of sharedScores(shards)) scores[score] = await withCalls(score);
  await extendManifest(run, (latest) => ({
    rate: { ...latest!.rate!, ...(rated.calls && { calls: rated.calls }) }, // rate has just written it
    scores: { ...latest!.scores, ...scores },
  }));
  return { rate: rated, scores: Object.keys(scores), replies };
}

/** Data by paths as they would be typed here, where they were not whole ones, so that the run can be moved with its data. */
function seenFromHere(dataset: Dataset, { source: typed, sources }: DatasetRecord): Dataset {
  const fromHere = (source: string, before: string) =>
    isAbsolute(source) && !isAbsolute(before) ? relative(realFolder(process.cwd()), realFolder(source)) : source;
  const pool = dataset.pool?.map((one, i) => ({
    ...one,
    source: fromHere(one.source, sources?.[i]?.source ?? one.source),
  }));
  return {
    ...dataset,
    source: pool ? pool.map(({ source }) => source).join(" + ") : fromHere(dataset.source, typed),
    ...(pool && { pool }),
  };
}

/** Brings the shards' replies into the store, and what they paid into the run's purse: again, only what is new. */
async function mergeReplies(run: RunFolder, shards: readonly ShardRun[], store: string): Promise<number> {
  const purses = [];
  for (const shard of shards) {
    const purse = await readPurse(shard.run);
    if (purse) purses.push({ ...purse, shard });
  }
  if (purses.length === 0) return 0;
  using merging = new StoreMerge(store); // before anything of the run is written
  const found = [];
  for (const { name, store: from, shard } of purses) {
    found.push({ from: { name, store: from }, spent: merging.addPurse(from, name) });
    for await (const key of callsOf(shard)) merging.addCall(from, key);
  }
  const own = await openPurse(run, store);
  for (const { from, spent } of found) merging.book(own, from, spent);
  merging.commit();
  return merging.copied;
}

/** The keys of the replies behind a shard's ratings and further scores. */
async function* callsOf({ run, manifest }: ShardRun): AsyncGenerator<string> {
  const files = [
    { path: run.ratingsPath, hash: manifest.rate.ratingsHash },
    ...Object.entries(manifest.scores ?? {}).map(([name, score]) => ({
      path: run.scorePath(name),
      hash: score.ratingsHash,
    })),
  ];
  for (const { path, hash } of files)
    for await (const lines of readRatings(path, hash))
      for (const line of lines) {
        if ("call" in line && line.call !== undefined) yield line.call;
        if ("calls" in line) yield* line.calls ?? [];
      }
}

async function readShards({ shards, run }: MergeOptions): Promise<ShardRun[]> {
  const found: ShardRun[] = [];
  for (const folder of shards) {
    const shard = runFolder(folder);
    const manifest = await readManifest(shard);
    if (!isRated(manifest) || !manifest.rate.shard)
      throw new RunError(
        `${folder}: expected a shard of a rating (rate --shard 1/4), found ${isRated(manifest) ? "a whole rating" : "none"}`,
      );
    found.push({ run: shard, manifest, index: manifest.rate.shard.index });
  }
  const [first] = found;
  if (!first) throw new UsageError(`merge: expected the runs of the shards of ${run}, got none`);
  const { of } = first.manifest.rate.shard!;
  for (const { run: shard, manifest } of found) {
    const other = shard.folder;
    if (manifest.rate.shard!.of !== of)
      throw new RunError(
        `${other}: expected a shard of ${of}, as ${first.run.folder} is, got one of ${manifest.rate.shard!.of}`,
      );
    if (manifest.dataset.hash !== first.manifest.dataset.hash)
      throw new RunError(`${other}: expected a shard of the rows of ${first.run.folder}, got one of others`);
    if (!isSameQuestion(manifest.rate, first.manifest.rate))
      throw new RunError(
        `${other}: expected a shard by ${first.manifest.rate.judge}, as ${first.run.folder} is, got one by ${manifest.rate.judge} or to another question`,
      );
  }
  const twice = found.find(({ index }, i) => found.findIndex((other) => other.index === index) < i);
  if (twice)
    throw new RunError(`${twice.run.folder}: expected each shard once, got shard ${twice.index} of ${of} again`);
  const missing = Array.from({ length: of }, (_, i) => i + 1).filter((i) => !found.some(({ index }) => index === i));
  if (missing.length > 0)
    throw new RunError(
      `merge: expected all ${of} shards, got ${found.length}; missing: ${missing.map((i) => `${i}/${of}`).join(", ")}`,
    );
  return found.toSorted((a, b) => a.index - b.index);
}

function isSameQuestion(a: RateSummary, b: RateSummary): boolean {
  return a.question && b.question ? a.question.hash === b.question.hash : a.judge === b.judge;
}

/** Further scores that all shards have. @throws RunError when some have one that others lack, or by another judge */
function sharedScores(shards: readonly ShardRun[]): string[] {
  const names = new Set(shards.flatMap(({ manifest }) => Object.keys(manifest.scores ?? {})));
  for (const name of names) {
    const first = shards[0]!.manifest.scores?.[name];
    const other = shards.find(({ manifest }) => {
      const score = manifest.scores?.[name];
      return !score?.shard || !first || !isSameQuestion(score, first);
    });
    if (other)
      throw new RunError(
        `${other.run.folder}: expected the score ${name} of its shard, by the same judge as in the others, found none; rate it there: --as ${name} --shard ${other.index}/${shards.length}`,
      );
  }
  return [...names];
}

/** A judge that gives the ratings of the shards. */
function replay(shards: readonly ShardRun[], as: string | undefined): Judge {
  const summaries = shards.map(({ manifest }) => (as === undefined ? manifest.rate : manifest.scores![as]!));
  const first = summaries[0]!;
  return {
    name: first.judge,
    scale: first.scale,
    question: first.question,
    notes: [...new Set(summaries.flatMap(({ notes }) => notes))].filter((note) => !isOfRows(note)),
    alarms: sharedAlarms(summaries),
    checks: worstChecks(summaries),
    async *rate(examples) {
      const lines = shards.map(({ run }, i) =>
        linesOf(as === undefined ? run.ratingsPath : run.scorePath(as), summaries[i]!.ratingsHash),
      );
      for await (const batch of examples) {
        const ratings = [];
        for (const { index } of batch) {
          const shard = lines[index % shards.length]!;
          let line: RatingLine;
          do {
            const next = await shard.next();
            if (next.done)
              throw new RunError(
                `${shards[index % shards.length]!.run.folder}: expected a rating of row ${index + 1}, found none`,
              );
            line = next.value;
          } while (line.index !== index);
          const { index: _, id: __, hash: ___, ...rating } = line;
          ratings.push(rating);
        }
        yield ratings;
      }
      for (const shard of lines) for await (const _ of shard); // to the end, where their hashes are checked
    },
  };
}

async function* linesOf(path: string, hash: string): AsyncGenerator<RatingLine> {
  for await (const lines of readRatings(path, hash)) yield* lines;
}

/** What the shards' calls were together; undefined where none made any. */
function addCalls(all: readonly CallsRecord[], store: string): CallsRecord | undefined {
  const [first] = all;
  if (!first) return undefined;
  const sum = (of: (calls: CallsRecord) => number) => all.reduce((total, calls) => total + of(calls), 0);
  const money = (of: (calls: CallsRecord) => number | null) =>
    all.some((calls) => of(calls) === null) ? null : sum((calls) => of(calls)!);
  return {
    ...first,
    made: sum(({ made }) => made),
    stored: sum(({ stored }) => stored),
    shared: sum(({ shared }) => shared),
    attempts: sum(({ attempts }) => attempts),
    failed: sum(({ failed }) => failed),
    inputTokens: sum(({ inputTokens }) => inputTokens),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    paidUsd: money(({ paidUsd }) => paidUsd),
    perhapsPaidUsd: sum(({ perhapsPaidUsd }) => perhapsPaidUsd),
    runPaidUsd: money(({ runPaidUsd }) => runPaidUsd),
    runPerhapsPaidUsd: sum(({ runPerhapsPaidUsd }) => runPerhapsPaidUsd),
    store,
    budgetUsd: undefined, // each shard had its own
    highestUsd: undefined,
    batchedUsd: undefined,
    stopped: all.find(({ stopped }) => stopped)?.stopped,
    failure: all.find(({ failure }) => failure !== undefined)?.failure,
    finishUsd: money(({ finishUsd }) => finishUsd ?? 0),
  };
}
