import { expect, test } from "vitest";
import { fleissKappa } from "../../src/stats/fleiss-kappa.ts";
import { cohensKappa } from "../../src/stats/kappa.ts";

/* The worked example that many texts carry: 14 raters, 10 items, 5 categories; statsmodels 0.15.0 gives the same on it, run by hand. */
const counts = [
  [0, 0, 0, 0, 14],
  [0, 2, 6, 4, 2],
  [0, 0, 3, 5, 6],
  [0, 3, 9, 2, 0],
  [2, 2, 8, 1, 1],
  [7, 7, 0, 0, 0],
  [3, 2, 6, 3, 0],
  [2, 5, 3, 2, 2],
  [6, 5, 2, 1, 0],
  [0, 2, 2, 3, 7],
];

test("Fleiss' kappa is the published one", () => {
  expect(fleissKappa(counts)).toBeCloseTo(0.20993070442195522, 12);
});

test("weights count items as often", () => {
  const twice = counts.flatMap((item, i) => (i % 3 === 0 ? [item, item] : i % 3 === 1 ? [item] : []));
  expect(
    fleissKappa(
      counts,
      counts.map((_, i) => [2, 1, 0][i % 3]!),
    ),
  ).toBeCloseTo(fleissKappa(twice), 12);
});

test("items with one rating do not count, and agreement by one label is no agreement beyond chance", () => {
  expect(fleissKappa([...counts, [1, 0, 0, 0, 0]])).toBeCloseTo(fleissKappa(counts), 12);
  expect(
    fleissKappa([
      [3, 0],
      [3, 0],
    ]),
  ).toBeNaN();
  expect(fleissKappa([])).toBeNaN();
});

test("of two raters it is near Cohen's, which differs by who said what", () => {
  const a = ["x", "y", "x", "x", "y", "y", "x", "y"];
  const b = ["x", "y", "y", "x", "y", "x", "x", "y"];
  const table = a.map((one, i) => ["x", "y"].map((label) => Number(one === label) + Number(b[i] === label)));
  expect(fleissKappa(table)).toBeCloseTo(cohensKappa(a, b), 12); // the same marginals
});
