import { pairItems } from "./paired-items.ts";
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
 * @param promptOf the prompt of each item: answers to the same prompt are not independent. Default: each has its own
 */
export function lossDifference(
  a: readonly Float64Array[],
  b: readonly Float64Array[],
  promptOf?: ArrayLike<number>,
): LossDifference {
  const { items, trainings, sources, ...values } = pairItems(a, b, promptOf);
  const differences = values.b.map((value, i) => value - values.a[i]!);
  const ones = new Uint8Array(differences.length).fill(1);
  return { items, trainings, difference: crossedRatio(differences, ones, sources, { tested: 0 }) };
}
