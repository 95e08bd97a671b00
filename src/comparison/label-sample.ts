import { hash } from "node:crypto";
import { createRandom, shuffledIndices } from "../stats/random.ts";
import type { PairVerdict } from "./verdict.ts";

/** How pairs are chosen to be labelled. */
export const labelSampling = ["set", "contradiction"] as const;
export type LabelSampling = (typeof labelSampling)[number];

export interface LabelledPair {
  readonly set: string;
  readonly id: string;
  /** The hash of what is shown: see `hashAnswers`. */
  readonly answers: string;
}

/** A hash of what an annotator sees of a pair: prompt and both answers. */
export function hashAnswers({ instruction = "", input = "", answers, dialogues }: PairVerdict): string {
  return hash("sha256", JSON.stringify([instruction, input, answers ?? null, dialogues ?? null])).slice(0, 12);
}

/**
 * Draws pairs to label: as many of each set as its share, or first those whose judge contradicts itself (the orders of the answers gave different
 * outcomes). Pairs with the same answers, or without texts, are left out: there is nothing to see.
 */
export function drawSample(
  verdicts: readonly PairVerdict[],
  { size, by, seed }: { readonly size: number; readonly by: LabelSampling; readonly seed: number },
): LabelledPair[] {
  const all = verdicts.filter(({ answers }) => answers !== undefined && answers[0] !== answers[1]);
  const order = Array.from(shuffledIndices(all.length, createRandom(seed)), (i) => all[i]!);
  const chosen =
    by === "contradiction" ? order.toSorted((a, b) => doubt(b) - doubt(a)).slice(0, size) : bySets(order, size);
  return chosen.map((verdict) => ({ set: verdict.set, id: verdict.id, answers: hashAnswers(verdict) }));
}

/** 1 where the judge's two orders disagree, or one could not be read. */
function doubt({ orders, outcome }: PairVerdict): number {
  const said = orders.map((verdict) => (verdict.state === "judged" ? verdict.winner : verdict.state));
  return outcome === "undecided" || new Set(said).size > 1 ? 1 : 0;
}

/** The first of each set, as many as its share by the largest remainders. */
function bySets(order: readonly PairVerdict[], size: number): PairVerdict[] {
  const sets = Map.groupBy(order, ({ set }) => set);
  const share = Math.min(1, size / order.length);
  const parts = [...sets.values()].map((pairs) => ({ pairs, wanted: pairs.length * share }));
  const counts = parts.map(({ wanted }) => Math.floor(wanted));
  let left = Math.min(size, order.length) - counts.reduce((sum, count) => sum + count, 0);
  const byRest = parts.map((_, i) => i).toSorted((a, b) => (parts[b]!.wanted % 1) - (parts[a]!.wanted % 1));
  for (const i of byRest) if (left-- > 0) counts[i]!++;
  return parts.flatMap(({ pairs }, i) => pairs.slice(0, counts[i]));
}

/** A pair as it is shown. */
export interface ShownPair extends LabelledPair {
  readonly repeat: boolean;
  /** Whose answer stands on the left. */
  readonly left: "A" | "B";
}

/**
 * What an annotator is shown, in order: the sample in an order of its own, then a share of it again. Which answer stands on the left is drawn for
 * each showing.
 */
export function orderForAnnotator(
  sample: readonly LabelledPair[],
  { annotator, salt, repeats }: { readonly annotator: string; readonly salt: string; readonly repeats: number },
): ShownPair[] {
  const own = Number.parseInt(hash("sha256", `${annotator}\0${salt}`).slice(0, 8), 16);
  const random = createRandom(own);
  const first = Array.from(shuffledIndices(sample.length, random), (i) => sample[i]!);
  const again = first.slice(0, Math.round(sample.length * repeats)); // those that were seen longest ago
  const show = (pair: LabelledPair, repeat: boolean): ShownPair => ({
    ...pair,
    repeat,
    left: random() < 0.5 ? "A" : "B",
  });
  return [...first.map((pair) => show(pair, false)), ...again.map((pair) => show(pair, true))];
}
