/**
 * How a rating ended. Only a scored one has a score; the others never count as a number. `unparsable` is said of a reply, `unreadable` of the
 * row itself, which no judge was asked about.
 */
export const ratingStates = [
  "scored",
  "refused",
  "unparsable",
  "truncated",
  "failed",
  "pending",
  "unreadable",
] as const;
export type RatingState = (typeof ratingStates)[number];

/** The lowest and highest score a judge can give. */
export interface Scale {
  readonly min: number;
  readonly max: number;
}

/** A judge's rating of one example. */
export type Rating = ScoredRating | UnscoredRating;

/** One panel judge's rating of a row. */
export interface PanelRating {
  readonly state: RatingState;
  readonly score?: number;
  readonly call?: string;
  /** The keys of all its replies, where there are several. */
  readonly calls?: readonly string[];
}

/** Where a rating came from, and details about it. */
interface Traces {
  /** The key of the reply in the call store. */
  readonly call?: string;
  /** The keys of all replies, where there are several. */
  readonly calls?: readonly string[];
  /** The judge that gave it, where a student escalates to another judge. */
  readonly by?: string;
  /** The rating by each judge of a panel, in the judges' order. */
  readonly panel?: readonly PanelRating[];
  /** Parts of the rubric's own text that the row contains; the judge may mistake what follows them for the rubric. */
  readonly intrusions?: readonly string[];
  /** Further marks beside the score, by their names: from one reply, or from the columns of a file of scores. */
  readonly marks?: Readonly<Record<string, number>>;
  /** What a model measured of the answer, given its prompt and by itself: [sum of negative log-probabilities, tokens]. */
  readonly likelihood?: {
    readonly answer?: readonly [nll: number, tokens: number] | undefined;
    readonly alone?: readonly [nll: number, tokens: number] | undefined;
  };
  /** How many turns in the middle of the conversation the judge was not shown, because the prompt would have been too long. */
  readonly turnsLeftOut?: number;
}

export interface ScoredRating extends Traces {
  readonly state: "scored";
  readonly score: number;
  /** The probability of each possible score, ascending, from judges that give probabilities. */
  readonly probabilities?: readonly number[];
  /** The score as the judge wrote it, where `score` is a mean by token probabilities or of several replies. */
  readonly written?: number;
  /** The probability of tokens that are no score, where `score` is a mean by token probabilities. */
  readonly missing?: number;
  /** The scores of the replies that `score` is the mean of; null for a reply without a score. */
  readonly replies?: readonly (number | null)[];
  /** The probability to reach the threshold, where `score` only expresses that. */
  readonly probability?: number;
}

export interface UnscoredRating extends Traces {
  readonly state: Exclude<RatingState, "scored">;
  /** Why, in a few words. */
  readonly detail?: string;
}
