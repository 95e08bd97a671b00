import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bootstrap } from "../../src/stats/bootstrap.ts";
import { quantile } from "../../src/stats/quantile.ts";
import { bradleyTerry } from "../../src/stats/bradley-terry.ts";
import { cohensKappa } from "../../src/stats/kappa.ts";
import { countOutcomes, outcomeOf, winningScore, type Outcome, type Preference } from "../../src/stats/outcomes.ts";
import { createRandom } from "../../src/stats/random.ts";
import { crossedMean } from "../../src/stats/crossed-mean.ts";
import { crossedNeeded, crossedVariances, promptsNeeded } from "../../src/stats/prompts-needed.ts";
import { signTest } from "../../src/stats/sign-test.ts";
import { howOften, isLong, someOf } from "../helpers/long.ts";

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

  test.each(someOf([20, 80, 252]))("of %d prompts, the sign test gives at most 5 of 100 false alarms", (n) => {
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

  test.each(
    someOf([
      [0.45, 0.3],
      [0.51, 0.3],
      [0.95, 0],
      [0.1, 0.05],
      [0.6, 0.4],
      [0.3, 0.1],
    ]),
  )(
    "of wins at %d and losses at %d, the prompts said to be needed find the difference four times in five",
    (win, lose) => {
      const n = promptsNeeded({ win, tie: 1 - win - lose, lose });
      const power = (prompts: number) => {
        const random = createRandom(5);
        let found = 0;
        for (let i = 0; i < experiments; i++) {
          const outcomes = experiment(random, prompts, win, lose);
          const wins = outcomes.filter((outcome) => outcome === 1).length;
          const losses = outcomes.filter((outcome) => outcome === -1).length;
          if (signTest(wins, losses) < 0.05) found++;
        }
        return found / experiments;
      };
      expect(power(n)).toBeGreaterThan(0.78); // within what 2,000 experiments tell
      if (n > 20) expect(power(Math.floor(0.85 * n))).toBeLessThan(0.8); // and no more than it takes
    },
  );

  test.runIf(isLong).each(
    someOf([
      { trainings: 3, spread: 0.03, effect: 0.12 },
      { trainings: 5, spread: 0.05, effect: 0.12 },
    ]),
  )(
    "with $trainings trainings that vary by $spread, the prompts and trainings said to be needed find it",
    ({ trainings, spread, effect }) => {
      const random = createRandom(8);
      const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
      const perUnit = 0.55; // of latent score: how far the winning score moves
      const table = (times: number, prompts: number) => {
        const easy = Array.from({ length: prompts }, () => 0.7 * normal());
        return Array.from({ length: times }, () => {
          const shift = (effect + spread * normal()) / perUnit;
          return easy.map((one) => {
            const latent = shift + one + normal();
            return latent > 0.5 ? 1 : latent < -0.5 ? -1 : 0;
          });
        });
      };
      const large = table(60, 1500);
      const mean = large.flat().reduce<number>((sum, value) => sum + value, 0) / (60 * 1500);
      const needed = crossedNeeded(mean, crossedVariances(large), { trainings, prompts: 150 });
      const tables = howOften(300, 100);
      const power = (times: number, prompts: number) => {
        let found = 0;
        for (let i = 0; i < tables; i++) {
          const values = table(times, prompts).flat();
          const { pValue, value } = crossedMean(values, {
            prompts: values.map((_, at) => at % prompts),
            trainings: values.map((_, at) => Math.floor(at / prompts)),
          });
          if (pValue < 0.05 && value > 0) found++;
        }
        return found / tables;
      };
      expect(Number.isFinite(needed.prompts)).toBe(true);
      expect(power(trainings, needed.prompts)).toBeGreaterThan(0.8 - howOften(0.07, 0.12)); // 300 experiments: ± 0.05
      expect(power(needed.trainings, 150)).toBeGreaterThan(0.8 - howOften(0.07, 0.12));
    },
  );
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
});
