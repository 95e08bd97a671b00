import type { RatingState } from "../run/rating.ts";

/** Why a row was kept or not. */
export type Reason =
  | "kept"
  | "below cut"
  | "unrated"
  | "unreadable"
  | "not drawn"
  | "over quota"
  | "shorter"
  | "farther"
  | "represented"
  | "no vector"
  | "not listed"
  | "filtered"
  | "contaminated"
  | "duplicate"
  | "near duplicate"
  | "semantic duplicate"
  | "too close";

/** Details that some reasons carry. */
export interface ReasonDetail {
  /** Index, from 0, of the kept row that this one repeats or lies too close to. */
  readonly of?: number | undefined;
  /** Similarity of the two rows, or of the row and its target: 0 to 1, of vectors -1 to 1. */
  readonly similarity?: number | undefined;
  /** The example, by its position in the target's file from 0, that this row was taken for. */
  readonly target?: number | undefined;
  /** The test set and id of the prompt that this row overlaps, and the words they share. */
  readonly test?: string | undefined;
  readonly prompt?: string | undefined;
  readonly words?: string | undefined;
}

/** One line of `decisions.jsonl`. */
export interface Decision extends ReasonDetail {
  readonly index: number;
  readonly id?: string | undefined;
  readonly kept: boolean;
  readonly reason: Reason;
  readonly score?: number | undefined;
  /** The rating's state, when it is not `scored`. */
  readonly state?: RatingState | undefined;
  /** What a row lacks that `--by` needs: `no quality`. */
  readonly lacks?: string | undefined;
}
