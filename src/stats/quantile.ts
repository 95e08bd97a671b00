/** The quantile of ascending values, by linear interpolation; NaN without values. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const value = sorted[below] ?? NaN;
  return value + (at - below) * ((sorted[below + 1] ?? value) - value);
}
