import type { Exchange } from "../dataset/prompts.ts";
import { outcomeOf, type Outcome, type Preference } from "../stats/outcomes.ts";

/** Two answers to one prompt. */
export interface AnswerPair {
  readonly id: string;
  /** The test set. */
  readonly set: string;
  readonly category?: string | undefined;
  /** How hard the prompt is, 1 to 10, if its set says so. */
  readonly difficulty?: number | undefined;
  readonly instruction: string;
  readonly input: string;
  readonly answers: readonly [a: string, b: string];
  /** The prompt's id, where several pairs are turns of one conversation. */
  readonly prompt?: string | undefined;
  /** The conversations that the answers end, A's and B's, for a turn after the first. Both have the same questions. */
  readonly dialogues?: readonly [a: readonly Exchange[], b: readonly Exchange[]] | undefined;
  /** Good answers to the questions so far, where the set has them. */
  readonly references?: readonly string[] | undefined;
}

/** Whether there is nothing to judge: the answers are the same, and so is all that came before them. */
export function isSame({ answers, dialogues }: Pick<AnswerPair, "answers" | "dialogues">): boolean {
  return answers[0] === answers[1] && (!dialogues || JSON.stringify(dialogues[0]) === JSON.stringify(dialogues[1]));
}

/** How the judgement of a pair in one order ended. Only a judged pair has a winner. */
export type VerdictState = "judged" | "refused" | "unparsable" | "truncated" | "failed" | "pending";

/** One of the two arms of a comparison. Figures are stated for A: its wins, its scores. */
export type Side = "A" | "B";

/** A judge's verdict on a pair in one order. It is stated for A and B, whichever was shown first. */
export type Verdict = {
  /** Whose answer the judge saw first; undefined when it was not recorded. */
  readonly shownFirst?: Side | undefined;
  /** The key of the reply in the call store. */
  readonly call?: string | undefined;
  /** Parts of the rubric's own text that the answers or the prompt contain. */
  readonly intrusions?: readonly string[] | undefined;
  /** The judge's reply word for word, for published judgements, which are in no call store. */
  readonly reply?: string | undefined;
} & (
  | {
      readonly state: "judged";
      /** Whose answer is the better one. */
      readonly winner: Side | "draw";
      /** Each arm's score, from judges that give scores. */
      readonly scores?: Readonly<Record<Side, number>> | undefined;
      /** How strongly the judge prefers A's answer, 0 to 1, from judges with graded preferences. */
      readonly preference?: number | undefined;
      /** How many verdicts it counts as in the graded win rate. Default 1. */
      readonly weight?: number | undefined;
    }
  | { readonly state: Exclude<VerdictState, "judged">; readonly detail?: string }
);

/** A pair of answers to one prompt, judged in both orders. */
export interface PairVerdict {
  readonly id: string;
  /** The test set. */
  readonly set: string;
  /** The key of the prompt, if several pairs of a set share one, such as the turns of a conversation. Default: the id. */
  readonly prompt?: string | undefined;
  readonly category?: string | undefined;
  /** How hard the prompt is, 1 to 10, if its set says so. */
  readonly difficulty?: number | undefined;
  readonly outcome: Outcome;
  /**
   * The verdicts in both orders. Only one if published judgements have only one, which then decides the outcome. None if
   * the answers are the same: a tie without calling the judge.
   */
  readonly orders: readonly Verdict[];
  /** The prompt and the answers that were judged, if known. */
  readonly instruction?: string | undefined;
  readonly input?: string | undefined;
  readonly answers?: readonly [a: string, b: string] | undefined;
  /** The conversations that they end, for a turn after the first. */
  readonly dialogues?: AnswerPair["dialogues"];
  /** How strongly the judge prefers A's answer, 0 to 1, from judges with graded preferences: the mean over the orders, by their weights. */
  readonly preference?: number | undefined;
  /** How many verdicts the pair counts as in the graded win rate. Default: all pairs count the same. */
  readonly weight?: number | undefined;
  /** The number of the training of the two arms, if several trainings are pooled. */
  readonly training?: number | undefined;
  /** The lengths of A's and B's answers in characters, if known. */
  readonly lengths?: readonly [number, number] | undefined;
}

/** The outcome of a pair from its orders' verdicts, by the paper's rule. */
export function outcomeOfOrders(orders: readonly Verdict[]): Outcome {
  const said = orders.map((verdict) => (verdict.state === "judged" ? preferences[verdict.winner] : undefined));
  return said.length === 1 ? outcomeOf(said[0], said[0]) : outcomeOf(said[0], said[1]);
}

/** The graded preference of a pair from its orders' verdicts; nothing unless every one of them has a preference. */
export function preferenceOfOrders(orders: readonly Verdict[]): Pick<PairVerdict, "preference" | "weight"> {
  let [sum, total] = [0, 0];
  for (const verdict of orders) {
    if (verdict.state !== "judged" || verdict.preference === undefined) return {};
    const { preference, weight = 1 } = verdict;
    sum += weight * preference;
    total += weight;
  }
  const isWeighted = orders.some((verdict) => verdict.state === "judged" && verdict.weight !== undefined);
  return total > 0 ? { preference: sum / total, ...(isWeighted && { weight: total }) } : {};
}

const preferences = { A: "first", draw: "draw", B: "second" } as const satisfies Record<Side | "draw", Preference>;
