import { UsageError } from "../errors.ts";
import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";
import { createPriority } from "../selection/pick.ts";
import { defaultSeed } from "../stats/random.ts";
import type { Judge } from "./judge.ts";
import { rateSome } from "./rate-some.ts";
import { isInShard, type Shard } from "./shard.ts";

/** A part of a dataset's rows: the others are not looked at. */
export interface Part {
  /** The option that says so, for messages. */
  readonly option: "--shard" | "--limit";
  isIn(row: number): boolean;
  /** The rating of other rows. */
  readonly elsewhere: Rating;
}

export function partOfShard(shard: Shard): Part {
  return {
    option: "--shard",
    isIn: (row) => isInShard(row, shard),
    elsewhere: { state: "pending", detail: "it is in another shard" },
  };
}

/**
 * Some rows for a try, drawn at random: those whose positions come first in an order that is always the same. So a larger number holds a
 * smaller one's rows, also where rows were added at the end, and none is paid twice.
 *
 * @param limit how many rows @param total how many the data has
 */
export function partOfLimit(limit: number, total: number): Part {
  const drawn = new Uint8Array(total);
  const priority = createPriority(defaultSeed, "limit");
  const priorities = Float64Array.from(drawn, (_, row) => priority(row));
  const order = Uint32Array.from(drawn, (_, row) => row).sort((a, b) => priorities[a]! - priorities[b]! || a - b);
  for (const row of order.subarray(0, limit)) drawn[row] = 1;
  return {
    option: "--limit",
    isIn: (row) => drawn[row] === 1,
    elsewhere: { state: "pending", detail: `it is not among the ${limit} rows of --limit` },
  };
}

/** The examples of a part. */
export async function* onlyPart(
  examples: AsyncIterable<readonly Example[]>,
  part: Part,
): AsyncGenerator<readonly Example[]> {
  for await (const batch of examples) yield batch.filter(({ index }) => part.isIn(index));
}

/**
 * The judge for the rows of a part; others stay `pending`.
 *
 * @throws UsageError when the judge has to see all rows
 */
export function inPart(judge: Judge, part: Part): Judge {
  if (judge.panel !== undefined || judge.escalating !== undefined)
    throw new UsageError(
      `${part.option}: expected one judge that looks at a row by itself, got ${judge.name}; rate with one judge a run`,
    );
  return rateSome(judge, ({ index }) => (part.isIn(index) ? undefined : part.elsewhere));
}
