import { describe, expect, test } from "vitest";
import { crossedMean, crossedRatio } from "../../src/stats/crossed-mean.ts";
import { normalTwoSided, studentQuantile, studentTwoSided, betaQuantile } from "../../src/stats/distributions.ts";
import { createRandom } from "../../src/stats/random.ts";
import { signTest } from "../../src/stats/sign-test.ts";
import { wilson } from "../../src/stats/wilson.ts";
import { howOften, someOf } from "../helpers/long.ts";

/*
 * Simulated experiments. Outcomes come from latent scores with thresholds, which the interval knows nothing of.
 */

function generator(seed: number) {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return { random, normal };
}

function outcome(latent: number, band: number): number {
  return latent > band ? 1 : latent < -band ? -1 : 0;
}

const perUnit = 0.55; // of latent score: how far the winning score moves

/** An experiment: prompts by trainings; each training of either arm is one draw, and each draws its own control where that varies. */
function experiment(
  { normal }: ReturnType<typeof generator>,
  {
    prompts,
    trainings,
    spread,
    effect = 0,
    drawSpread = 0,
  }: { prompts: number; trainings: number; spread: number; effect?: number; drawSpread?: number },
) {
  const easy = Array.from({ length: prompts }, () => 0.7 * normal());
  const values: number[] = [];
  for (let t = 0; t < trainings; t++) {
    const shift = (effect + spread * normal() + drawSpread * normal()) / perUnit;
    for (const one of easy) values.push(outcome(one + shift + normal(), 0.5));
  }
  return {
    values,
    sources: {
      prompts: values.map((_, i) => i % prompts),
      ...(trainings > 1 && { trainings: values.map((_, i) => Math.floor(i / prompts)) }),
    },
  };
}

const spreads = [0, 0.03, 0.057, 0.09, 0.12];

describe("verdicts over trainings", () => {
  test.each(someOf([2, 3, 5]))(
    "with %d seeds and no effect: at most 7 of 100 say otherwise, whatever trainings and draws vary by",
    (trainings) => {
      const draw = generator(trainings);
      const experiments = 600;
      const lines: string[] = [];
      for (const drawSpread of someOf([0.06, 0]))
        for (const spread of someOf(spreads.toReversed(), 2)) {
          let [said, found] = [0, 0];
          for (let i = 0; i < experiments; i++) {
            const none = experiment(draw, { prompts: 250, trainings, spread, drawSpread });
            if (crossedMean(none.values, none.sources).pValue < 0.05) said++;
            const some = experiment(draw, { prompts: 250, trainings, spread, drawSpread, effect: 0.2 });
            const { pValue, value } = crossedMean(some.values, some.sources);
            if (pValue < 0.05 && value > 0) found++;
          }
          lines.push(
            `sd ${spread}${drawSpread > 0 ? ` and draws ${drawSpread}` : ""}: ${((100 * said) / experiments).toFixed(1)} %, power at 0.2 ${(found / experiments).toFixed(2)}`,
          );
          expect(said / experiments).toBeLessThanOrEqual(0.07);
        }
      console.log(`${trainings} seeds, false verdicts by how trainings vary:\n  ${lines.join("\n  ")}`);
    },
  );

  test("a training that varies by .057 makes one seed's test say something of selecting in a third of experiments", () => {
    const draw = generator(9);
    let said = 0;
    for (let i = 0; i < 600; i++) {
      const { values, sources } = experiment(draw, { prompts: 730, trainings: 1, spread: 0.057 });
      if (crossedMean(values, sources).pValue < 0.05) said++;
    }
    expect(said / 600).toBeGreaterThan(0.25); // which is why one seed is never said to be about selecting
  });
});

describe("intervals of the winning score", () => {
  test.each(
    someOf(
      [
        [20, 0.4, 0.3],
        [20, 0.15, 0.15],
        [20, 0.05, 0.05],
        [20, 0.9, 0.05],
        [20, 0.05, 0.95],
        [20, 0.02, 0.98],
        [80, 0.05, 0.05],
        [80, 0.02, 0.98],
        [80, 0.02, 0],
        [80, 0.5, 0.025],
        [180, 0.02, 0.98],
        [252, 0.01, 0.02],
        [252, 0.36, 0.3],
        [805, 0.006, 0.994],
        [805, 0.003, 0],
        [805, 0.3, 0.4],
      ],
      2,
    ),
  )("of %d prompts with wins at %d and losses at %d hold the truth in at least 93 of 100", (n, win, lose) => {
    const random = createRandom(n);
    const prompts = Array.from({ length: n }, (_, i) => i);
    const experiments = 1000;
    let held = 0;
    for (let i = 0; i < experiments; i++) {
      const values = prompts.map(() => {
        const at = random();
        return at < win ? 1 : at < win + lose ? -1 : 0;
      });
      const { low, high } = crossedMean(values, { prompts });
      if (low <= win - lose && win - lose <= high) held++;
    }
    expect(held / experiments).toBeGreaterThanOrEqual(0.93);
  });

  test.each(
    someOf(
      [
        [80, 2, 0.6, 0.4],
        [30, 5, 0.6, 0.4],
        [20, 2, 0.9, 0.4],
        [20, 5, 0.9, 1.5],
        [80, 5, 0.9, 2.2],
      ],
      2,
    ),
  )(
    "of %d conversations of %d turns (correlated by %d, tie band %d): held, and no more false alarms than 7 of 100",
    (n, turns, correlation, band) => {
      const { normal } = generator(n + turns);
      const experiments = 800;
      let [held, alarms, unclustered] = [0, 0, 0];
      for (let i = 0; i < experiments; i++) {
        const values: number[] = [];
        for (let prompt = 0; prompt < n; prompt++) {
          const shared = Math.sqrt(correlation) * normal();
          for (let turn = 0; turn < turns; turn++)
            values.push(outcome(shared + Math.sqrt(1 - correlation) * normal(), band));
        }
        const { low, high, pValue } = crossedMean(values, { prompts: values.map((_, at) => Math.floor(at / turns)) });
        if (low <= 0 && 0 <= high) held++;
        if (pValue < 0.05) alarms++;
        const wins = values.filter((value) => value > 0).length;
        if (signTest(wins, values.filter((value) => value < 0).length) < 0.05) unclustered++;
      }
      expect(held / experiments).toBeGreaterThanOrEqual(0.93);
      expect(alarms / experiments).toBeLessThanOrEqual(0.07);
      if (turns === 5 && band < 1) expect(unclustered / experiments).toBeGreaterThan(0.15); // what the plain sign test would say
    },
  );

  test.each(
    someOf(
      [
        [20, 0.3, 1, 0.6, 0.15],
        [80, 0.3, 1.5, 0.5, 0.1],
        [80, 0, 2.5, 0.3, 0.05],
        [180, 0.2, 0.3, 0.4, 0.1],
        [20, 0, 0.1, 0.3, 0.02],
        [80, 0.6, 0.05, 0.2, 0.02],
      ],
      2,
    ),
  )(
    "under a judge that prefers a place: %d prompts, effect %d, bias %d, noise %d, band %d",
    (n, effect, bias, noise, band) => {
      const { normal } = generator(n + 10 * bias);
      const draw = () => {
        const better = effect + 0.8 * normal();
        const one = outcome(better + bias + noise * normal(), band); // A shown first
        const other = outcome(better - bias + noise * normal(), band);
        const firsts = [one, -other].filter((said) => said !== 0).map((said) => (said > 0 ? 1 : 0));
        return { winning: Math.sign(one + other), flipped: one * other < 0, firsts };
      };
      const truth = { winning: 0, flips: 0, firsts: 0, preferred: 0 };
      const many = 200_000;
      for (let i = 0; i < many; i++) {
        const { winning, flipped, firsts } = draw();
        truth.winning += winning / many;
        truth.flips += Number(flipped) / many;
        truth.firsts += firsts.reduce<number>((sum, is) => sum + is, 0);
        truth.preferred += firsts.length;
      }
      const experiments = 2000;
      const held = { winning: 0, flips: 0, firsts: 0 };
      const isIn = ({ low, high }: { low: number; high: number }, value: number) =>
        low <= value && value <= high ? 1 : 0;
      for (let i = 0; i < experiments; i++) {
        const pairs = Array.from({ length: n }, draw);
        const prompts = pairs.map((_, at) => at);
        held.winning += isIn(
          crossedMean(
            pairs.map(({ winning }) => winning),
            { prompts },
          ),
          truth.winning,
        );
        held.flips += isIn(wilson(pairs.filter(({ flipped }) => flipped).length, n), truth.flips);
        const firsts = pairs.flatMap((pair, at) => pair.firsts.map((is) => ({ is, at })));
        const share = crossedMean(
          firsts.map(({ is }) => is),
          { prompts: firsts.map(({ at }) => at) },
          { range: [0, 1] },
        );
        held.firsts += isIn(share, truth.firsts / truth.preferred);
      }
      for (const count of Object.values(held)) expect(count / experiments).toBeGreaterThanOrEqual(0.93);
    },
  );

  test("interval and p-value never disagree, and turning the sides mirrors both", () => {
    const { random } = generator(4);
    for (let i = 0; i < 400; i++) {
      const prompts = 3 + Math.floor(60 * random());
      const trainings = 1 + Math.floor(4 * random());
      const [win, lose] = [random(), random()].toSorted((x, y) => x - y);
      const values = Array.from({ length: prompts * trainings }, () => {
        const at = random();
        return at < win! ? 1 : at > lose! ? -1 : 0;
      });
      const sources = {
        prompts: values.map((_, at) => at % prompts),
        ...(trainings > 1 && { trainings: values.map((_, at) => Math.floor(at / prompts)) }),
      };
      const { value, low, high, pValue } = crossedMean(values, sources);
      if (Math.abs(pValue - 0.05) > 1e-6) expect(pValue < 0.05).toBe(low > 0 || high < 0);
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
      const turned = crossedMean(
        values.map((one) => -one),
        sources,
      );
      expect(turned.low).toBeCloseTo(-high, 9);
      expect(turned.pValue).toBeCloseTo(pValue, 6);
    }
  });

  test("without wins and losses, or without a prompt", () => {
    expect(crossedMean([0, 0, 0], { prompts: [0, 1, 2] })).toMatchObject({ value: 0, pValue: 1 });
    expect(crossedMean([], { prompts: [] })).toEqual({ value: NaN, low: NaN, high: NaN, pValue: 1 });
    const all = crossedMean(Array<number>(80).fill(-1), { prompts: Array.from({ length: 80 }, (_, i) => i) });
    expect(all.low).toBe(-1);
    expect(1 + all.high).toBeCloseTo(0.073, 3); // 0 wins of 80 gave [0, 0]
  });

  test("of one training it is McNemar's test with one further win and loss", () => {
    const values = [...Array<number>(41).fill(1), ...Array<number>(15).fill(0), ...Array<number>(24).fill(-1)];
    const { pValue } = crossedMean(values, { prompts: values.map((_, i) => i) });
    expect(pValue).toBeCloseTo(normalTwoSided(17 / Math.sqrt(67)), 9);
  });
});

test("a ratio of totals holds the truth", () => {
  const { normal } = generator(2);
  let held = 0;
  for (let i = 0; i < 500; i++) {
    const pairs = Array.from({ length: 60 }, () => {
      const prompt = normal();
      return [7 + prompt + normal(), 6.5 + prompt + normal()] as const;
    });
    const { low, high } = crossedRatio(
      pairs.map(([a]) => a),
      pairs.map(([, b]) => b),
      { prompts: pairs.map((_, at) => at) },
    );
    if (low <= 7 / 6.5 && 7 / 6.5 <= high) held++;
  }
  expect(held / 500).toBeGreaterThanOrEqual(0.93);
});

test("distributions are as in tables", () => {
  expect(studentQuantile(0.05, 1)).toBeCloseTo(12.7062, 4);
  expect(studentQuantile(0.05, 2)).toBeCloseTo(4.30265, 5);
  expect(studentQuantile(0.05, 4)).toBeCloseTo(2.77645, 5);
  expect(studentQuantile(0.01, 30)).toBeCloseTo(2.75, 3);
  expect(studentTwoSided(2, 5)).toBeCloseTo(0.101939, 6);
  expect(normalTwoSided(6)).toBeCloseTo(1.973175e-9, 14);
  expect(betaQuantile(0.025, 3, 8)).toBeCloseTo(0.06674, 5);
});

describe("a ratio of scores where one side may have none", () => {
  const ratioOf = (pairs: readonly (readonly [number, number])[]) =>
    crossedRatio(
      pairs.map(([a]) => a),
      pairs.map(([, b]) => b),
      { prompts: pairs.map((_, i) => i) },
      { openRatio: true },
    );
  const repeated = (n: number, pair: readonly [number, number]) => Array.from({ length: n }, () => pair);

  test("prompts on which b got nothing count, whichever arm comes first", () => {
    const pairs = [...repeated(20, [9, 0]), ...repeated(20, [7, 8])];
    const one = ratioOf(pairs);
    const turned = ratioOf(pairs.map(([a, b]) => [b, a] as const));
    expect(one.value).toBe(2);
    expect(turned.value).toBe(0.5);
    expect(1 / one.low).toBeCloseTo(turned.high, 9);
    expect(1 / one.high).toBeCloseTo(turned.low, 9);
  });

  test("a that got nothing anywhere has no interval without width", () => {
    expect(ratioOf(repeated(12, [0, 5]))).toMatchObject({ value: 0, low: -Infinity, high: Infinity });
  });

  test.each([
    [0.1, 30],
    [0.3, 30],
    [0.3, 80],
  ])("its interval holds where b gets nothing on a share of %d of %d prompts", (share, prompts) => {
    const { random, normal } = generator(5);
    const score = (mean: number) => Math.round(Math.max(0, Math.min(10, mean + 1.5 * normal())));
    const draw = (): [number, number] => {
      const hard = 3 * random();
      return [score(8 - hard), random() < share ? 0 : score(7 - hard)];
    };
    const many = Array.from({ length: 200_000 }, draw);
    const sum = (side: 0 | 1) => many.reduce((total, pair) => total + pair[side], 0);
    const truth = sum(0) / sum(1);
    const runs = howOften(1000, 300);
    let holds = 0;
    for (let run = 0; run < runs; run++) {
      const { low, high } = ratioOf(Array.from({ length: prompts }, draw));
      if (low <= truth && truth <= high) holds++;
    }
    expect(holds / runs).toBeGreaterThan(0.92);
  });
});
