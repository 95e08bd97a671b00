/*
 * Whether wins and losses differ by more than chance, and how many prompts it would take to tell.
 */

/**
 * The exact two-sided sign test (Conover 1999, section 3.4): how likely a split at least this uneven is when winning and
 * losing are equally likely. Ties do not count. 1 without wins and losses.
 */
export function signTest(wins: number, losses: number): number {
  const n = wins + losses;
  const larger = Math.max(wins, losses);
  let tail = 0;
  for (let k = larger; k <= n; k++) tail += Math.exp(logChoose(n, k) - n * Math.LN2);
  return Math.min(1, 2 * tail);
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const logFactorials: number[] = [0];

function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1]! + Math.log(i));
  return logFactorials[n]!;
}

const z975 = 1.959964;
const z80 = 0.841621;
const leastDecisive = 6; // with fewer, not even one side winning all of them is shown

/**
 * How many prompts a sign test at 5 % needs to show a difference of this size four times in five, by the normal
 * approximation (Connor 1987, for paired proportions). Infinity when wins and losses are even.
 */
export function promptsNeeded({
  win,
  tie,
  lose,
}: {
  readonly win: number;
  readonly tie: number;
  readonly lose: number;
}): number {
  const split = win + lose;
  const share = win / split;
  if (split === 0 || share === 0.5) return Infinity;
  const decisive = ((z975 * 0.5 + z80 * Math.sqrt(share * (1 - share))) / (share - 0.5)) ** 2;
  return Math.ceil((Math.max(leastDecisive, decisive) * (split + tie)) / split);
}
