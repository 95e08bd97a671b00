/*
 * From verdicts to outcomes and the winning score, by the rule of AlpaGasus (arXiv 2307.08701, section 4.1).
 */

/** Which of two answers won in one order, or a draw. Functions take undefined for a reply that could not be read. */
export type Preference = "first" | "draw" | "second";

/** How a pair ended for the first arm; `undecided` when an order has no readable verdict. */
export const outcomes = ["win", "tie", "lose", "undecided"] as const;
export type Outcome = (typeof outcomes)[number];

export type OutcomeCounts = Readonly<Record<Outcome, number>>;

/**
 * The outcome from both orders: win = two wins, or a win and a draw; tie = two draws, or a win and a loss; lose = two
 * losses, or a loss and a draw. Without both verdicts it is undecided, never a tie.
 */
export function outcomeOf(one: Preference | undefined, other: Preference | undefined): Outcome {
  if (one === undefined || other === undefined) return "undecided";
  const sum = preferenceValue[one] + preferenceValue[other];
  if (sum > 0) return "win";
  return sum < 0 ? "lose" : "tie";
}

const preferenceValue: Readonly<Record<Preference, number>> = { first: 1, draw: 0, second: -1 };

export function countOutcomes(list: Iterable<Outcome>): OutcomeCounts {
  const counts = { win: 0, tie: 0, lose: 0, undecided: 0 };
  for (const outcome of list) counts[outcome]++;
  return counts;
}

/** (wins - losses) / (wins + ties + losses) + 1: 1 is parity, 2 winning everything, 0 losing everything. NaN without a decided pair. */
export function winningScore({ win, tie, lose }: OutcomeCounts): number {
  return (win - lose) / (win + tie + lose) + 1;
}
