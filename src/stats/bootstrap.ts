import type { Estimate } from "./estimate.ts";
import { quantile } from "./quantile.ts";
import { createRandom, defaultSeed } from "./random.ts";

export interface BootstrapOptions {
  readonly seed?: number | undefined;
  readonly draws?: number | undefined;
}

const defaultDraws = 10_000;

/**
 * Figures with their 95 % percentile intervals by the cluster bootstrap (Efron and Tibshirani 1993, chapter 13): all
 * observations of one prompt are drawn together.
 *
 * @param clusters how many there are
 * @param measure computes all figures when cluster i counts `weights[i]` times; NaN for an undefined figure, whose draw the
 *   interval leaves out
 */
export function bootstrap(
  clusters: number,
  measure: (weights: Uint16Array) => readonly number[],
  { seed = defaultSeed, draws = defaultDraws }: BootstrapOptions = {},
): Estimate[] {
  const weights = new Uint16Array(clusters).fill(1);
  const values = measure(weights);
  const drawn = values.map(() => new Float64Array(draws));
  const random = createRandom(seed);
  for (let draw = 0; draw < draws; draw++) {
    weights.fill(0);
    for (let i = 0; i < clusters; i++) weights[Math.floor(random() * clusters)]!++;
    for (const [figure, value] of measure(weights).entries()) drawn[figure]![draw] = value;
  }
  return values.map((value, figure) => {
    const sorted = drawn[figure]!.filter((one) => !Number.isNaN(one)).toSorted();
    return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  });
}
