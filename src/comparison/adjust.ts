import { benjaminiHochberg, holm } from "../stats/many-comparisons.ts";

/** What a test concludes about arm A, compared with arm B. */
export type Conclusion = "better" | "worse" | "no difference shown";

/** A p-value corrected for multiple comparisons. */
export interface Adjusted {
  readonly pValue: number;
  /** The number of comparisons, this one included. */
  readonly comparisons: number;
  readonly method: "Holm" | "Benjamini-Hochberg";
}

const significance = 0.05;

/** The conclusion from a p-value and a winning score. */
export function concludeFrom(pValue: number, winningScore: number | null): Conclusion {
  if (!(pValue < significance) || winningScore === null) return "no difference shown";
  return winningScore > 1 ? "better" : "worse";
}

/** A result with its uncorrected p-value. */
interface Tested {
  readonly pValue: number;
  readonly winningScore: { readonly value: number | null };
}

/**
 * Corrects p-values for multiple comparisons, and draws the conclusions from the corrected ones. A single p-value stays as it
 * is. Holm's method limits the chance of any false finding, for a few comparisons. Benjamini and Hochberg's limits the
 * expected share of false findings, for many.
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

/** The key of a command's comparisons. For an experiment it is the recipe: parts of it may be run with different options. */
function familyOf(command: string | undefined): string | undefined {
  return /^\S+ run \S+/.exec(command ?? "")?.[0] ?? command;
}

/**
 * Corrects the pooled results of whole comparisons by Holm's method. The comparisons made by one command are corrected
 * together, whatever their arms and judges.
 */
export function adjustComparisons<C extends { readonly command?: string | undefined; readonly pooled: Tested }>(
  comparisons: readonly C[],
): C[] {
  const byCommand = Map.groupBy(comparisons, ({ command }) => familyOf(command));
  const adjusted = new Map<C, C>();
  for (const [command, family] of byCommand) {
    if (command === undefined || family.length < 2) continue;
    const pooled = adjust(
      family.map((one) => one.pooled),
      "Holm",
    );
    for (const [i, one] of family.entries()) adjusted.set(one, { ...one, pooled: pooled[i]! });
  }
  return comparisons.map((one) => adjusted.get(one) ?? one);
}
