import type { EscalationResult } from "../escalation/escalation.ts";
import type { Example } from "../dataset/example.ts";
import type { BatchProgress } from "../llm/batches/batch-asker.ts";
import type { CallsReport } from "../llm/call-tally.ts";
import type { Gate, Question } from "../run/records/common.ts";
import type { Rating, Scale } from "../run/rating.ts";

export type { Scale } from "../run/rating.ts";

/**
 * What every judge does: rates examples.
 *
 * `rate` takes examples in batches and yields one rating per example, in the same order. Its batches may be cut
 * differently. A problem with one example becomes the state of its rating; `rate` throws only what stops the whole run.
 */
export interface Rater {
  /** The name that users write: `student`, `recorded:scores.json`, `openai:gpt-5-mini`. */
  readonly name: string;
  /** Undefined for recorded scores without a given scale; only their range is then known. */
  readonly scale?: Scale | undefined;
  /** Notes on this judge for readers of a summary, one line each. Complete once all rows are rated. */
  readonly notes: readonly string[];
  rate(examples: AsyncIterable<readonly Example[]>): AsyncIterable<readonly Rating[]>;
}

/** What a judge can tell that calls a model. */
interface Asking {
  /** How it asks. Ratings under different questions are not the same ratings. */
  readonly question: Question;
  /** A report on its calls so far. */
  readonly calls: () => CallsReport;
  /** Where its replies are stored and what they cost. */
  readonly accounts: () => JudgeAccounts;
  /** Whether the store has what came of a call. @param key of the call */
  readonly hasCall: (key: string) => boolean;
}

/** What some judges do and tell besides rating. A judge leaves out what it cannot. */
export interface JudgeAbilities extends Asking {
  /**
   * Work that must be done before rating, such as asking in batches. Takes a function that gives all examples from the
   * beginning at each call.
   */
  readonly prepare: Prepare<Example>;
  /** Work that must be done once all rows are rated. */
  readonly finish: () => Promise<void>;
  /** The names of the marks that it may give beside a score. */
  readonly markNames: readonly string[];
  /** Problems with its ratings, one line each. Complete once all rows are rated. */
  readonly alarms: readonly string[];
  /** How far it is, where rating takes long without any call: rows that are done, and what it does before the first. */
  readonly work: () => { readonly done: number; readonly phase: string | undefined };
  /** The results of the checks made before it rated. */
  readonly checks: readonly (Gate & { readonly isUnknown?: boolean | undefined })[];
  /** The judges that it combines. */
  readonly panel: Panel;
  /** The judge that it asks about the rows it is unsure of. */
  readonly escalating: Escalating;
}

/** Rates examples. Every kind of judge implements this interface. */
export interface Judge extends Rater, Optional<JudgeAbilities> {}

type Optional<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

/** Several judges whose scores are combined into one. */
export interface Panel {
  readonly members: readonly Judge[];
  readonly combine: Combination;
}

/** Ways to combine several judges' scores into one. */
export const combinations = ["mean", "median", "lowest"] as const;
export type Combination = (typeof combinations)[number];

/** The result of escalating; see `EscalationResult`. */
export interface Escalation extends Omit<EscalationResult, "asked" | "probabilities"> {
  readonly asked: number;
  readonly rows: number;
  readonly minScore: number;
}

/** A student that asks another judge. */
export interface Escalating {
  readonly studentName: string;
  /** The judge that the student asks. */
  readonly other: Judge;
  /** The result; undefined until it is prepared, and when asking was stopped. */
  readonly result: () => Escalation | undefined;
  /** Rows of the budget that the other judge has not rated yet. */
  readonly left: () => number;
  /** Predicts which examples the other judge will rate, before it has rated any. */
  expect(examples: () => AsyncIterable<readonly Example[]>): AsyncIterable<readonly Example[]>;
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
  /** What is reserved for calls in batches; absent where there are none. */
  readonly batched?: number;
  /** The mean cost of a reply of this model, by the tokens of those so far. */
  readonly meanCost: number | null;
  /** The most that a call of this command can cost; absent where none has a price. */
  readonly highestCost?: number;
}
