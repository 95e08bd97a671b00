import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Side, VerdictState } from "../comparison/verdict.ts";
import { readVerdicts } from "../comparison/verdicts-file.ts";
import { CallStore } from "../llm/call-store.ts";
import { whyUnseen } from "../llm/call-store-file.ts";
import { RunError, UsageError } from "../errors.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { Finish } from "../llm/reply.ts";
import type { RatingState } from "../run/rating.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { readRatings, type RatingLine } from "../run/ratings-file.ts";
import { requireRatings, readManifest, readPurse, runFolder } from "../run/run-folder.ts";

/** A rating and a reply that it was read from. */
export interface RatedReply {
  readonly index: number;
  readonly id?: string | undefined;
  readonly state: RatingState;
  readonly score: number | null;
  /** Why there is no score. */
  readonly detail: string | null;
  /** Which judge of a panel replied; state and score are then its own. */
  readonly judge?: string | undefined;
  /** Which reply it is, from 1, and of how many, where a judge was asked several times. */
  readonly number?: number | undefined;
  readonly replies?: number | undefined;
  /** Word for word; null when the call failed or was not made. */
  readonly reply: string | null;
  readonly finish: Finish | null;
  /** The exact model that answered, where the provider tells. */
  readonly build: string | null;
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** The call's key in the store. */
  readonly call: string | null;
}

export interface RepliesOptions {
  /** The run's folder. */
  readonly run: string;
  /** Only ratings in this state. */
  readonly state?: RatingState | undefined;
  /** Only this row, counted from 0. */
  readonly row?: number | undefined;
  /** The name of a further score, in place of the run's own. */
  readonly as?: string | undefined;
}

/**
 * The replies behind a run's ratings, in the dataset's order; of a row with several, one after the other.
 *
 * @throws RunError when the run has no ratings by a model, or its store is missing
 */
export async function* replies({ run: folder, state, row, as }: RepliesOptions): AsyncGenerator<RatedReply> {
  const run = runFolder(folder);
  const { rate: own, dataset, scores = {} } = await requireRatings(run);
  const rate = as === undefined ? own : Object.hasOwn(scores, as) ? scores[as] : undefined;
  if (!rate)
    throw new UsageError(
      `--as: expected a further score of ${folder} (${Object.keys(scores).join(", ") || "it has none"}), got ${JSON.stringify(as)}`,
    );
  if (!rate.calls)
    throw new RunError(`${folder}: expected ratings by a model, got those of ${rate.judge}, which gives no replies`);
  if (row !== undefined && row >= dataset.rows)
    throw new UsageError(`--row: expected a row from 0 to ${dataset.rows - 1}, got ${row}`);
  using store = openStore([(await readPurse(run))?.store, rate.calls.store], folder);
  for await (const ratings of readRatings(as === undefined ? run.ratingsPath : run.scorePath(as), rate.ratingsHash)) {
    for (const rating of ratings) {
      if ((state !== undefined && rating.state !== state) || (row !== undefined && rating.index !== row)) continue;
      for (const { key, ...source } of sourcesOf(rating, rate.panel)) {
        const call = key === undefined ? undefined : store.find(key);
        yield {
          index: rating.index,
          id: rating.id,
          state: rating.state,
          score: rating.state === "scored" ? rating.score : null,
          detail: rating.state === "scored" ? null : (rating.detail ?? null),
          ...source,
          reply: call?.state === "replied" ? call.text : null,
          finish: call?.finish ?? null,
          build: call?.build ?? null,
          outputTokens: call?.usage?.outputTokens ?? null,
          costUsd: call?.cost == null ? null : call.cost / nanosPerUsd,
          call: key ?? null,
        };
      }
    }
  }
}

/** The calls behind a rating, with what each of a panel's judges gave; one without a key where no call was made. */
function sourcesOf(
  rating: RatingLine,
  panel: RateSummary["panel"],
): (Partial<Pick<RatedReply, "state" | "score" | "detail" | "judge" | "number" | "replies">> & {
  readonly key?: string | undefined;
})[] {
  const numbered = (keys: readonly string[]) =>
    keys.length > 1 ? keys.map((key, i) => ({ key, number: i + 1, replies: keys.length })) : [{ key: keys[0] }];
  const keysOf = ({ call, calls = call === undefined ? [] : [call] }: Pick<RatingLine, "call" | "calls">) => calls;
  if (!rating.panel) return numbered(keysOf(rating));
  const detail = "detail" in rating ? (rating.detail ?? "") : "";
  return rating.panel.flatMap((own, i) => {
    const judge = panel?.judges[i]?.judge ?? `judge ${i + 1}`;
    const isTold = own.state !== "scored" && (detail.startsWith(`${judge}: `) || detail === `${judge} gave no score`); // the row's detail is that of one judge
    return numbered(keysOf(own)).map((one) => ({
      ...one,
      judge,
      state: own.state,
      score: own.score ?? null,
      detail: isTold ? detail.slice(judge.length).replace(/^: /, "") : null,
    }));
  });
}

/** One order's verdict and the reply that it was read from. */
export interface VerdictReply {
  readonly comparison: string;
  readonly set: string;
  readonly id: string;
  readonly shownFirst: Side | null;
  readonly state: VerdictState;
  readonly winner: Side | "draw" | null;
  readonly scores: Readonly<Record<Side, number>> | null;
  /** Why there is no verdict. */
  readonly detail: string | null;
  /** Word for word; null when the call failed or was not made. */
  readonly reply: string | null;
  readonly finish: Finish | null;
  readonly costUsd: number | null;
  readonly call: string | null;
}

export interface VerdictRepliesOptions {
  /** The run's folder. */
  readonly run: string;
  /** Only verdicts in this state. */
  readonly state?: VerdictState | undefined;
}

/**
 * The replies behind a run's comparisons, pair by pair, both orders.
 *
 * @throws RunError when nothing was compared by a model, or its store is missing
 */
export async function* verdictReplies({ run: folder, state }: VerdictRepliesOptions): AsyncGenerator<VerdictReply> {
  const run = runFolder(folder);
  const manifest = await readManifest(run);
  const purse = await readPurse(run);
  const comparisons = Object.entries(manifest?.comparisons ?? {}).filter(([, { calls }]) => calls !== undefined);
  if (comparisons.length === 0)
    throw new RunError(
      `${folder}: expected a comparison by a model, found none; compare first: alpagasus compare A B --judge …`,
    );
  for (const [comparison, { calls, verdictsPath }] of comparisons) {
    using store = openStore([purse?.store, calls!.store], folder);
    const path = run.verdictsPath(basename(verdictsPath!, ".jsonl")); // the run's folder may have moved since this was recorded
    for (const { set, id, orders } of await readVerdicts(path)) {
      for (const verdict of orders) {
        if (state !== undefined && verdict.state !== state) continue;
        const call = verdict.call === undefined ? undefined : store.find(verdict.call);
        yield {
          comparison,
          set,
          id,
          shownFirst: verdict.shownFirst ?? null,
          state: verdict.state,
          winner: verdict.state === "judged" ? verdict.winner : null,
          scores: verdict.state === "judged" ? (verdict.scores ?? null) : null,
          detail: verdict.state === "judged" ? null : (verdict.detail ?? null),
          reply: call?.state === "replied" ? call.text : null,
          finish: call?.finish ?? null,
          costUsd: call?.cost == null ? null : call.cost / nanosPerUsd,
          call: verdict.call ?? null,
        };
      }
    }
  }
}

/** The first of these stores that is there: the run's own, or the one that its command named. */
function openStore(candidates: readonly (string | undefined)[], folder: string): CallStore {
  const named = candidates.filter((path) => path !== undefined);
  const path = named.find((candidate) => existsSync(candidate));
  const unseen = named.flatMap((candidate) => whyUnseen(candidate) ?? [])[0];
  if (path === undefined && unseen !== undefined) throw new RunError(`${named[0]}: ${unseen}`);
  if (path === undefined)
    throw new RunError(
      `${named[0]}: expected the call store of ${folder}, got no such file; run this from the folder where it was made`,
    );
  return new CallStore(path, { readOnly: true });
}
