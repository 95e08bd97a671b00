import type { Example } from "../dataset/example.ts";
import { RunError } from "../errors.ts";
import { ratingStates, type Rating } from "../run/rating.ts";
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
 *
 * @throws RunError when the judge gives something else than one rating for each row
 */
export async function* rateAll(
  judge: Pick<Judge, "name" | "rate" | "scale" | "panel" | "question" | "escalating">,
  examples: Batches,
): AsyncGenerator<readonly Rating[]> {
  const seesAll = judge.panel !== undefined || judge.question === undefined;
  const waiting: { readonly at: number; readonly detail: string }[] = []; // unreadable rows, by their place among all rows
  let seen = 0;
  let given = 0;
  let isAtEnd = false;
  async function* noted(): AsyncGenerator<readonly Example[]> {
    for await (const batch of examples) {
      for (const { unreadable } of batch) {
        if (unreadable !== undefined) waiting.push({ at: seen, detail: unreadable });
        seen++;
      }
      yield batch;
    }
    isAtEnd = true;
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
        ratings.push(checkRating(rating, judge));
      }
      if (++given > seen)
        throw new RunError(`${judge.name}: expected a rating for every row, got more than there are rows`);
    }
    yield ratings;
  }
  const rest = takeUnreadable();
  if (rest.length > 0) yield rest;
  if (!isAtEnd) throw new RunError(`${judge.name}: expected a rating for every row, got none after the first ${given}`);
  if (given < seen)
    throw new RunError(`${judge.name}: expected a rating for every row, got none for the last ${seen - given}`);
}

const states: ReadonlySet<string> = new Set(ratingStates);

/** A score that is no number would be written as null, and nothing could read it; one outside the judge's own scale means nothing. */
function checkRating(
  rating: Rating,
  { name, scale, escalating }: Pick<Judge, "name" | "scale" | "escalating">,
): Rating {
  const state: unknown = (rating as Partial<Rating> | null | undefined)?.state; // a judge of a program's own may give anything
  if (typeof state !== "string" || !states.has(state))
    throw new RunError(
      `${name}: expected ratings such as { state: "scored", score: 4 }, with one of the states ${ratingStates.join(", ")}, got ${JSON.stringify(rating)}`,
    );
  const checked = withoutOddMarks(rating);
  if (checked.state !== "scored") return checked;
  const { score } = checked;
  if (!Number.isFinite(score)) return { state: "unparsable", detail: `the score is no number: ${String(score)}` };
  if (!scale || escalating) return checked; // where a student escalates, some scores are probabilities
  const rounding = 1e-9 * (scale.max - scale.min);
  return score >= scale.min - rounding && score <= scale.max + rounding
    ? checked
    : {
        state: "unparsable",
        detail: `the score is outside of the judge's scale, ${scale.min} to ${scale.max}: ${score}`,
      };
}

/** A rating without the marks that are no numbers. */
function withoutOddMarks(rating: Rating): Rating {
  if (!rating.marks || Object.values(rating.marks).every(Number.isFinite)) return rating;
  return {
    ...rating,
    marks: Object.fromEntries(Object.entries(rating.marks).filter(([, mark]) => Number.isFinite(mark))),
  };
}
