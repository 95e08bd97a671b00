import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { rank, pearson } from "../../src/stats/agreement.ts";
import { lengthControlledWinRate } from "../../src/stats/length-controlled.ts";
import { createRandom } from "../../src/stats/random.ts";
import { isLong } from "../helpers/long.ts";

interface Annotations {
  readonly baselineLength: readonly number[];
  readonly models: Readonly<
    Record<
      string,
      {
        readonly published: number;
        readonly raw: number;
        readonly preference: readonly number[];
        readonly length: readonly number[];
        /** Which prompts, where some have no annotation. */
        readonly prompts?: readonly number[];
      }
    >
  >;
}

/** Annotations of 55 models by AlpacaEval 2's judge, with the rates that its authors published. */
const { baselineLength, models } = JSON.parse(
  gunzipSync(readFileSync(new URL("fixtures/alpacaeval-annotations.json.gz", import.meta.url))).toString(),
) as Annotations;
const names = Object.keys(models);

/** A model's pairs; `turned`, seen from the baseline's side. */
function pairsOf(name: string, turned = false) {
  const { preference, length, prompts } = models[name]!;
  return preference.map((win, i) => {
    const lengths = [length[i]!, baselineLength[prompts ? prompts[i]! : i]!] as const;
    return turned ? { win: 1 - win, lengths: [lengths[1], lengths[0]] as const } : { win, lengths };
  });
}

function sourcesOf(pairs: readonly unknown[]) {
  return { prompts: pairs.map((_, i) => i) };
}

describe("length control, on 55 models with published annotations and rates", () => {
  const rates = names.map((name) => {
    const pairs = pairsOf(name);
    const { value, low, high } = lengthControlledWinRate(pairs, sourcesOf(pairs));
    return {
      name,
      published: models[name]!.published,
      raw: models[name]!.raw,
      value: 100 * value,
      low: 100 * low,
      high: 100 * high,
    };
  });
  const correlation = (a: readonly number[], b: readonly number[]) => pearson(rank(a), rank(b));

  test("is within 2.5 points of the published rate on average, and ranks the models as published", () => {
    const published = rates.map((rate) => rate.published);
    const error = rates.reduce((sum, rate) => sum + Math.abs(rate.value - rate.published), 0) / rates.length;
    const ranks = correlation(
      rates.map(({ value }) => value),
      published,
    );
    console.log(
      `length control on ${rates.length} models: mean error ${error.toFixed(2)} points, rank correlation ${ranks.toFixed(4)} (raw win rate ${correlation(
        rates.map(({ raw }) => raw),
        published,
      ).toFixed(3)})`,
    );
    expect(rates.length).toBe(55);
    expect(error).toBeLessThanOrEqual(2.5);
    expect(ranks).toBeGreaterThanOrEqual(0.985);
  });

  test("has the published rate in its interval for at least nine models of ten", () => {
    const held = rates.filter(({ published, low, high }) => low <= published && published <= high).length;
    console.log(`the interval holds the published rate for ${held} of ${rates.length}`);
    expect(held / rates.length).toBeGreaterThanOrEqual(0.9);
  });

  test("sees through a model that was made to win by length, and one that was told to answer shorter", () => {
    const of = (name: string) => rates.find((rate) => rate.name === name)!;
    expect(Math.abs(of("gpt4_gamed").value - of("gpt4_gamed").published)).toBeLessThan(5);
    expect(of("gpt4_gamed").value).toBeLessThan(20); // raw 3.7, published 12.2, and 54.9 where preferences are cut to wins
  });

  test.runIf(isLong)("says the same of either side", () => {
    for (const name of names.slice(0, 12)) {
      const [one, other] = [pairsOf(name), pairsOf(name, true)].map((pairs) =>
        lengthControlledWinRate(pairs, sourcesOf(pairs)),
      );
      expect(one!.value + other!.value).toBeCloseTo(1, 9);
      expect(one!.low + other!.high).toBeCloseTo(1, 9);
    }
  });

  test("takes prompts' difficulty from other models' annotations, where there are some", () => {
    const whole = names.filter((name) => !models[name]!.prompts);
    const difficultyFor = (left: string) => {
      const others = whole.filter((name) => name !== left);
      return baselineLength.map((_, i) => {
        const mean = others.reduce((sum, name) => sum + models[name]!.preference[i]!, 0) / others.length;
        return Math.log(Math.max(1e-3, mean) / Math.max(1e-3, 1 - mean));
      });
    };
    const errors = whole.map((name) => {
      const pairs = pairsOf(name);
      const rate = lengthControlledWinRate(pairs, sourcesOf(pairs), { difficulty: difficultyFor(name) });
      return Math.abs(100 * rate.value - models[name]!.published);
    });
    const error = errors.reduce((sum, one) => sum + one, 0) / errors.length;
    console.log(`with difficulties from the other models: mean error ${error.toFixed(2)} points`);
    expect(error).toBeLessThan(1.5);
  });
});

describe("length control of judges whose taste is known", () => {
  const random = createRandom(3);
  const draw = (chance: (difference: number) => number) =>
    Array.from({ length: 4000 }, () => {
      const [a, b] = [Math.round(300 + 400 * random()), Math.round(200 + 400 * random())]; // A is longer on average
      return { lengths: [a, b] as const, win: random() < chance(a - b) ? 1 : 0 };
    });

  if (isLong)
    test("a judge that only likes length is seen through, and one that does not is left alone", () => {
      const byLength = draw((difference) => 1 / (1 + Math.exp(-difference / 80)));
      const raw = byLength.reduce((sum, { win }) => sum + win, 0) / byLength.length;
      expect(raw).toBeGreaterThan(0.6);
      expect(Math.abs(lengthControlledWinRate(byLength, sourcesOf(byLength)).value - 0.5)).toBeLessThan(0.06);
      const byQuality = draw(() => 0.65);
      expect(lengthControlledWinRate(byQuality, sourcesOf(byQuality)).value).toBeCloseTo(0.65, 1);
    });

  test.each([
    ...(isLong
      ? [
          [0.98, 80],
          [0.95, 40],
        ]
      : []),
    [0.8, 10],
  ])("the interval of a rate of %d holds with %d pairs too, whether the judge likes length or not", (rate, count) => {
    const next = createRandom(7);
    const length = () => Math.exp(6 + 1.2 * (next() + next() + next() - 1.5));
    for (const liking of [0, 1.6]) {
      let held = 0;
      for (let round = 0; round < 200; round++) {
        const pairs = Array.from({ length: count }, () => {
          const lengths = [length(), length()] as const;
          const logit = Math.log(rate / (1 - rate)) + liking * Math.tanh((lengths[0] - lengths[1]) / 500);
          return { lengths, win: next() < 1 / (1 + Math.exp(-logit)) ? 1 : 0 };
        });
        const { low, high } = lengthControlledWinRate(pairs, sourcesOf(pairs));
        if (low <= rate && rate <= high) held++;
      }
      expect(held / 200).toBeGreaterThan(0.93);
    }
  });

  test("without pairs there is no rate, and with one there is a wide interval", () => {
    expect(lengthControlledWinRate([], { prompts: [] }).value).toBeNaN();
    const one = lengthControlledWinRate([{ win: 1, lengths: [10, 5] }], { prompts: [0] });
    expect(one.high - one.low).toBeGreaterThan(0.5);
  });
});

describe("weights", () => {
  const random = createRandom(5);
  const pairs = Array.from({ length: 400 }, () => ({
    win: random() < 0.5 ? 1 : 0,
    lengths: [500 + 100 * random(), 500 + 100 * random()] as const,
  }));

  test("that are all the same change nothing", () => {
    const weighted = pairs.map((pair) => ({ ...pair, weight: 4 }));
    const [plain, same] = [pairs, weighted].map((some) => lengthControlledWinRate(some, sourcesOf(some)));
    expect(same!.value).toBeCloseTo(plain!.value, 10);
    expect(same!.high).toBeCloseTo(plain!.high, 10);
  });

  test("of answers of one length give the weighted rate", () => {
    const even = pairs.map(({ win }) => ({ win, lengths: [500, 500] as const, weight: win === 1 ? 3 : 1 }));
    const won = even.filter(({ win }) => win === 1).length;
    const { value, low, high } = lengthControlledWinRate(even, sourcesOf(even));
    expect(value).toBeCloseTo((3 * won) / (3 * won + even.length - won), 2);
    expect(low).toBeLessThan(value);
    expect(high).toBeGreaterThan(value);
  });
});
