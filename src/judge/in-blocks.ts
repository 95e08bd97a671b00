import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";

const blockRows = 256; // sent to the process together, which sorts them by length
const ahead = 2; // blocks that are sent before the first is back, so that the process never waits

/** Rates examples in blocks, some of which are under way at a time. Yields the ratings in the order of the examples. */
export async function* rateInBlocks(
  examples: AsyncIterable<readonly Example[]>,
  rateBlock: (block: readonly Example[]) => Promise<readonly Rating[]>,
): AsyncGenerator<readonly Rating[]> {
  const waiting: Promise<readonly Rating[]>[] = [];
  for await (const block of inBlocks(examples)) {
    const ratings = rateBlock(block);
    ratings.catch(() => {}); // it is awaited below
    waiting.push(ratings);
    if (waiting.length > ahead) yield await waiting.shift()!;
  }
  for (const ratings of waiting) yield await ratings;
}

async function* inBlocks(examples: AsyncIterable<readonly Example[]>): AsyncGenerator<readonly Example[]> {
  let block: Example[] = [];
  for await (const batch of examples)
    for (const example of batch) {
      block.push(example);
      if (block.length < blockRows) continue;
      yield block;
      block = [];
    }
  if (block.length > 0) yield block;
}
