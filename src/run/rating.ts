/** How a rating ended. Only a scored one has a score; none of the others is ever taken for a number. */
export const ratingStates = ["scored", "refused", "unparsable", "truncated", "failed", "pending"] as const;
export type RatingState = (typeof ratingStates)[number];

/** The lowest and highest score a judge can give. */
export interface Scale {
  readonly min: number;
  readonly max: number;
}

/** A judge's answer about one example. */
export type Rating = ScoredRating | UnscoredRating;

/** What one judge of a panel said of a row. */
export interface PanelRating {
  readonly state: RatingState;
  readonly score?: number;
  readonly call?: string;
}

/** What ratings by a model carry besides. */
interface Traces {
  /** The key of the reply in the call store. */
  readonly call?: string;
  /** Those of all replies, where there are several. */
  readonly calls?: readonly string[];
  /** Who gave it, where it may be one of two. */
  readonly by?: string;
  /** What each judge of a panel said, in the judges' order. */
  readonly panel?: readonly PanelRating[];
  /** Parts of the rubric's own text that the row contains, by which it could pass for the rubric's words. */
  readonly intrusions?: readonly string[];
}

export interface ScoredRating extends Traces {
  readonly state: "scored";
  readonly score: number;
  /** The probability of each of the judge's scores, ascending, from judges that have one. */
  readonly probabilities?: readonly number[];
  /** What the judge wrote, where the score is the mean of what it could have written, or of several replies. */
  readonly written?: number;
  /** The probability that was on no score, where the score is a mean by token probabilities. */
  readonly missing?: number;
  /** The scores of the replies that it is the mean of; null for one without. */
  readonly replies?: readonly (number | null)[];
  /** The probability to reach the cut, where the score stands for that. */
  readonly probability?: number;
}

export interface UnscoredRating extends Traces {
  readonly state: Exclude<RatingState, "scored">;
  /** Why, in a few words. */
  readonly detail?: string;
}
