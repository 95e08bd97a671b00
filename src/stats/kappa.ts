/**
 * Cohen's kappa: how far two judges agree beyond chance, 1 for always, 0 for as often as chance would have it. NaN when
 * both always say the same one thing.
 *
 * @param weights how often each position counts
 */
export function cohensKappa(a: readonly string[], b: readonly string[], weights?: ArrayLike<number>): number {
  const countsA = new Map<string, number>();
  const countsB = new Map<string, number>();
  let total = 0;
  let agreed = 0;
  for (const [i, said] of a.entries()) {
    const weight = weights ? weights[i]! : 1;
    total += weight;
    if (said === b[i]) agreed += weight;
    countsA.set(said, (countsA.get(said) ?? 0) + weight);
    countsB.set(b[i]!, (countsB.get(b[i]!) ?? 0) + weight);
  }
  let chance = 0;
  for (const [said, count] of countsA) chance += (count * (countsB.get(said) ?? 0)) / total ** 2;
  return chance < 1 ? (agreed / total - chance) / (1 - chance) : NaN;
}
