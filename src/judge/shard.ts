import { UsageError } from "../errors.ts";
import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge } from "./judge.ts";
import { rateSome } from "./rate-some.ts";

/** A part of a dataset's rows that one machine rates: of `of` parts, the one with this number from 1. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/** Whether a row belongs to a shard: rows are dealt out in turn, so that shards are alike. */
export function isInShard(row: number, { index, of }: Shard): boolean {
  return row % of === index - 1;
}

/** The examples of a shard. */
export async function* onlyShard(
  examples: AsyncIterable<readonly Example[]>,
  shard: Shard,
): AsyncGenerator<readonly Example[]> {
  for await (const batch of examples) yield batch.filter(({ index }) => isInShard(index, shard));
}

const elsewhere: Rating = { state: "pending", detail: "it is in another shard" };

/**
 * The judge for the rows of a shard; others stay `pending`, until `merge` puts the shards together.
 *
 * @throws UsageError when the judge has to see all rows
 */
export function inShard(judge: Judge, shard: Shard): Judge {
  if (judge.panel !== undefined || judge.escalating !== undefined)
    throw new UsageError(
      `--shard: expected one judge that looks at a row by itself, got ${judge.name}; rate with one judge a run`,
    );
  return rateSome(judge, ({ index }) => (isInShard(index, shard) ? undefined : elsewhere));
}
