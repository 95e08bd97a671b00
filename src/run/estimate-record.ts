import type { Estimate } from "../stats/agreement.ts";

/** A figure and its interval as a file can hold them: JSON has no NaN, so null stands where there is no number. */
export function toEstimateRecord({ value, low, high }: Estimate): { [Key in keyof Estimate]: number | null } {
  return { value: finiteOrNull(value), low: finiteOrNull(low), high: finiteOrNull(high) };
}

export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
