import { expect, test } from "vitest";
import { crossedRatio } from "../../src/stats/crossed-mean.ts";
import { itemDifference } from "../../src/stats/item-difference.ts";
import { createRandom } from "../../src/stats/random.ts";

test("an exact test and the interval beside it never contradict each other", () => {
  const random = createRandom(3);
  let exact = 0;
  for (let round = 0; round < 400; round++) {
    const values = () => Float64Array.from({ length: 60 }, () => (random() < 0.85 ? 1 : 0));
    const { difference, test: kind } = itemDifference([values()], [values()]);
    expect(difference.pValue < 0.05).toBe(difference.low > 0 || difference.high < 0);
    if (kind === "exact") exact++;
  }
  expect(exact).toBeGreaterThan(380);
});

test("a ratio of few prompts has an interval also where all of them have the same", () => {
  const sources = { prompts: Array.from({ length: 8 }, (_, i) => i) };
  const few = crossedRatio(Array<number>(8).fill(9), Array<number>(8).fill(4), sources, { openRatio: true });
  expect(few.value).toBe(2.25);
  expect([few.low < 1.9, few.high > 2.6]).toEqual([true, true]);
  const turned = crossedRatio(Array<number>(8).fill(4), Array<number>(8).fill(9), sources, { openRatio: true });
  expect([turned.low, turned.high]).toEqual([expect.closeTo(1 / few.high, 12), expect.closeTo(1 / few.low, 12)]);
  const many = Array.from({ length: 800 }, (_, i) => i);
  const { low, high } = crossedRatio(
    many.map(() => 9),
    many.map(() => 4),
    { prompts: many },
    { openRatio: true },
  );
  expect([low > 2.2, high < 2.3]).toEqual([true, true]);
});
