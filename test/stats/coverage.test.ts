import { expect, test } from "vitest";
import { spearman } from "../../src/stats/agreement.ts";
import type { Estimate } from "../../src/stats/estimate.ts";
import { weightedKappa } from "../../src/stats/kappa.ts";
import { lengthControlledWinRate } from "../../src/stats/length-controlled.ts";
import { createRandom, type Random } from "../../src/stats/random.ts";
import { howOften, someOf } from "../helpers/long.ts";

/* How often intervals hold the truth, for judges that no formula had in mind: they mostly copy, and sometimes draw anew. */

type Lists = readonly [a: number[], b: number[]];
type Judges = (n: number, random: Random) => Lists;

const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Two judges that say the same, but for a share of the rows, where the second draws anew. */
function copying(draw: (random: Random) => number, redrawn: number): Judges {
  return (n, random) => {
    const a = Array.from({ length: n }, () => draw(random));
    return [a, a.map((value) => (random() < redrawn ? draw(random) : value))];
  };
}

function leaning(r: number): Judges {
  return (n, random) => {
    const a = Array.from({ length: n }, () => normal(random));
    return [a, a.map((value) => r * value + Math.sqrt(1 - r * r) * normal(random))];
  };
}

const oneOf =
  (...shares: number[]) =>
  (random: Random) => {
    let left = random();
    return Math.max(
      0,
      shares.findIndex((share) => (left -= share) < 0),
    );
  };

const rounds = howOften(150, 60);
const least = 0.95 - 3 * Math.sqrt((0.95 * 0.05) / rounds); // three standard errors of so many rounds below

/** The share of samples of n rows whose interval holds the figure of very many rows. */
function coverage(judges: Judges, measure: (...lists: Lists) => Estimate, n: number, seed: number): number {
  const random = createRandom(seed);
  const truth = measure(...judges(30_000, random)).value;
  let held = 0;
  for (let round = 0; round < rounds; round++) {
    const { low, high } = measure(...judges(n, random));
    if (low <= truth && truth <= high) held++;
  }
  console.log(
    `of ${n} rows, the interval holds ${truth.toFixed(3)} in ${((100 * held) / rounds).toFixed(0)} % of ${rounds} samples`,
  );
  return held / rounds;
}

const judges: [name: string, judges: Judges][] = [
  ["three scores, a tenth drawn anew", copying(oneOf(0.45, 0.45, 0.1), 0.1)],
  ["any score, a tenth drawn anew", copying(normal, 0.1)],
  ["three scores, one in twenty drawn anew", copying(oneOf(0.4, 0.3, 0.3), 0.05)],
  ["normal, leaning much on each other", leaning(0.95)],
  ["normal, leaning on each other", leaning(0.7)],
];

test.each(someOf(judges, 2))("Spearman's interval holds: %s", (_, some) => {
  for (const n of someOf([200, 40, 10])) expect(coverage(some, spearman, n, 5), String(n)).toBeGreaterThan(least);
});

/** Two judges that lean on each other and give most rows one and the same lowest score, the others any. */
function clipped(r: number, from: number): Judges {
  return (n, random) => {
    const [a, b] = leaning(r)(n, random);
    return [a.map((value) => Math.max(value, from)), b.map((value) => Math.max(value, from))];
  };
}

test("Spearman's interval holds where most rows share one score, and the others have many", () => {
  for (const n of someOf([200, 600], 0)) expect(coverage(clipped(0.7, 1.04), spearman, n, 8)).toBeGreaterThan(least);
  for (const n of someOf([60, 200])) expect(coverage(clipped(0.7, 1.4), spearman, n, 9)).toBeGreaterThan(least);
});

test("Spearman's interval of judges that say nearly the same is narrow, in whatever order the rows are", () => {
  for (const n of [20, 100, 1000]) {
    const a = Array.from({ length: n }, (_, i) => i);
    const b = a.with(5, 6).with(6, 5);
    const { value, low, high } = spearman(a, b);
    expect([low > (n === 20 ? 0.4 : 0.9), low <= value, value <= high]).toEqual([true, true, true]);
  }
  const random = createRandom(4);
  const [a, b] = copying((draw) => Math.floor(25 * draw()), 0.1)(500, random);
  const turned = spearman(a.toReversed(), b.toReversed());
  expect(turned.low).toBeCloseTo(spearman(a, b).low, 10);
});

test("so does weighted kappa's, for few rows too", () => {
  for (const n of someOf([20, 10, 40, 100]))
    expect(coverage(copying(oneOf(0.2, 0.2, 0.2, 0.2, 0.2), 0.05), weightedKappa, n, 6)).toBeGreaterThan(least);
});

test.each(
  someOf([
    [2, 0],
    [4, 0],
    [2, 1.6],
    [2, 3.2],
    [2, -1],
  ] as const),
)("the win rate at equal length, of answers %d times as long by a judge that favours length by %d", (ratio, bias) => {
  const random = createRandom(8);
  for (const n of someOf([200, 50, 800])) {
    let held = 0;
    for (let round = 0; round < rounds; round++) {
      const pairs = Array.from({ length: n }, () => {
        const length = Math.exp(6 + 0.6 * normal(random));
        const lengths = [
          length * ratio * Math.exp(0.3 * normal(random)),
          length * Math.exp(0.3 * normal(random)),
        ] as const;
        const chance = 1 / (1 + Math.exp(-bias * Math.tanh((lengths[0] - lengths[1]) / 600)));
        return { win: random() < chance ? 1 : 0, lengths };
      });
      const { low, high } = lengthControlledWinRate(pairs, { prompts: pairs.map((_, i) => i) });
      if (low <= 0.5 && 0.5 <= high) held++;
    }
    expect(held / rounds, String(n)).toBeGreaterThan(least);
  }
});
