import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge } from "./judge.ts";

type Batches = AsyncIterable<readonly Example[]>;

/** The examples that can be read. */
export async function* readableOnly(examples: Batches): AsyncGenerator<readonly Example[]> {
  for await (const batch of examples)
    yield batch.every(({ unreadable }) => unreadable === undefined)
      ? batch
      : batch.filter(({ unreadable }) => unreadable === undefined);
}

/**
 * A rating for every example, in order: the judge's, or the state `unreadable` for a row that cannot be read. A model is not asked about
 * such a row. Judges that only look scores up see every row, since they count them.
 */
export async function* rateAll(
  judge: Pick<Judge, "rate" | "panel" | "question">,
  examples: Batches,
): AsyncGenerator<readonly Rating[]> {
  const seesAll = judge.panel !== undefined || judge.question === undefined;
  const waiting: { readonly at: number; readonly detail: string }[] = []; // unreadable rows, by their place among all rows
  let seen = 0;
  let given = 0;
  async function* noted(): AsyncGenerator<readonly Example[]> {
    for await (const batch of examples) {
      for (const { unreadable } of batch) {
        if (unreadable !== undefined) waiting.push({ at: seen, detail: unreadable });
        seen++;
      }
      yield batch;
    }
  }
  const takeUnreadable = (): Rating[] => {
    const taken: Rating[] = [];
    for (; waiting[0]?.at === given; given++) taken.push({ state: "unreadable", detail: waiting.shift()!.detail });
    return taken;
  };
  for await (const batch of judge.rate(seesAll ? noted() : readableOnly(noted()))) {
    const ratings: Rating[] = [];
    for (const rating of batch) {
      if (seesAll && waiting[0]?.at === given) {
        ratings.push({ state: "unreadable", detail: waiting.shift()!.detail });
      } else {
        if (!seesAll) ratings.push(...takeUnreadable());
        ratings.push(rating);
      }
      given++;
    }
    yield ratings;
  }
  const rest = takeUnreadable();
  if (rest.length > 0) yield rest;
}
