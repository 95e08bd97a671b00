import type { TestedEstimate } from "./crossed-mean.ts";
import { normalTwoSided, z975 } from "./distributions.ts";
import type { Estimate } from "./estimate.ts";
import { wilson } from "./wilson.ts";

/** A share of independent items, from 0 to 1. */
export interface PublishedShare {
  readonly share: number;
  readonly items: number;
}

/**
 * The difference of two shares of which only the values are known, as in a published table: a minus b, from -1 to 1. The interval is Newcombe's (1998, method 10: from Wilson's intervals); p is the level at which that interval ends at 0.
 *
 * It also holds for means of values within 0 and 1, whose variance is at most that of a share of the same mean, and for two models on the
 * same items, whose results go together: then it is wider than it need be. NaN without items.
 */
export function shareDifference(a: PublishedShare, b: PublishedShare): TestedEstimate {
  if (!(a.items > 0 && b.items > 0)) return { value: NaN, low: NaN, high: NaN, pValue: NaN };
  const { low, high } = bounds(a, b, z975);
  let [least, most] = [0, 40];
  for (let round = 0; round < 60; round++) {
    const z = (least + most) / 2;
    const tried = bounds(a, b, z);
    if (tried.low > 0 || tried.high < 0) least = z;
    else most = z;
  }
  return { value: a.share - b.share, low, high, pValue: normalTwoSided(least) };
}

function bounds(a: PublishedShare, b: PublishedShare, z: number): { low: number; high: number } {
  const [ours, theirs] = [a, b].map(({ share, items }) => wilson(share * items, items, z)) as [Estimate, Estimate];
  const value = a.share - b.share;
  return {
    low: value - Math.hypot(a.share - ours.low, theirs.high - b.share),
    high: value + Math.hypot(ours.high - a.share, b.share - theirs.low),
  };
}

/**
 * Whether a published percentage can be a whole number of right items among so many, give or take one unit of its last digit (the GRIM test
 * of Brown and Heathers 2017).
 *
 * @param decimals how many the percentage was rounded to
 */
export function isPossibleShare(percent: number, items: number, decimals: number): boolean {
  const nearest = Math.min(items, Math.max(0, Math.round((percent / 100) * items)));
  return Math.abs((100 * nearest) / items - percent) < 1.000001 * 10 ** -decimals;
}
