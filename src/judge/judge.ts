import type { Example } from "../dataset/example.ts";
import type { Rating } from "../run/rating.ts";

/** The lowest and highest score a judge can give. */
export interface Scale {
  readonly min: number;
  readonly max: number;
}

/**
 * What gives ratings to examples: the seam that every kind of judge implements.
 *
 * `rate` takes examples in batches and gives one rating for each, in the same order; how it cuts its own batches is up
 * to it. What goes wrong with one example is that rating's state; it throws only for what stops the whole run.
 */
export interface Judge {
  /** As a user names it: `student`, `recorded:scores.json`, `openai:gpt-5-mini`. */
  readonly name: string;
  /** Undefined for recorded scores whose scale nobody told: what they span is then all that is known. */
  readonly scale?: Scale;
  /** What the reader of a summary should know about this judge, a line each. */
  readonly notes: readonly string[];
  rate(examples: AsyncIterable<readonly Example[]>): AsyncIterable<readonly Rating[]>;
}
