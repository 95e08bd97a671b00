import { crossedRatio, type TestedEstimate } from "./crossed-mean.ts";

/** How much higher b's loss is than a's. */
export interface LossDifference {
  /** Items that all models have a loss for. */
  readonly items: number;
  /** Pairs of trainings. */
  readonly trainings: number;
  /** b's loss minus a's, with the p-value that it is 0. NaN without items. */
  readonly difference: TestedEstimate;
}

/**
 * The difference of two arms' losses on the same items, paired by item, and by training where there are several: the first training of one
 * with the first of the other. Items and trainings are crossed sources of variance (see `crossedRatio`). With one training each, the
 * interval is about these two models.
 *
 * @param a the losses by item of each of its trainings, NaN where there is none
 */
export function lossDifference(a: readonly Float64Array[], b: readonly Float64Array[]): LossDifference {
  const trainings = Math.min(a.length, b.length);
  const [values, prompts, seeds]: [number[], number[], number[]] = [[], [], []];
  let items = 0;
  for (let item = 0; item < (a[0]?.length ?? 0); item++) {
    const differences = Array.from({ length: trainings }, (_, t) => b[t]![item]! - a[t]![item]!);
    if (differences.length === 0 || differences.some(Number.isNaN)) continue;
    differences.forEach((difference, t) => {
      values.push(difference);
      prompts.push(items);
      seeds.push(t);
    });
    items++;
  }
  const ones = new Uint8Array(values.length).fill(1);
  const sources = { prompts, ...(trainings > 1 && { trainings: seeds }) };
  return { items, trainings, difference: crossedRatio(values, ones, sources, { tested: 0 }) };
}
