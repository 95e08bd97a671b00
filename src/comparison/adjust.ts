import { benjaminiHochberg, holm } from "../stats/many-comparisons.ts";

/** What a test says of the arm whose side is told. */
export type Conclusion = "better" | "worse" | "no difference shown";

/** A p-value corrected for the comparisons that were made beside it. */
export interface Adjusted {
  readonly pValue: number;
  /** How many they were, with this one. */
  readonly comparisons: number;
  readonly method: "Holm" | "Benjamini-Hochberg";
}

const significance = 0.05;

/** What a p-value says of a winning score. */
export function concludeFrom(pValue: number, winningScore: number | null): Conclusion {
  if (!(pValue < significance) || winningScore === null) return "no difference shown";
  return winningScore > 1 ? "better" : "worse";
}

/** A result with its p-value as it is without any other. */
interface Tested {
  readonly pValue: number;
  readonly winningScore: { readonly value: number | null };
}

/**
 * Corrects the p-values of comparisons that were made beside one another, and what is concluded from them. One alone stays as it
 * is. Holm's method guards a few claims against any false one; Benjamini and Hochberg's bounds the share of false ones among many.
 */
export function adjust<R extends Tested>(
  results: readonly R[],
  method: Adjusted["method"],
): (R & { readonly adjusted?: Adjusted; readonly conclusion: Conclusion })[] {
  const correct = method === "Holm" ? holm : benjaminiHochberg;
  const pValues = correct(results.map(({ pValue }) => pValue));
  return results.map((result, i) => ({
    ...result,
    ...(results.length > 1 && { adjusted: { pValue: pValues[i]!, comparisons: results.length, method } }),
    conclusion: concludeFrom(pValues[i]!, result.winningScore.value),
  }));
}

/** What tells commands apart: of an experiment its recipe, since it may be run in parts with other options each time. */
function familyOf(command: string | undefined): string | undefined {
  return /^\S+ run \S+/.exec(command ?? "")?.[0] ?? command;
}

/**
 * The same for the pooled results of whole comparisons: those that one command made belong together, whichever arms and judges
 * they are of.
 */
export function adjustComparisons<C extends { readonly command?: string | undefined; readonly pooled: Tested }>(
  comparisons: readonly C[],
): C[] {
  const byCommand = Map.groupBy(comparisons, ({ command }) => familyOf(command));
  const adjusted = new Map<C, C>();
  for (const [command, together] of byCommand) {
    if (command === undefined || together.length < 2) continue;
    const pooled = adjust(
      together.map((one) => one.pooled),
      "Holm",
    );
    for (const [i, one] of together.entries()) adjusted.set(one, { ...one, pooled: pooled[i]! });
  }
  return comparisons.map((one) => adjusted.get(one) ?? one);
}
