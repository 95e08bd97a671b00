/**
 * The exact two-sided sign test (Conover 1999, section 3.4): how likely a split at least this uneven is when winning and
 * losing are equally likely. Ties do not count. 1 without wins and losses. For independent pairs only.
 */
export function signTest(wins: number, losses: number): number {
  const n = wins + losses;
  const larger = Math.max(wins, losses);
  let tail = 0;
  for (let k = larger; k <= n; k++) tail += Math.exp(logChoose(n, k) - n * Math.LN2);
  return Math.min(1, 2 * tail);
}

/** The logarithm of the binomial coefficient: the number of ways to choose k of n. */
export function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const logFactorials: number[] = [0];

function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1]! + Math.log(i));
  return logFactorials[n]!;
}
