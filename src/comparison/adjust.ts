import { benjaminiHochberg, holm } from "../stats/many-comparisons.ts";

/** What a test concludes about arm A, compared with arm B. */
export type Conclusion = "better" | "worse" | "no difference shown" | "nothing can be concluded";

/** A p-value corrected for multiple comparisons. */
export interface Adjusted {
  readonly pValue: number;
  /** The number of comparisons, this one included. */
  readonly comparisons: number;
  readonly method: "Holm" | "Benjamini-Hochberg";
}

const significance = 0.05;
const unconcluded: Conclusion = "nothing can be concluded";

/** The conclusion from a p-value and a winning score. */
export function concludeFrom(pValue: number, winningScore: number | null): Conclusion {
  if (!(pValue < significance) || winningScore === null) return "no difference shown";
  return winningScore > 1 ? "better" : "worse";
}

/** A result with its uncorrected p-value. */
interface Tested {
  readonly pValue: number;
  readonly winningScore: { readonly value: number | null };
  readonly conclusion?: Conclusion | undefined;
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
    // where nothing could be concluded, no correction changes that
    conclusion: result.conclusion === unconcluded ? unconcluded : concludeFrom(pValues[i]!, result.winningScore.value),
  }));
}

/** The key of a command's comparisons. For an experiment it is the recipe: parts of it may be run with different options. */
function familyOf(command: string): string {
  return /^\S+ run \S+/.exec(command)?.[0] ?? command;
}

/** Commands that made a comparison, beside the latest. */
interface Made {
  readonly command?: string | undefined;
  readonly earlierCommands?: readonly string[] | undefined;
}

const familiesOf = ({ command, earlierCommands = [] }: Made): Set<string> =>
  new Set([command, ...earlierCommands].flatMap((one) => (one === undefined ? [] : [familyOf(one)])));

/** Whether a comparison was made by a recipe; one without a command is the library's, and may be. */
export function isOfRecipe(made: Made): boolean {
  const families = [...familiesOf(made)];
  return families.length === 0 || families.some((family) => /^\S+ run\b/.test(family));
}

/** The earlier commands of a comparison that is made again by `command`: it stays one of those that they made. */
export function commandsBefore(previous: Made | undefined, command: string | undefined): string[] | undefined {
  if (previous === undefined) return undefined;
  const earlier = familiesOf(previous);
  if (command !== undefined) earlier.delete(familyOf(command));
  return earlier.size === 0 ? undefined : [...earlier];
}

/** A group's result with its conclusion. */
type Concluded = Tested & Concluding & { readonly adjusted?: Adjusted | undefined };

/**
 * Corrects the pooled results of whole comparisons by Holm's method, and those of their test sets. The comparisons made by one command are
 * corrected together, whatever their arms and judges; one that is made again by another command stays among them.
 */
export function adjustComparisons<C extends Made & { readonly pooled: Concluded; readonly sets: readonly Concluded[] }>(
  comparisons: readonly C[],
): C[] {
  const families = comparisons.map(familiesOf);
  return comparisons.map((one, i) => {
    const family = comparisons.filter((_, j) => j === i || [...families[j]!].some((name) => families[i]!.has(name)));
    if (family.length < 2) return one;
    const at = family.indexOf(one);
    const pooled = adjust(
      family.map((other) => other.pooled),
      "Holm",
    )[at]!;
    if (one.sets.length < 2) {
      const { adjusted, conclusion } = pooled; // the same pairs
      return { ...one, pooled, sets: one.sets.map((set) => ({ ...set, adjusted, conclusion })) };
    }
    const several = family.map(({ sets }) => (sets.length > 1 ? sets : []));
    const before = several.slice(0, at).flat().length;
    const sets = adjust(several.flat(), "Holm").slice(before, before + one.sets.length);
    return { ...one, pooled, sets };
  });
}

type Concluding = { readonly conclusion: Conclusion };

/** A comparison, without conclusions where it is not complete: what is missing may not be like the rest. */
export function concludeIfComplete<
  S extends {
    readonly calls?: { readonly stopped?: string | undefined } | undefined;
    readonly gates: readonly { readonly held: boolean }[];
    readonly pooled: Concluding;
    readonly sets: readonly Concluding[];
    readonly categories: readonly Concluding[];
    readonly difficulties?: readonly Concluding[] | undefined;
  },
>(summary: S): S {
  if (!summary.calls?.stopped && summary.gates.every(({ held }) => held)) return summary;
  const open = <G extends Concluding>(group: G): G => ({ ...group, conclusion: unconcluded });
  return {
    ...summary,
    pooled: open(summary.pooled),
    sets: summary.sets.map(open),
    categories: summary.categories.map(open),
    ...(summary.difficulties && { difficulties: summary.difficulties.map(open) }),
  };
}
