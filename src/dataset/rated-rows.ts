import { RunError } from "../errors.ts";
import { formatCount } from "../format.ts";
import { type RatingLine, readRatings } from "../run/ratings-file.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { type Example, hashExample } from "./example.ts";
import { describePlace } from "./place.ts";

/** A row and its rating, checked to belong together. */
export interface RatedExample {
  readonly example: Example;
  readonly rating: RatingLine;
  /** The row's own rating, where `rating` is another value in its place (--by). */
  readonly own?: RatingLine | undefined;
}

/**
 * Reads examples and a run's `ratings.jsonl` side by side, and checks by hash that each rating belongs to its row.
 *
 * @throws RunError at the first row that was edited, moved, added or removed since it was rated
 */
export async function* pairWithRatings(
  examples: AsyncIterable<readonly Example[]>,
  run: RunFolder,
  ratingsHash: string,
): AsyncGenerator<readonly RatedExample[]> {
  const ratings = readRatings(run.ratingsPath, ratingsHash);
  let queue: readonly RatingLine[] = [];
  let at = 0;
  let rows = 0;
  const nextRating = async (): Promise<RatingLine | undefined> => {
    while (at === queue.length) {
      const { value, done } = await ratings.next();
      if (done) return undefined;
      queue = value;
      at = 0;
    }
    return queue[at++];
  };
  try {
    for await (const batch of examples) {
      const pairs: RatedExample[] = [];
      for (const example of batch) {
        const rating = at < queue.length ? queue[at++]! : await nextRating();
        if (!rating)
          throw new RunError(
            `${describePlace(example.place)}: expected only the ${formatCount(rows)} rows that were rated, got more; rate the data again`,
          );
        if (rating.hash !== hashExample(example))
          throw new RunError(
            `${describePlace(example.place)}: expected the row that was rated, got another (edited or moved since); rate the data again`,
          );
        rows++;
        pairs.push({ example, rating });
      }
      yield pairs;
    }
    if (await nextRating())
      throw new RunError(
        `${run.ratingsPath}: expected ratings of the data's ${formatCount(rows)} rows, got more; rate the data again`,
      );
  } finally {
    await ratings.return(undefined);
  }
}
