import { expect, it, test } from "vitest";
import { drawBeta } from "../../src/stats/proportion.ts";
import { createRandom } from "../../src/stats/random.ts";
import { isPossibleShare, shareDifference } from "../../src/stats/share-difference.ts";

it("gives the interval that Newcombe published (1998, table II, method 10: 56 of 70 against 48 of 80)", () => {
  const { value, low, high } = shareDifference({ share: 0.8, items: 70 }, { share: 0.6, items: 80 });
  expect(value).toBeCloseTo(0.2, 9);
  expect([low, high].map((bound) => Number(bound.toFixed(4)))).toEqual([0.0524, 0.3339]);
});

function difference(a: number, b: number, items: number) {
  return shareDifference({ share: a, items }, { share: b, items });
}

it("p is 0.05 where the interval ends at zero, and turns with the sides", () => {
  for (const [a, b] of [
    [0.3689, 0.3878],
    [0.1159, 0.122],
    [0, 0.05],
    [1, 1],
  ] as const) {
    const one = difference(a, b, 164);
    const other = difference(b, a, 164);
    expect(other.pValue).toBeCloseTo(one.pValue, 9);
    expect(other.low).toBeCloseTo(-one.high, 9);
    expect(one.low > 0 || one.high < 0).toBe(one.pValue < 0.05);
  }
  expect(difference(0.4, 0.4, 100).pValue).toBe(1);
  expect(difference(0.4, 0.5, 0).pValue).toBeNaN();
});

/** Right or wrong of two models on items that are easy or hard for both. */
function answerItems(items: number, random: () => number, edge: number): [number, number] {
  let [ours, theirs] = [0, 0];
  for (let i = 0; i < items; i++) {
    const ease = drawBeta(0.6, 1, random) * 0.9;
    if (random() < ease + edge) ours++;
    if (random() < ease) theirs++;
  }
  return [ours / items, theirs / items];
}

test("of models on the same items, of which some are hard for both, at most one interval in twenty misses", () => {
  const random = createRandom(5);
  let missed = 0;
  let found = 0;
  for (let run = 0; run < 2000; run++) {
    const { low, high, pValue } = difference(...answerItems(164, random, 0.05), 164);
    if (low > 0.05 || high < 0.05) missed++;
    if (difference(...answerItems(164, random, 0), 164).pValue < 0.05) found++;
    expect(pValue).toBeGreaterThanOrEqual(0);
  }
  expect(missed / 2000).toBeLessThan(0.05);
  expect(found / 2000).toBeLessThan(0.05);
});

test("of means of values between 0 and 1, as F1 is, at most one interval in twenty misses", () => {
  const random = createRandom(6);
  const mean = (a: number, b: number) =>
    Array.from({ length: 60 }, () => drawBeta(a, b, random)).reduce((sum, value) => sum + value, 0) / 60;
  let missed = 0;
  for (let run = 0; run < 1000; run++) {
    const { low, high } = difference(mean(0.5, 1.5), mean(0.4, 1.6), 60); // means 0.25 and 0.2
    if (low > 0.05 || high < 0.05) missed++;
  }
  expect(missed / 1000).toBeLessThan(0.05);
});

test.each([
  [11.59, 164, true], // 19 items
  [12.2, 164, true],
  [15.86, 164, true], // 26 items are 15.854
  [11.69, 164, false],
  [14.92, 164, false],
  [38.78, 14_042, true],
  [110, 10, false],
])("%d %% of %d items can be a whole number of items: %s", (percent, items, isPossible) => {
  expect(isPossibleShare(percent, items, 2)).toBe(isPossible);
});
