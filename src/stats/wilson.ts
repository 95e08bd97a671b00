import type { Estimate } from "./estimate.ts";
import { z975 } from "./distributions.ts";

/** A share of independent cases with its 95 % interval by Wilson's score method (1927); NaN without cases. */
export function wilson(hits: number, cases: number): Estimate {
  const value = hits / cases;
  const z2 = z975 ** 2;
  const centre = (value + z2 / (2 * cases)) / (1 + z2 / cases);
  const margin = (z975 * Math.sqrt((value * (1 - value)) / cases + z2 / (4 * cases ** 2))) / (1 + z2 / cases);
  return {
    value,
    low: hits === 0 ? 0 : Math.max(0, centre - margin),
    high: hits === cases ? 1 : Math.min(1, centre + margin),
  };
}
