import { describe, expect, test } from "vitest";
import { spearman } from "../../src/stats/agreement.ts";
import { tableKappa, weightedKappa } from "../../src/stats/kappa.ts";
import { createRandom } from "../../src/stats/random.ts";
import { tableIntervals } from "../../src/stats/table-bootstrap.ts";
import { howOften, someOf } from "../helpers/long.ts";

/*
 * Two raters who see the same thing through noise and cut it into few levels, of which one has most rows.
 */

const cuts = {
  "80 % on one of five": [-2, 0.84, 1.5, 2],
  "90 % on one of three": [-1.64, 1.64],
  "95 % on one of two": [1.645],
  "97 % on one of three": [-2.17, 2.17],
  "a third each": [-0.43, 0.43],
};

describe.each(someOf(Object.entries(cuts)))("intervals of agreement, %s", (_, cut) => {
  const levels = Array.from({ length: cut.length + 1 }, (__, i) => i);
  test.each(someOf([0.3, 0, 0.7]))(
    "correlated by %d: hold the truth in 93 of 100 over 20 to 805 rows",
    (correlation) => {
      const random = createRandom(Math.round(10 * correlation) + cut.length);
      const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
      const levelOf = (x: number) => cut.filter((edge) => x > edge).length;
      const draw = (rows: number) => {
        const [a, b]: [number[], number[]] = [[], []];
        for (let i = 0; i < rows; i++) {
          const x = normal();
          a.push(levelOf(x));
          b.push(levelOf(correlation * x + Math.sqrt(1 - correlation ** 2) * normal()));
        }
        return [a, b] as const;
      };
      const [a, b] = draw(200_000);
      const measure = (table: readonly (readonly number[])[]) => [tableKappa(table)];
      const truth = {
        spearman: spearman(a, b).value,
        weighted: weightedKappa(a, b).value,
        kappa: tableIntervals(a, b, measure, { levels: [levels, levels] })[0]!.value,
      };
      const isIn = ({ low, high }: { low: number; high: number }, value: number) => low <= value && value <= high;
      const held = { spearman: 0, weighted: 0, kappa: 0 };
      let experiments = 0;
      for (const rows of [20, 80, 300, 805])
        for (let i = 0; i < howOften(60, 20); i++) {
          const [own, other] = draw(rows);
          experiments++;
          if (isIn(spearman(own, other), truth.spearman)) held.spearman++;
          if (isIn(weightedKappa(own, other), truth.weighted)) held.weighted++;
          if (isIn(tableIntervals(own, other, measure, { levels: [levels, levels] })[0]!, truth.kappa)) held.kappa++;
        }
      for (const count of Object.values(held)) expect(count / experiments).toBeGreaterThanOrEqual(0.93);
    },
  );
});
