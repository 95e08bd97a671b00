import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  areaUnderCurve,
  calibrationError,
  pearson,
  precisionAtTop,
  rank,
  spearman,
} from "../../src/stats/agreement.ts";

describe("rank", () => {
  it("gives ties the mean of their ranks", () => {
    expect([...rank([10, 20, 10, 30])]).toEqual([1.5, 3, 1.5, 4]);
  });
});

describe("spearman", () => {
  it("is that of a textbook example with ties (d² = 4.5; corrected for ties)", () => {
    // ranks a: 1 2.5 2.5 4, ranks b: 1 3 2 4: Pearson of the ranks is 4.5 / sqrt(4.5 * 5)
    expect(spearman([1, 2, 2, 3], [1, 3, 2, 4]).value).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });

  it("has an interval that holds the value and narrows with more rows", () => {
    const values = (n: number) => Array.from({ length: n }, (_, i) => i);
    const shaken = (n: number) => values(n).map((i) => i + 40 * Math.sin(i * i));
    const few = spearman(values(30), shaken(30));
    const many = spearman(
      values(3000),
      shaken(3000).map((value) => value * 30),
    );
    expect(few.low).toBeLessThan(few.value);
    expect(few.high).toBeGreaterThan(few.value);
    expect(many.high - many.low).toBeLessThan(few.high - few.low);
  });

  it("is NaN when a judge says the same to everything", () => {
    expect(pearson([4, 4, 4], [1, 2, 3])).toBeNaN();
  });
});

describe("areaUnderCurve", () => {
  it("is the share of pairs in the right order, ties counted half", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean()), { minLength: 2, maxLength: 40 }),
        (rows) => {
          const positives = rows.filter(([, is]) => is).map(([score]) => score);
          const negatives = rows.filter(([, is]) => !is).map(([score]) => score);
          const pairs = positives.flatMap((p) => negatives.map((n): number => (p > n ? 1 : p === n ? 0.5 : 0)));
          const expected = pairs.length ? pairs.reduce((sum, pair) => sum + pair, 0) / pairs.length : NaN;
          const found = areaUnderCurve(
            rows.map(([score]) => score),
            rows.map(([, is]) => is),
          );
          if (Number.isNaN(expected)) expect(found).toBeNaN();
          else expect(found).toBeCloseTo(expected, 10);
        },
      ),
    );
  });
});

describe("precisionAtTop", () => {
  it("counts a tie at the cut by its own share, whatever the order of the rows", () => {
    expect(precisionAtTop([3, 2, 2, 1], [1, 1, 0, 0], 2)).toBeCloseTo(0.75, 12);
    expect(precisionAtTop([2, 3, 1, 2], [0, 1, 0, 1], 2)).toBeCloseTo(0.75, 12);
  });
});

describe("calibrationError", () => {
  it("is 0 for honest probabilities and the gap for boastful ones", () => {
    expect(calibrationError([0.5, 0.5], [1, 0])).toBeCloseTo(0, 12);
    expect(calibrationError([0.9, 0.9], [1, 0])).toBeCloseTo(0.4, 12);
  });
});
