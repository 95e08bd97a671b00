/*
 * Corrects p-values for multiple comparisons: among many, some are small by chance.
 */

/** Holm's method (1979): the chance that any value below 5 % is a false finding is at most 5 %. In the order given. */
export function holm(pValues: readonly number[]): number[] {
  const order = ascending(pValues);
  const adjusted: number[] = [];
  let most = 0;
  for (const [place, i] of order.entries()) {
    most = Math.max(most, Math.min(1, (pValues.length - place) * pValues[i]!));
    adjusted[i] = most;
  }
  return adjusted;
}

/** Benjamini and Hochberg's method (1995): of the findings below 5 %, at most 5 % are expected to be false. In the order given. */
export function benjaminiHochberg(pValues: readonly number[]): number[] {
  const order = ascending(pValues);
  const adjusted: number[] = [];
  let least = 1;
  for (const [place, i] of [...order.entries()].toReversed()) {
    least = Math.min(least, (pValues.length / (place + 1)) * pValues[i]!);
    adjusted[i] = least;
  }
  return adjusted;
}

function ascending(values: readonly number[]): number[] {
  return values.map((_, i) => i).toSorted((a, b) => values[a]! - values[b]!);
}
