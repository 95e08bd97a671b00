/** How a rating ended. Only a scored one has a score; none of the others is ever taken for a number. */
export const ratingStates = ["scored", "refused", "unparsable", "truncated", "failed", "pending"] as const;
export type RatingState = (typeof ratingStates)[number];

/** A judge's answer about one example. */
export type Rating = ScoredRating | UnscoredRating;

export interface ScoredRating {
  readonly state: "scored";
  readonly score: number;
  /** The probability of each of the judge's scores, ascending, from judges that have one. */
  readonly probabilities?: readonly number[];
}

export interface UnscoredRating {
  readonly state: Exclude<RatingState, "scored">;
  /** Why, in a few words. */
  readonly detail?: string;
}
