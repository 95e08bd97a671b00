import { betaQuantile } from "./distributions.ts";
import type { Estimate } from "./estimate.ts";
import type { Random } from "./random.ts";
import { logChoose } from "./sign-test.ts";

/*
 * Bounds on how much of a population is marked, from a random sample of it; and random draws for such shares.
 */

/** A random sample without replacement: the size of the population, how many were drawn, and how many of these are marked. */
export interface Sample {
  readonly of: number;
  readonly drawn: number;
  readonly marked: number;
}

/**
 * The upper bound on how many of the population are marked: with more, so few marked ones in the sample would have at most
 * probability `doubt` (Clopper and Pearson 1934, for a finite population). The whole population, if none was drawn.
 */
export function mostMarked({ of, drawn, marked }: Sample, doubt: number): number {
  let least = marked;
  let most = of - (drawn - marked);
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (probabilityOfAtMost(marked, of, middle, drawn) > doubt) least = middle;
    else most = middle - 1;
  }
  return least;
}

/** The lower bound on how many of the population are marked; see `mostMarked`. */
export function leastMarked({ of, drawn, marked }: Sample, doubt: number): number {
  return of - mostMarked({ of, drawn, marked: drawn - marked }, doubt);
}

/** A share with its exact 95 % interval (Clopper and Pearson 1934). NaN, between 0 and 1, of none. */
export function exactShare(marked: number, of: number): Estimate {
  return {
    value: of === 0 ? NaN : marked / of,
    low: marked === 0 ? 0 : betaQuantile(0.025, marked, of - marked + 1),
    high: marked === of ? 1 : betaQuantile(0.975, marked + 1, of - marked),
  };
}

/** The probability that at most `few` of the drawn things are marked (hypergeometric distribution). */
function probabilityOfAtMost(few: number, of: number, marked: number, drawn: number): number {
  const ways = logChoose(of, drawn);
  let sum = 0;
  for (let k = Math.max(0, drawn - (of - marked)); k <= Math.min(few, marked); k++)
    sum += Math.exp(logChoose(marked, k) + logChoose(of - marked, drawn - k) - ways);
  return sum;
}

/** A draw from the standard normal distribution (Box and Muller 1958). */
export function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A draw from the beta distribution; 0 or 1 if one of its parameters is 0, and 0.5 if both are. */
export function drawBeta(a: number, b: number, random: Random): number {
  const one = drawGamma(a, random);
  const other = drawGamma(b, random);
  return one + other > 0 ? one / (one + other) : 0.5;
}

/** A draw from the gamma distribution (Marsaglia and Tsang 2000). */
function drawGamma(shape: number, random: Random): number {
  if (shape <= 0) return 0;
  if (shape < 1) return drawGamma(shape + 1, random) * (1 - random()) ** (1 / shape);
  const d = shape - 1 / 3;
  for (;;) {
    const normal = drawNormal(random);
    const v = (1 + normal / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * normal ** 2 + d * (1 - v + Math.log(v))) return d * v;
  }
}
