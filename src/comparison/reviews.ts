import { findDatasetFiles } from "../dataset/source.ts";
import { DataError } from "../errors.ts";
import { type Review, byShownFirst, readReview, readValues } from "./review-formats.ts";
import { type PairVerdict, type Side, type Verdict, outcomeOfOrders, preferenceOfOrders } from "./verdict.ts";

/*
 * Reads published judgements (reviews), so that they can be analysed again.
 */

export interface Reviews {
  /** The names of the two arms. */
  readonly arms: readonly [a: string, b: string];
  /** The name of the judge, if the files have it. */
  readonly judge: string | undefined;
  readonly verdicts: readonly PairVerdict[];
}

export interface ReadReviewsOptions {
  /** The arms to compare, A first. Needed if the files hold more than two arms, or to choose which one is A. */
  readonly arms?: readonly [a: string, b: string] | undefined;
}

/**
 * Reads published pairwise judgements in these formats, in any mixture:
 *
 * - AlpaGasus and AlpaGasus2: `ARM1-ARM2-SET.json`, rows with both arms' answers under their names, `review` and `score`,
 *   one file for each order; ARM1 was shown first;
 * - Cherry: `ARM1-VS-ARM2_SET_JUDGE.json` with `data`, both orders in each row (`scores`, `scores_reverse`);
 * - FastChat's `model_judgment/*_pair.jsonl`: `model_1`, `model_2`, `g1_winner`, `g2_winner`;
 * - AlpacaEval's `annotations.json`: `generator_1`, `generator_2`, `preference`; one order, which is not recorded;
 * - Arena-Hard's `model_judgment/JUDGE/MODEL.jsonl`: `model`, `baseline`, `games` with a grade for each order.
 *
 * @throws DataError when a row has none of these formats or occurs twice, or the files hold other arms
 */
export async function readReviews(paths: readonly string[], { arms }: ReadReviewsOptions = {}): Promise<Reviews> {
  const reviews: Review[] = [];
  for (const path of paths) {
    for (const file of await findDatasetFiles(path)) {
      for (const [ordinal, value] of (await readValues(file.path)).entries())
        reviews.push(...readReview(value, { path: file.path, ordinal }));
    }
  }
  if (reviews.length === 0) throw new DataError(`${paths.join(", ")}: expected reviews, got none`);
  const [a, b] = arms ?? findArms(reviews, paths);
  const chosen = reviews.filter(({ arms: both }) => both.includes(a) && both.includes(b) && a !== b);
  if (chosen.length === 0)
    throw new DataError(
      `${paths.join(", ")}: expected reviews of ${a} against ${b}, got ${[...new Set(reviews.flatMap((review) => review.arms))].join(", ")}`,
    );
  const judges = new Set(chosen.flatMap(({ judge }) => judge ?? []));
  if (judges.size > 1)
    // they may have judged the same answers, which are no more prompts for that
    throw new DataError(
      `${paths.join(", ")}: expected reviews by one judge, got ${[...judges].join(", ")}; compare the reviews of each by themselves`,
    );
  return {
    arms: [a, b],
    judge: [...judges][0],
    verdicts: pairUp(chosen, a, paths),
  };
}

/** A is the arm that the files are about, where they say so, else the one shown first in the first review. */
function findArms(reviews: readonly Review[], paths: readonly string[]): readonly [string, string] {
  const names = [...new Set(reviews.flatMap(({ arms }) => arms))];
  if (names.length !== 2)
    throw new DataError(
      `${paths.join(", ")}: expected reviews of two arms, got ${names.join(", ")}; choose two with --arms A,B`,
    );
  const { arms, model } = reviews[0]!;
  return model === arms[1] ? [arms[1], arms[0]] : arms;
}

function pairUp(reviews: readonly Review[], a: string, paths: readonly string[]): PairVerdict[] {
  const pairs = new Map<string, Review[]>();
  const seen = new Map<string, Review>();
  for (const review of reviews) {
    const content = contentOf(review);
    const before = content === undefined ? undefined : seen.get(content);
    if (before && (before.set !== review.set || before.id !== review.id))
      throw new DataError(
        `${paths.join(", ")}: expected each annotation once, got that of ${before.set} ${before.id} again as ${review.set} ${review.id}; name each file once, and leave out repeated rows`,
      );
    if (content !== undefined) seen.set(content, review);
    const name = `${review.set}\0${review.id}`;
    const others = pairs.get(name) ?? [];
    if (others.some(({ arms, isOrderKnown }) => !isOrderKnown || arms[0] === review.arms[0]))
      throw new DataError(
        `${paths.join(", ")}: expected each order of a prompt once, got ${review.set} ${review.id} with ${review.arms[0]} first again`,
      );
    pairs.set(name, [...others, review]);
  }
  const hasBothOrders = [...pairs.values()].some((both) => both.length === 2);
  return [...pairs.values()].map((both) => {
    const { set, id, prompt, category, difficulty, instruction, answers, arms, isOrderKnown } = both[0]!;
    const b = arms.find((arm) => arm !== a)!;
    const orders = both.map((review) => toVerdict(review, a)).toSorted(byShownFirst);
    if (hasBothOrders && both.length === 1 && isOrderKnown)
      orders.push({
        shownFirst: orders[0]!.shownFirst === "A" ? "B" : "A",
        state: "failed",
        detail: "there is no review in this order",
      });
    const [answerA, answerB] = [answers?.[a], answers?.[b]];
    return {
      id,
      set,
      prompt,
      category,
      ...(difficulty !== undefined && { difficulty }),
      outcome: outcomeOfOrders(orders),
      orders,
      ...preferenceOfOrders(orders),
      ...(instruction !== undefined && { instruction }),
      ...(answerA !== undefined &&
        answerB !== undefined && {
          lengths: [answerA.length, answerB.length] as const,
          answers: [answerA, answerB] as const,
        }),
    };
  });
}

/** The key of what was judged, by which judge and in which order; undefined if the review lacks the texts. */
function contentOf({ instruction, answers, arms, judge, isOrderKnown }: Review): string | undefined {
  return instruction === undefined || !answers
    ? undefined
    : JSON.stringify([instruction, arms.map((arm) => answers[arm]), arms, judge ?? "", isOrderKnown]);
}

/** Turns a review of two arms in the order they were shown into a verdict about A and B. */
function toVerdict({ arms, isOrderKnown, said, reply }: Review, a: string): Verdict {
  const first: Side = arms[0] === a ? "A" : "B";
  const seen = { ...(isOrderKnown && { shownFirst: first }), reply };
  if (said.state !== "judged") return { ...seen, state: said.state, detail: said.detail };
  const second: Side = first === "A" ? "B" : "A";
  const { winner, scores, graded, weight } = said;
  return {
    ...seen,
    state: "judged",
    winner: winner === undefined ? "draw" : winner === 0 ? first : second,
    ...(scores && { scores: first === "A" ? { A: scores[0], B: scores[1] } : { A: scores[1], B: scores[0] } }),
    ...(graded !== undefined && { preference: first === "A" ? graded : 1 - graded }),
    ...(weight !== undefined && { weight }),
  };
}

// --- the formats ---
