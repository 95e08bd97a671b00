import type { Rating } from "../run/rating.ts";
import type { Gate } from "../run/records/common.ts";

/** One round of ratings, in the order of the anchors. */
export type AnchorRatings = readonly Rating[];

/** The result of one check. */
export interface HealthCheck extends Gate {
  /** Too few replies arrived to decide: the check neither held nor failed. */
  readonly isUnknown?: boolean | undefined;
}

export function unknown(name: string, message: string): HealthCheck {
  return { name, held: false, isUnknown: true, message };
}

export function scoreOf(rating: Rating | undefined): number | undefined {
  return rating?.state === "scored" ? rating.score : undefined;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The sum of squared deviations from each group's mean, over all groups. */
export function sumOfSquares(groups: readonly (readonly number[])[]): number {
  return groups.reduce((sum, values) => {
    const centre = mean(values);
    return sum + values.reduce((own, value) => own + (value - centre) ** 2, 0);
  }, 0);
}
