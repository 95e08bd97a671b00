import { UsageError } from "../errors.ts";
import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge } from "./judge.ts";

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
  const sharded: Pick<Judge, "rate" | "prepare"> = {
    ...(judge.prepare && {
      prepare: (examples, onProgress) => judge.prepare!(() => onlyShard(examples(), shard), onProgress),
    }),
    async *rate(examples) {
      const order: boolean[] = []; // whether each row is ours, of those that are not yet told
      async function* ours(): AsyncGenerator<readonly Example[]> {
        for await (const batch of examples) {
          for (const { index } of batch) order.push(isInShard(index, shard));
          yield batch.filter(({ index }) => isInShard(index, shard));
        }
      }
      const takeOthers = (): Rating[] => {
        const taken: Rating[] = [];
        for (; order[0] === false; order.shift()) taken.push(elsewhere);
        return taken;
      };
      for await (const some of judge.rate(ours())) {
        const ratings: Rating[] = [];
        for (const rating of some) {
          ratings.push(...takeOthers(), rating);
          order.shift();
        }
        yield ratings;
      }
      const rest = takeOthers();
      if (rest.length > 0) yield rest;
    },
  };
  return Object.assign(Object.create(judge) as Judge, sharded); // what it tells of itself is told by the judge
}
