/** A part of a dataset's rows that one machine rates: of `of` parts, the one with this number from 1. */
export interface Shard {
  readonly index: number;
  readonly of: number;
}

/** Whether a row belongs to a shard: rows are dealt out in turn, so that shards are alike. */
export function isInShard(row: number, { index, of }: Shard): boolean {
  return row % of === index - 1;
}
