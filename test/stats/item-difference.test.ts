import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { itemDifference } from "../../src/stats/item-difference.ts";
import { createRandom } from "../../src/stats/random.ts";
import { signTest } from "../../src/stats/sign-test.ts";

const of = (...values: number[]) => [Float64Array.from(values)];

describe("the difference of two models on the same items", () => {
  test("of right and wrong is McNemar's exact test: only items that one alone has right count", () => {
    // Fleiss, Levin and Paik 2003: 20 and 10 items that one alone has right, whatever the others are
    const a = [...Array.from({ length: 20 }, () => 1), ...Array.from({ length: 10 }, () => 0), 1, 1, 0];
    const b = [...Array.from({ length: 20 }, () => 0), ...Array.from({ length: 10 }, () => 1), 1, 1, 0];
    const { items, difference, test: kind } = itemDifference(of(...a), of(...b));
    expect([items, kind]).toEqual([33, "exact"]);
    expect(difference.pValue).toBeCloseTo(signTest(20, 10), 12);
    expect(difference.pValue).toBeCloseTo(0.0987, 4); // binomial, by hand
    expect(difference.value).toBeCloseTo(10 / 33, 12);
  });

  test("where both sides are constant and differ, unpaired figures tell them apart too", () => {
    const all = (value: number) => of(...Array.from({ length: 40 }, () => value));
    expect(itemDifference(all(1), all(0)).unpairedPValue).toBeLessThan(1e-9);
    expect(itemDifference(all(1), all(1)).unpairedPValue).toBe(1);
    // two or five on each side are few: Fisher's exact test
    expect(itemDifference(of(1, 1), of(0, 0)).unpairedPValue).toBeCloseTo(1 / 3, 12);
    expect(itemDifference(of(1, 1, 1, 1, 1), of(0, 0, 0, 0, 0)).unpairedPValue).toBeCloseTo(2 / 252, 12);
  });

  test("is the other way round for the other order, and leaves out what one lacks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
          minLength: 1,
        }),
        (pairs) => {
          const [a, b] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
          const one = itemDifference(of(...a, NaN), of(...b, 1));
          const other = itemDifference(of(...b), of(...a));
          expect(one.items).toBe(pairs.length);
          expect(one.difference.value).toBeCloseTo(-other.difference.value, 9);
          expect(one.difference.pValue).toBeCloseTo(other.difference.pValue, 9);
        },
      ),
    );
  });

  test("pairing tells apart what unpaired figures do not, and neither finds what is not there too often", () => {
    // items have their own difficulty; a model is right where it beats that, by logistic noise of its own
    const random = createRandom(11);
    const logistic = () => {
      const u = random();
      return Math.log(u / (1 - u));
    };
    const found = { pairedNull: 0, unpairedNull: 0, paired: 0, unpaired: 0 };
    const runs = 400;
    for (let run = 0; run < runs; run++) {
      const difficulty = Array.from({ length: 300 }, () => 4 * logistic());
      const answers = (skill: number) => Float64Array.from(difficulty, (hard) => (skill + logistic() > hard ? 1 : 0));
      const same = itemDifference([answers(0)], [answers(0)]);
      if (same.difference.pValue < 0.05) found.pairedNull++;
      if (same.unpairedPValue < 0.05) found.unpairedNull++;
      const better = itemDifference([answers(1)], [answers(0)]);
      if (better.difference.pValue < 0.05) found.paired++;
      if (better.unpairedPValue < 0.05) found.unpaired++;
    }
    console.log(`item difference: in ${runs} runs ${JSON.stringify(found)}`);
    expect(found.pairedNull).toBeLessThanOrEqual(0.06 * runs);
    expect(found.paired).toBeGreaterThan(1.5 * found.unpaired);
  });
});
