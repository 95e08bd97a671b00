import { outcomeOf, type Outcome, type Preference } from "../stats/outcomes.ts";

/** Two answers to one prompt. */
export interface AnswerPair {
  readonly id: string;
  /** The test set. */
  readonly set: string;
  readonly category?: string;
  readonly instruction: string;
  readonly input: string;
  readonly answers: readonly [a: string, b: string];
}

/** How the judgement of a pair in one order ended; only a judged one says who won. */
export type VerdictState = "judged" | "refused" | "unparsable" | "truncated" | "failed" | "pending";

/** One of the two arms of a comparison: figures are told from A's side. */
export type Side = "A" | "B";

/** What a judge said of a pair in one order, by the arms' names A and B, whichever was shown first. */
export type Verdict = {
  /** Whose answer the judge saw first; undefined when nobody wrote it down. */
  readonly shownFirst?: Side;
  /** The key of the reply in the call store. */
  readonly call?: string;
  /** What the judge said word for word, where no call store has it: of published judgements. */
  readonly reply?: string;
} & (
  | {
      readonly state: "judged";
      /** Whose answer is the better one. */
      readonly winner: Side | "draw";
      /** Of each arm, from judges that give scores. */
      readonly scores?: Readonly<Record<Side, number>>;
    }
  | { readonly state: Exclude<VerdictState, "judged">; readonly detail?: string }
);

/** A pair of answers to one prompt, judged in both orders. */
export interface PairVerdict {
  readonly id: string;
  /** The test set. */
  readonly set: string;
  /** What it has in common with other pairs of its set, where that is more than its id: the turns of one conversation. */
  readonly prompt?: string;
  readonly category?: string;
  readonly outcome: Outcome;
  /**
   * The two orders. One, where published judgements have only one: the outcome is then that one's. None, where the answers
   * are the same, which is a tie without asking.
   */
  readonly orders: readonly Verdict[];
  /** What was judged, where it is known. */
  readonly instruction?: string;
  readonly input?: string;
  readonly answers?: readonly [a: string, b: string];
  /** How far the judge prefers A's answer, 0 to 1, from judges that say it in grades. */
  readonly preference?: number;
  /** Which of several trainings of the two arms it is, where they are pooled. */
  readonly training?: number;
  /** Characters of A's and B's answer, where they are known. */
  readonly lengths?: readonly [number, number];
}

/** The outcome of a pair from its orders' verdicts, by the paper's rule. */
export function outcomeOfOrders(orders: readonly Verdict[]): Outcome {
  const said = orders.map((verdict) => (verdict.state === "judged" ? preferences[verdict.winner] : undefined));
  return said.length === 1 ? outcomeOf(said[0], said[0]) : outcomeOf(said[0], said[1]);
}

const preferences = { A: "first", draw: "draw", B: "second" } as const satisfies Record<Side | "draw", Preference>;
