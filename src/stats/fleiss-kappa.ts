/**
 * Fleiss' kappa (1971): how far several raters agree beyond chance, whoever rated what. 1 is full agreement, 0 is as much as by chance. Items
 * with fewer than two ratings do not count; NaN without items, or when all ratings are the same.
 *
 * @param counts for each item, how many raters chose each category
 * @param weights how often each item counts; once when left out
 */
export function fleissKappa(counts: readonly (readonly number[])[], weights?: ArrayLike<number>): number {
  let [items, agreed, ratings] = [0, 0, 0];
  const totals: number[] = [];
  for (const [i, item] of counts.entries()) {
    const n = item.reduce((sum, count) => sum + count, 0);
    const weight = weights ? weights[i]! : 1;
    if (n < 2 || weight === 0) continue;
    items += weight;
    ratings += weight * n;
    agreed += (weight * (item.reduce((sum, count) => sum + count * count, 0) - n)) / (n * (n - 1));
    for (const [category, count] of item.entries()) totals[category] = (totals[category] ?? 0) + weight * count;
  }
  const chance = totals.reduce((sum, total) => sum + (total / ratings) ** 2, 0);
  return items > 0 && chance < 1 ? (agreed / items - chance) / (1 - chance) : NaN;
}
