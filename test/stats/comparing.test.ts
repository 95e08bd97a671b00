import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bootstrap, quantile } from "../../src/stats/bootstrap.ts";
import { bradleyTerry } from "../../src/stats/bradley-terry.ts";
import { cohensKappa } from "../../src/stats/kappa.ts";
import { lengthControlledWinRate } from "../../src/stats/length-controlled.ts";
import { countOutcomes, outcomeOf, winningScore, type Outcome, type Preference } from "../../src/stats/outcomes.ts";
import { createRandom } from "../../src/stats/random.ts";
import { promptsNeeded, signTest } from "../../src/stats/sign-test.ts";

const preferences = ["first", "draw", "second"] as const;

describe("the paper's rule", () => {
  test.each([
    ["first", "first", "win"],
    ["first", "draw", "win"],
    ["draw", "draw", "tie"],
    ["first", "second", "tie"],
    ["draw", "second", "lose"],
    ["second", "second", "lose"],
    ["first", undefined, "undecided"],
    [undefined, undefined, "undecided"],
  ] as [Preference | undefined, Preference | undefined, Outcome][])(
    "%s and %s: %s, whichever came first",
    (one, other, outcome) => {
      expect(outcomeOf(one, other)).toBe(outcome);
      expect(outcomeOf(other, one)).toBe(outcome);
    },
  );

  test("turned around, wins are losses and the winning score is mirrored about 1", () => {
    const turned = { first: "second", draw: "draw", second: "first" } as const;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...preferences), fc.constantFrom(...preferences)), { minLength: 1 }),
        (pairs) => {
          const one = countOutcomes(pairs.map(([a, b]) => outcomeOf(a, b)));
          const other = countOutcomes(pairs.map(([a, b]) => outcomeOf(turned[a], turned[b])));
          expect(other).toEqual({ ...one, win: one.lose, lose: one.win });
          expect(winningScore(other)).toBeCloseTo(2 - winningScore(one), 12);
        },
      ),
    );
  });
});

describe("over 2,000 simulated experiments with known truth", () => {
  const experiments = 2000;
  /** Outcomes of n prompts as 1, 0 and -1, with these chances of winning and losing. */
  function experiment(random: () => number, n: number, win: number, lose: number): Int8Array {
    return Int8Array.from({ length: n }, () => {
      const at = random();
      return at < win ? 1 : at < win + lose ? -1 : 0;
    });
  }

  test.each([
    [80, 0.51, 0.3],
    [180, 0.39, 0.37],
    [252, 0.36, 0.3],
  ])("with %d prompts, the 95 %% interval holds the truth in 93 to 97 %%", (n, win, lose) => {
    const random = createRandom(n);
    let held = 0;
    for (let i = 0; i < experiments; i++) {
      const outcomes = experiment(random, n, win, lose);
      const measure = (weights: Uint16Array) => {
        let sum = 0;
        for (let at = 0; at < n; at++) sum += weights[at]! * outcomes[at]!;
        return [1 + sum / n];
      };
      const [score] = bootstrap(n, measure, { seed: i, draws: 400 });
      if (score!.low <= 1 + win - lose && 1 + win - lose <= score!.high) held++;
    }
    expect(held / experiments).toBeGreaterThanOrEqual(0.93);
    expect(held / experiments).toBeLessThanOrEqual(0.97);
  });

  test.each([20, 80, 252])("of %d prompts, the sign test gives at most 5 %% false alarms", (n) => {
    const random = createRandom(n);
    let alarms = 0;
    for (let i = 0; i < experiments; i++) {
      const outcomes = experiment(random, n, 0.35, 0.35);
      const wins = outcomes.filter((outcome) => outcome === 1).length;
      const losses = outcomes.filter((outcome) => outcome === -1).length;
      if (signTest(wins, losses) < 0.05) alarms++;
    }
    expect(alarms / experiments).toBeLessThanOrEqual(0.05);
  });

  test("the number of prompts said to be needed finds the difference four times in five", () => {
    const [win, lose] = [0.45, 0.3];
    const n = promptsNeeded({ win: 100 * win, tie: 25, lose: 100 * lose });
    const random = createRandom(5);
    let found = 0;
    for (let i = 0; i < experiments; i++) {
      const outcomes = experiment(random, n, win, lose);
      const wins = outcomes.filter((outcome) => outcome === 1).length;
      const losses = outcomes.filter((outcome) => outcome === -1).length;
      if (signTest(wins, losses) < 0.05) found++;
    }
    expect(found / experiments).toBeGreaterThan(0.75);
    expect(found / experiments).toBeLessThan(0.85);
  });
});

describe("single figures", () => {
  test("the sign test is exact", () => {
    expect(signTest(10, 0)).toBeCloseTo(2 / 1024, 12);
    expect(signTest(7, 3)).toBeCloseTo((2 * (120 + 45 + 10 + 1)) / 1024, 12);
    expect(signTest(5, 5)).toBe(1);
    expect(signTest(0, 0)).toBe(1);
    expect(signTest(3, 7)).toBe(signTest(7, 3));
    expect(signTest(3000, 2000)).toBeGreaterThan(0);
  });

  test("an even split is never shown", () => {
    expect(promptsNeeded({ win: 5, tie: 3, lose: 5 })).toBe(Infinity);
    expect(promptsNeeded({ win: 0, tie: 3, lose: 0 })).toBe(Infinity);
  });

  test("quantiles", () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([1], 0.975)).toBe(1);
    expect(quantile([], 0.5)).toBeNaN();
  });

  test("a bootstrap draws what belongs to one prompt together, and the seed fixes it", () => {
    const values = [0, 0, 0, 1, 1, 1];
    const clusters = [0, 0, 0, 1, 1, 1];
    const mean = (weights: Uint16Array) => {
      let [sum, count] = [0, 0];
      for (const [i, value] of values.entries()) {
        sum += weights[clusters[i]!]! * value;
        count += weights[clusters[i]!]!;
      }
      return [sum / count];
    };
    const [together] = bootstrap(2, mean);
    expect(together).toEqual({ value: 0.5, low: 0, high: 1 }); // two prompts: either one alone, or both
    expect(bootstrap(2, mean)).toEqual([together]);
  });

  test("Cohen's kappa", () => {
    const a = [...Array.from({ length: 25 }, () => "yes"), ...Array.from({ length: 25 }, () => "no")];
    const b = a.map((_, i) => (i < 20 || i >= 40 ? "yes" : "no"));
    // 20 both yes, 5 yes-no, 10 no-yes, 15 both no: agreement .7, chance .5 (the textbook's example)
    expect(cohensKappa(a, b)).toBeCloseTo(0.4, 12);
    expect(cohensKappa(a, a)).toBe(1);
    expect(cohensKappa(["x"], ["x"])).toBeNaN();
  });

  test("strengths of Bradley and Terry: with two arms, the odds; with more, the better first", () => {
    const [a, b] = bradleyTerry([
      [0, 75],
      [25, 0],
    ]);
    expect(a! - b!).toBeCloseTo(Math.log(75.05 / 25.05), 9); // a little prior on both sides
    const three = bradleyTerry([
      [0, 8, 9],
      [2, 0, 7],
      [1, 3, 0],
    ]);
    expect(three[0]!).toBeGreaterThan(three[1]!);
    expect(three[1]!).toBeGreaterThan(three[2]!);
    expect(three.reduce((sum, one) => sum + one, 0)).toBeCloseTo(0, 9);
    expect(
      bradleyTerry([
        [0, 5],
        [0, 0],
      ]).every(Number.isFinite),
    ).toBe(true);
  });

  test("a judge that only likes length is seen through, and one that does not is left alone", () => {
    const random = createRandom(3);
    const draw = (chance: (difference: number) => number) =>
      Array.from({ length: 4000 }, () => {
        const lengthDifference = Math.round(400 * (random() - 0.3)); // A is longer on average
        return { lengthDifference, win: random() < chance(lengthDifference) ? 1 : 0 };
      });
    const byLength = draw((difference) => 1 / (1 + Math.exp(-difference / 80)));
    const raw = byLength.reduce((sum, { win }) => sum + win, 0) / byLength.length;
    expect(raw).toBeGreaterThan(0.6);
    expect(Math.abs(lengthControlledWinRate(byLength) - 0.5)).toBeLessThan(0.06);
    const byQuality = draw(() => 0.65);
    expect(lengthControlledWinRate(byQuality)).toBeCloseTo(0.65, 1);
    expect(lengthControlledWinRate([{ win: 1, lengthDifference: 5 }])).toBeGreaterThan(0.9);
    expect(lengthControlledWinRate([])).toBeNaN();
  });
});
