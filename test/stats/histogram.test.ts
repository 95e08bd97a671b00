import fc from "fast-check";
import { expect, it } from "vitest";
import { commonestScore, histogram } from "../../src/stats/histogram.ts";

it("shows few different scores value by value", () => {
  expect(
    histogram(
      new Map([
        [4.5, 2],
        [0, 1],
      ]),
    ),
  ).toEqual([
    { from: 0, to: 0, count: 1 },
    { from: 4.5, to: 4.5, count: 2 },
  ]);
});

it("puts scores that differ in their last digits into bars whose ends can be told apart", () => {
  const counts = new Map(Array.from({ length: 40 }, (_, i) => [5 + i * 2e-15, 1]));
  expect(counts.size).toBe(40);
  const bins = histogram(counts);
  expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(40);
  for (const { from, to } of bins) expect(to).toBeGreaterThan(from);
});

it("puts many scores into bins of a round width that hold every row once", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: -5000, max: 5000 }), { minLength: 14, maxLength: 200 }), (values) => {
      const bins = histogram(new Map(values.map((value) => [value / 1000, 2])));
      expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(2 * values.length);
      expect(bins.length).toBeLessThanOrEqual(23);
      for (const [i, bin] of bins.entries()) {
        const inside = values.filter((value) => value / 1000 >= bin.from - 1e-9 && value / 1000 < bin.to - 1e-9).length;
        expect(bin.count, `bin ${i}`).toBe(2 * inside);
      }
    }),
  );
});

it("finds the score that most rows have", () => {
  expect(
    commonestScore(
      new Map([
        [4, 9],
        [0, 1],
      ]),
    ),
  ).toEqual({ score: 4, share: 0.9 });
  expect(commonestScore(new Map())).toBeUndefined();
});
