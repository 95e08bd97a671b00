import type { Example } from "../dataset/example.ts";
import type { BatchProgress } from "../llm/batches/batch-asker.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import type { Gate, Question } from "../run/records/common.ts";
import type { Rating, Scale } from "../run/rating.ts";

export type { Scale } from "../run/rating.ts";

/**
 * Rates examples. Every kind of judge implements this interface.
 *
 * `rate` takes examples in batches and yields one rating per example, in the same order. Its batches may be cut
 * differently. A problem with one example becomes the state of its rating; `rate` throws only what stops the whole run.
 */
export interface Judge {
  /** The name that users write: `student`, `recorded:scores.json`, `openai:gpt-5-mini`. */
  readonly name: string;
  /** Undefined for recorded scores without a given scale; only their range is then known. */
  readonly scale?: Scale | undefined;
  /** Notes on this judge for readers of a summary, one line each. Complete once all rows are rated. */
  readonly notes: readonly string[];
  /** How it asks, for judges that call a model. Ratings under different questions are not the same ratings. */
  readonly question?: Question | undefined;
  /** Problems with its ratings, one line each. Complete once all rows are rated. */
  readonly alarms?: readonly string[] | undefined;
  /** The results of the checks made before it rated, for judges that are checked. */
  readonly checks?: readonly Gate[] | undefined;
  /** A report on its calls so far, for judges that call a model. */
  readonly calls?: (() => CallsReport) | undefined;
  /** Where its replies are stored and what they cost. */
  readonly accounts?: (() => JudgeAccounts) | undefined;
  /**
   * Work that must be done before rating, such as asking in batches. Takes a function that gives all examples from the
   * beginning at each call.
   */
  readonly prepare?: Prepare<Example> | undefined;
  /** Work that must be done once all rows are rated. */
  readonly finish?: (() => Promise<void>) | undefined;
  rate(examples: AsyncIterable<readonly Example[]>): AsyncIterable<readonly Rating[]>;
}

/** Does work in advance that is better done for all items at once. */
export type Prepare<Item> = (
  items: () => AsyncIterable<readonly Item[]>,
  onProgress?: (progress: BatchProgress) => void,
) => Promise<void>;

/** Where a judge's replies are stored, and what they cost. Money in billionths of a US dollar; null when no price is known. */
export interface JudgeAccounts {
  /** The call store's path. */
  readonly store: string;
  readonly priceBasis: string | null;
  readonly budgetUsd?: number | undefined;
  /** What this run has paid so far, earlier commands included. */
  readonly runPaid: number | null;
  /** The most that the provider may charge for attempts whose reply never arrived. */
  readonly runPerhapsPaid: number;
  /** The mean cost of a reply of this model so far. */
  readonly meanCost: number | null;
}
