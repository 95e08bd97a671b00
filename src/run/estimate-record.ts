import type { Agreement } from "../stats/agreement.ts";
import type { Estimate } from "../stats/estimate.ts";
import type { AgreementRecord } from "./records/rating.ts";

/** A figure and its interval as JSON: NaN and infinite numbers become null. */
export function toEstimateRecord({ value, low, high }: Estimate): { [Key in keyof Estimate]: number | null } {
  return { value: finiteOrNull(value), low: finiteOrNull(low), high: finiteOrNull(high) };
}

export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** A judge's agreement with a reference, as JSON. */
export function toAgreementRecord(reference: string, { rows, spearman, thresholds }: Agreement): AgreementRecord {
  return {
    reference,
    rows,
    spearman: toEstimateRecord(spearman),
    thresholds: thresholds.map((threshold) => ({
      ...threshold,
      auc: finiteOrNull(threshold.auc),
      precision: finiteOrNull(threshold.precision),
    })),
  };
}
