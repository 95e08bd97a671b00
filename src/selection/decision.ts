import type { RatingState } from "../run/rating.ts";

/** Why a row was kept or not. */
export type Reason =
  | "kept"
  | "below cut"
  | "unrated"
  | "not drawn"
  | "shorter"
  | "not listed"
  | "filtered"
  | "contaminated"
  | "duplicate"
  | "near duplicate"
  | "too close";

/** What a reason leaves to be said. */
export interface ReasonDetail {
  /** The kept row that this one repeats or lies too close to, from 0. */
  readonly of?: number;
  /** How alike they are, 0 to 1. */
  readonly similarity?: number;
  /** The test prompt that this row overlaps, and the words they share. */
  readonly test?: string;
  readonly prompt?: string;
  readonly words?: string;
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
}
