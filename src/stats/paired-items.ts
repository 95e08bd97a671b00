/** Values of two arms on the same items, an entry an item and training. */
export interface PairedItems {
  /** Items that all models of both have a value for. */
  readonly items: number;
  /** Pairs of trainings: the first of one arm with the first of the other. */
  readonly trainings: number;
  readonly a: readonly number[];
  readonly b: readonly number[];
  /** The item and the training of each entry; no trainings where there is one. */
  readonly sources: { readonly prompts: readonly number[]; readonly trainings?: readonly number[] | undefined };
}

/**
 * Pairs the values of two arms by item and training.
 *
 * @param a the values by item of each of its trainings, NaN where there is none
 * @param promptOf the prompt of each item, where items share some. Default: each has its own
 */
export function pairItems(
  a: readonly Float64Array[],
  b: readonly Float64Array[],
  promptOf?: ArrayLike<number>,
): PairedItems {
  const trainings = Math.min(a.length, b.length);
  const [ours, theirs, prompts, seeds]: [number[], number[], number[], number[]] = [[], [], [], []];
  let items = 0;
  for (let item = 0; item < (a[0]?.length ?? 0); item++) {
    const pairs = Array.from({ length: trainings }, (_, t) => [a[t]![item]!, b[t]![item]!] as const);
    if (pairs.length === 0 || pairs.flat().some(Number.isNaN)) continue;
    for (const [t, [one, other]] of pairs.entries()) {
      ours.push(one);
      theirs.push(other);
      prompts.push(promptOf?.[item] ?? items);
      seeds.push(t);
    }
    items++;
  }
  return { items, trainings, a: ours, b: theirs, sources: { prompts, trainings: trainings > 1 ? seeds : undefined } };
}
