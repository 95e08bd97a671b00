import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";
import type { Judge } from "./judge.ts";

const mostTold = 10_000; // rows that are remembered though they are told

/**
 * The judge for some of the rows; the others have a rating already.
 *
 * @param known the rating of a row that the judge is not to see; undefined for one that it rates
 */
export function rateSome(judge: Judge, known: (example: Example) => Rating | undefined): Judge {
  const onlyUnknown = async function* (examples: AsyncIterable<readonly Example[]>) {
    for await (const batch of examples) yield batch.filter((example) => known(example) === undefined);
  };
  const some: Pick<Judge, "rate" | "prepare"> = {
    ...(judge.prepare && {
      prepare: (examples, onProgress) => judge.prepare!(() => onlyUnknown(examples()), onProgress),
    }),
    async *rate(examples) {
      let order: (Rating | undefined)[] = []; // what is known of rows, undefined for the judge's
      let told = 0; // of these
      async function* asked(): AsyncGenerator<readonly Example[]> {
        for await (const batch of examples) {
          const found = batch.map(known);
          for (const one of found) order.push(one); // not spread: a batch may be long
          yield batch.filter((_, i) => found[i] === undefined);
        }
      }
      const takeKnown = (): Rating[] => {
        const taken: Rating[] = [];
        for (let next = order[told]; next !== undefined; next = order[told]) {
          taken.push(next);
          told++;
        }
        if (told > mostTold) {
          order = order.slice(told);
          told = 0;
        }
        return taken;
      };
      for await (const rated of judge.rate(asked())) {
        const ratings: Rating[] = [];
        for (const rating of rated) {
          for (const one of takeKnown()) ratings.push(one);
          ratings.push(rating);
          told++;
        }
        yield ratings;
      }
      const rest = takeKnown();
      if (rest.length > 0) yield rest;
    },
  };
  return Object.assign(Object.create(judge) as Judge, some); // what it tells of itself is told by the judge
}
