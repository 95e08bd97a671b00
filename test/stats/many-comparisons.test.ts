import { expect, test } from "vitest";
import { adjust } from "../../src/comparison/adjust.ts";
import { crossedMean } from "../../src/stats/crossed-mean.ts";
import { benjaminiHochberg, holm } from "../../src/stats/many-comparisons.ts";
import { createRandom } from "../../src/stats/random.ts";

test("corrected p-values are those of R's p.adjust", () => {
  const pValues = [0.01, 0.04, 0.03, 0.005, 0.5];
  expect(holm(pValues).map((p) => Number(p.toFixed(4)))).toEqual([0.04, 0.09, 0.09, 0.025, 0.5]);
  expect(benjaminiHochberg(pValues).map((p) => Number(p.toFixed(4)))).toEqual([0.025, 0.05, 0.05, 0.025, 0.5]);
  expect(holm([0.02])).toEqual([0.02]);
  expect(benjaminiHochberg([])).toEqual([]);
});

/** Eight arms, or thirty categories, of which none is better. */
test.each([
  { what: "28 pairs of 8 equal arms", method: "Holm", comparisons: 28, prompts: 80, most: 0.07 },
  { what: "30 equal categories", method: "Benjamini-Hochberg", comparisons: 30, prompts: 25, most: 0.07 },
] as const)(
  "$what: a false finding in at most 7 % of experiments, where uncorrected it is in half",
  ({ method, comparisons, prompts, most }) => {
    const random = createRandom(comparisons);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const numbers = Array.from({ length: prompts }, (_, i) => i);
    const experiments = 300;
    let [raw, corrected] = [0, 0];
    for (let i = 0; i < experiments; i++) {
      const arms = Array.from({ length: 8 }, () => numbers.map(() => 0.7 * normal()));
      const results = Array.from({ length: comparisons }, (_, at) => {
        const [a, b] = method === "Holm" ? pairAt(at) : [0, 1];
        const values = numbers.map((prompt) => {
          const z = method === "Holm" ? arms[a]![prompt]! - arms[b]![prompt]! + 0.7 * normal() : normal();
          return z > 0.4 ? 1 : z < -0.4 ? -1 : 0;
        });
        const { value, pValue } = crossedMean(values, { prompts: numbers });
        return { winningScore: { value: 1 + value }, pValue };
      });
      if (results.some(({ pValue }) => pValue < 0.05)) raw++;
      if (adjust(results, method).some(({ conclusion }) => conclusion !== "no difference shown")) corrected++;
    }
    expect(raw / experiments).toBeGreaterThan(0.45);
    expect(corrected / experiments).toBeLessThanOrEqual(most);
  },
);

function pairAt(at: number): readonly [number, number] {
  for (let a = 0, left = at; ; a++) {
    if (left < 7 - a) return [a, a + 1 + left];
    left -= 7 - a;
  }
}
