import { describe, expect, test } from "vitest";
import { curateScores } from "../../src/curation/curate.ts";
import { weighCorrection } from "../../src/curation/guard.ts";
import { pearson } from "../../src/stats/agreement.ts";
import { createRandom } from "../../src/stats/random.ts";
import { isLong } from "../helpers/long.ts";

/*
 * Judges of known errors, on rows whose neighbours have the same true score as often as is said.
 */

const prior = [0.05, 0.1, 0.15, 0.25, 0.25, 0.2];
const rows = 1500;

function draw(seed: number, alike: number, panel: string) {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const level = () => {
    let left = random();
    return Math.max(
      0,
      prior.findIndex((share) => (left -= share) < 0),
    );
  };
  const truth = Float64Array.from({ length: rows }, level);
  const byLevel = prior.map((_, at) => [...truth.keys()].filter((row) => truth[row] === at));
  const nearest = Uint32Array.from({ length: 2 * rows }, (_, i) => {
    const row = Math.floor(i / 2);
    const own = random() < alike ? byLevel[truth[row]!]! : undefined;
    return own ? own[Math.floor(random() * own.length)]! : Math.floor(random() * rows);
  });
  const onScale = (score: number) => Math.max(0, Math.min(5, Math.round(score)));
  const errs: Record<string, (score: number) => number> = {
    good: (score) => onScale(score + 0.4 * normal()),
    fair: (score) => onScale(score + normal()),
    bad: (score) => onScale(score + 2.2 * normal()),
    shifted: (score) => onScale(score + 1.5 + 0.7 * normal()),
    lazy: (score) => (random() < 0.85 ? 3 : onScale(score + normal())),
  };
  const judges = panel.split(" ").map((kind) => {
    const raw = truth.map((score) => errs[kind]!(score));
    return { raw, corrected: curateScores(raw, nearest).scores };
  });
  const { weights } = weighCorrection(judges, nearest);
  const meanOf = (of: (judge: (typeof judges)[number], weight: number) => Float64Array) => {
    const scores = judges.map((judge, i) => of(judge, weights[i]!));
    return truth.map((_, row) => scores.reduce((sum, own) => sum + own[row]!, 0) / scores.length);
  };
  return {
    weights,
    plain: pearson(
      meanOf(({ raw }) => raw),
      truth,
    ),
    whole: pearson(
      meanOf(({ corrected }) => corrected),
      truth,
    ),
    guarded: pearson(
      meanOf(({ raw, corrected }, weight) => raw.map((score, row) => score + weight * (corrected[row]! - score))),
      truth,
    ),
  };
}

describe("the correction of a panel", () => {
  test.runIf(isLong)(
    "never takes more than .01 of its correlation with the truth from the plain mean, and gives where neighbours tell",
    () => {
      let [gained, lost] = [0, 0];
      for (const panel of ["good good", "good bad", "bad bad", "good lazy", "shifted fair"])
        for (const [i, alike] of [0, 0.4, 0.8, 1].entries()) {
          const { plain, whole, guarded } = draw(10 * i + panel.length, alike, panel);
          expect(guarded, `${panel}, ${alike} alike`).toBeGreaterThan(plain - 0.01);
          if (whole < plain - 0.01) lost++;
          if (guarded > plain + 0.01) gained++;
        }
      expect(lost).toBeGreaterThan(3); // what taking all of it over would have cost
      expect(gained).toBeGreaterThan(3);
    },
  );

  test("leaves good judges with weak neighbours alone, and mends bad judges with good ones", () => {
    const good = draw(1, 0.4, "good good");
    expect(good.whole).toBeLessThan(0.9);
    expect(good.guarded).toBeGreaterThan(good.plain - 0.002);
    const bad = draw(2, 1, "bad bad");
    expect(bad.weights.every((weight) => weight > 0)).toBe(true);
    expect(bad.guarded).toBeGreaterThan(bad.plain + 0.05);
  });
});
