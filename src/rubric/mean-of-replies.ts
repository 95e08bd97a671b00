import type { Rating } from "../run/rating.ts";

/**
 * The mean of several replies to the same question, for models that return no token probabilities. More than half of the
 * replies must have a score; otherwise the rating has the commonest state of the others. It is pending while any reply is.
 */
export function meanOfReplies(ratings: readonly Rating[]): Rating {
  const scores = ratings.map((rating) => (rating.state === "scored" ? rating.score : null));
  const scored = scores.filter((score) => score !== null);
  const [first] = ratings;
  const pending = ratings.find(({ state }) => state === "pending");
  if (pending) return pending;
  if (scored.length * 2 <= ratings.length) {
    const others = ratings.filter((rating) => rating.state !== "scored");
    const [most] = [...Map.groupBy(others, ({ state }) => state).values()].toSorted((a, b) => b.length - a.length);
    const { state, detail } = most![0]!;
    return {
      state,
      detail: `${scored.length} of ${ratings.length} replies have a score${detail === undefined ? "" : `; ${detail}`}`,
    };
  }
  return {
    state: "scored",
    score: scored.reduce((sum, score) => sum + score, 0) / scored.length,
    ...(first?.state === "scored" && { written: first.score }),
    replies: scores,
  };
}
