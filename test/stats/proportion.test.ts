import { expect, it } from "vitest";
import { drawBeta, leastMarked, mostMarked } from "../../src/stats/proportion.ts";
import { createRandom, shuffledIndices } from "../../src/stats/random.ts";

it("no more can be marked than the drawn ones leave room for", () => {
  expect(mostMarked({ of: 10, drawn: 0, marked: 0 }, 0.05)).toBe(10);
  expect(mostMarked({ of: 10, drawn: 10, marked: 3 }, 0.05)).toBe(3);
  expect(leastMarked({ of: 10, drawn: 10, marked: 3 }, 0.05)).toBe(3);
  expect(mostMarked({ of: 100_000, drawn: 29, marked: 0 }, 0.05) / 100_000).toBeCloseTo(1 - 0.05 ** (1 / 29), 3);
});

it("the bound is missed in no more samples than the doubt", () => {
  const random = createRandom(3);
  let missed = 0;
  for (let i = 0; i < 1000; i++) {
    const drawn = shuffledIndices(200, random).slice(0, 60);
    const marked = drawn.filter((one) => one < 40).length;
    if (mostMarked({ of: 200, drawn: 60, marked }, 0.05) < 40) missed++;
  }
  expect(missed).toBeGreaterThan(5);
  expect(missed).toBeLessThanOrEqual(60);
});

it("draws of the beta distribution have its mean, and its ends are 0 and 1", () => {
  const random = createRandom(4);
  const draws = Array.from({ length: 4000 }, () => drawBeta(3, 9, random));
  expect(draws.reduce((sum, draw) => sum + draw, 0) / draws.length).toBeCloseTo(0.25, 2);
  expect(drawBeta(0, 4, random)).toBe(0);
  expect(drawBeta(4, 0, random)).toBe(1);
});
