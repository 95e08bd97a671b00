const blockItems = 256; // sent to a process together, which sorts them by length
const ahead = 2; // blocks that are sent before the first is back, so that the process never waits

/**
 * Maps items in blocks, some of which are under way at a time. Yields the results in the order of the items.
 *
 * @param inFlight how many items keep busy what maps them
 */
export async function* mapInBlocks<Item, Result>(
  items: AsyncIterable<readonly Item[]>,
  mapBlock: (block: readonly Item[]) => Promise<readonly Result[]>,
  inFlight = ahead * blockItems,
): AsyncGenerator<readonly Result[]> {
  const waiting: Promise<readonly Result[]>[] = [];
  for await (const block of inBlocks(items)) {
    const results = mapBlock(block);
    results.catch(() => {}); // it is awaited below
    waiting.push(results);
    if (waiting.length > Math.max(ahead, inFlight / blockItems)) yield await waiting.shift()!;
  }
  for (const results of waiting) yield await results;
}

async function* inBlocks<Item>(items: AsyncIterable<readonly Item[]>): AsyncGenerator<readonly Item[]> {
  let block: Item[] = [];
  for await (const batch of items)
    for (const item of batch) {
      block.push(item);
      if (block.length < blockItems) continue;
      yield block;
      block = [];
    }
  if (block.length > 0) yield block;
}
