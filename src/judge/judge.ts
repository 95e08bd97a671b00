import type { Example } from "../dataset/example.ts";
import type { BatchProgress } from "../llm/ask-in-batches.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import type { Gate, Question } from "../run/records/common.ts";
import type { Rating, Scale } from "../run/rating.ts";

export type { Scale } from "../run/rating.ts";

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
  /** What the reader of a summary should know about this judge, a line each; complete when all is rated. */
  readonly notes: readonly string[];
  /** How it asks, for judges that do: what it says under another question are other ratings. */
  readonly question?: Question;
  /** What is wrong with how it rates, a line each; complete when all is rated. */
  readonly alarms?: readonly string[] | undefined;
  /** What was looked at before it rated, for judges that are checked. */
  readonly checks?: readonly Gate[] | undefined;
  /** What its calls did so far, for judges that make calls. */
  readonly calls?: () => CallsReport;
  /** Where the replies are and what they cost. */
  readonly accounts?: () => JudgeAccounts;
  /**
   * What is to be done before it rates, for judges that ask in batches; takes all examples, from the beginning each time
   * they are asked for.
   */
  readonly prepare?: Prepare<Example>;
  /** What is to be done when all is rated. */
  readonly finish?: () => Promise<void>;
  rate(examples: AsyncIterable<readonly Example[]>): AsyncIterable<readonly Rating[]>;
}

/** Does ahead what is better done for all items at once. */
export type Prepare<Item> = (
  items: () => AsyncIterable<readonly Item[]>,
  onProgress?: (progress: BatchProgress) => void,
) => Promise<void>;

/** Where a judge's replies are, and what they cost. Money in billionths of a US dollar; null when no price is known. */
export interface JudgeAccounts {
  /** The call store's path. */
  readonly store: string;
  readonly priceBasis: string | null;
  readonly budgetUsd?: number;
  /** What this run has paid, this time and before. */
  readonly runPaid: number | null;
  /** At most this much may be on the bill for attempts whose reply never arrived. */
  readonly runPerhapsPaid: number;
  /** The mean cost of a reply of this model so far. */
  readonly meanCost: number | null;
}
