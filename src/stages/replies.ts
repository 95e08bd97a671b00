import { existsSync } from "node:fs";
import { CallStore } from "../llm/call-store.ts";
import { RunError, UsageError } from "../errors.ts";
import { nanosPerUsd } from "../llm/price.ts";
import type { Finish } from "../llm/reply.ts";
import type { RatingState } from "../run/rating.ts";
import { readRatings } from "../run/ratings-file.ts";
import { runFolder } from "../run/run-folder.ts";
import { requireRatings } from "./rated-data.ts";

/** A rating and the reply that it was read from. */
export interface RatedReply {
  readonly index: number;
  readonly id?: string;
  readonly state: RatingState;
  readonly score: number | null;
  /** Why there is no score. */
  readonly detail: string | null;
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
  /** Only ratings that ended so. */
  readonly state?: RatingState;
  /** Only this row, counted from 0. */
  readonly row?: number;
}

/**
 * The replies behind a run's ratings, in the dataset's order.
 *
 * @throws RunError when the run has no ratings by a model, or its store is not there any more
 */
export async function* replies({ run: folder, state, row }: RepliesOptions): AsyncGenerator<RatedReply> {
  const run = runFolder(folder);
  const { rate, dataset } = await requireRatings(run);
  if (!rate.calls)
    throw new RunError(`${folder}: expected ratings by a model, got those of ${rate.judge}, which gives no replies`);
  if (row !== undefined && row >= dataset.rows)
    throw new UsageError(`--row: expected a row from 0 to ${dataset.rows - 1}, got ${row}`);
  if (!existsSync(rate.calls.store))
    throw new RunError(
      `${rate.calls.store}: expected the call store of ${folder}, got no such file; run this from the folder where the data was rated`,
    );
  using store = new CallStore(rate.calls.store, { readOnly: true });
  for await (const ratings of readRatings(run.ratingsPath, rate.ratingsHash)) {
    for (const rating of ratings) {
      if ((state !== undefined && rating.state !== state) || (row !== undefined && rating.index !== row)) continue;
      const call = rating.call === undefined ? undefined : store.find(rating.call);
      yield {
        index: rating.index,
        ...(rating.id !== undefined && { id: rating.id }),
        state: rating.state,
        score: rating.state === "scored" ? rating.score : null,
        detail: rating.state === "scored" ? null : (rating.detail ?? null),
        reply: call?.state === "replied" ? call.text : null,
        finish: call?.finish ?? null,
        build: call?.build ?? null,
        outputTokens: call?.usage?.outputTokens ?? null,
        costUsd: call?.cost == null ? null : call.cost / nanosPerUsd,
        call: rating.call ?? null,
      };
    }
  }
}
