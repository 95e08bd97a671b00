import type { Estimate } from "./estimate.ts";
import { z975 } from "./distributions.ts";

/** A share of independent cases with its interval by Wilson's score method (1927), 95 % unless told; NaN without cases. */
export function wilson(hits: number, cases: number, z: number = z975): Estimate {
  const value = hits / cases;
  const z2 = z ** 2;
  const centre = (value + z2 / (2 * cases)) / (1 + z2 / cases);
  const margin = (z * Math.sqrt((value * (1 - value)) / cases + z2 / (4 * cases ** 2))) / (1 + z2 / cases);
  return {
    value,
    low: hits === 0 ? 0 : Math.max(0, centre - margin),
    high: hits === cases ? 1 : Math.min(1, centre + margin),
  };
}
