import { describe, expect, test } from "vitest";
import { readAnchors, type AnchorKind } from "../../src/health/anchors.ts";
import { examineRounds, isDoubtful } from "../../src/health/examine.ts";
import { findDrift } from "../../src/health/drift.ts";
import type { AnchorRatings } from "../../src/health/figures.ts";
import type { Rating } from "../../src/run/rating.ts";
import { createRandom } from "../../src/stats/random.ts";

const anchors = await readAnchors();
const scale = { min: 0, max: 5 };
const inOrder: Readonly<Record<AnchorKind, number>> = {
  good: 4.5,
  "cut short": 2.5,
  wrong: 1.5,
  "off topic": 0.5,
  refused: 1,
  injected: 1.5,
};
const random = createRandom(1);
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const scored = (score: number): Rating => ({ state: "scored", score });

/** A round of a judge with these means and so much noise, on steps of a scale from 0 to 5. */
function rate(deviation: number, step: number, { means = inOrder, shift = 0 } = {}): AnchorRatings {
  return anchors.map(({ kind }) => {
    const score = means[kind] + shift + deviation * normal();
    return scored(Math.min(5, Math.max(0, step > 0 ? Math.round(score / step) * step : score)));
  });
}

/** Whether a judge is rejected, with a third round where two leave doubt, as a rating asks it. */
function isRejected(round: () => AnchorRatings): boolean {
  const rounds = [round(), round()];
  if (isDoubtful(examineRounds(anchors, rounds, scale))) rounds.push(round());
  return isDoubtful(examineRounds(anchors, rounds, scale));
}

/** Whether an alarm is raised, with a second look at the end where the first stirs. */
function hasDrifted(before: () => AnchorRatings, after: () => AnchorRatings): boolean {
  const start = [before(), before()];
  const end = [after()];
  if (findDrift(start, end, scale).isStirred) end.push(after());
  else return false;
  return findDrift(start, end, scale).alarm !== undefined;
}

const judges = 400;
const share = (is: () => boolean) => Array.from({ length: judges }, is).filter(Boolean).length / judges;

describe.each([0.5, 1, 0])("on steps of %d", (step) => {
  test.each([0, 0.1, 0.3, 0.5, 0.7])(
    "a judge whose means are in order and whose noise is %d is rejected in at most 3 of 100",
    (deviation) => {
      expect(share(() => isRejected(() => rate(deviation, step)))).toBeLessThanOrEqual(0.03);
    },
  );

  test.each([0, 0.3, 0.7])(
    "with noise of %d: no drift is called one in at most 3 of 100, and one of .7 is found in 80 of 100",
    (deviation) => {
      const own = () => rate(deviation, step);
      expect(share(() => hasDrifted(own, own))).toBeLessThanOrEqual(0.03);
      expect(share(() => hasDrifted(own, () => rate(deviation, step, { shift: -0.7 })))).toBeGreaterThanOrEqual(0.8);
    },
  );

  test.each([0, 0.3, 0.7])("with noise of %d: one that does what rows tell it is caught in 95 of 100", (deviation) => {
    const obeying = { ...inOrder, injected: 5 };
    const lifted = { ...inOrder, injected: 3.5 };
    expect(share(() => isRejected(() => rate(deviation, step, { means: obeying })))).toBeGreaterThanOrEqual(0.95);
    expect(share(() => isRejected(() => rate(deviation, step, { means: lifted })))).toBeGreaterThanOrEqual(0.95);
  });
});

test.each([
  ["in halves", () => Math.round(10 * random()) / 2],
  ["in whole numbers", () => Math.floor(6 * random())],
  ["3, 4 or 5", () => 3 + Math.floor(3 * random())],
  ["always 4", () => 4],
])("a judge that answers %s at random is caught in 95 of 100, whether it repeats itself or not", (_, draw) => {
  expect(share(() => isRejected(() => anchors.map(() => scored(draw()))))).toBeGreaterThanOrEqual(0.95);
  expect(
    share(() => {
      const fixed = anchors.map(() => scored(draw()));
      return isRejected(() => fixed);
    }),
  ).toBeGreaterThanOrEqual(0.95);
});

const byKind = (of: (kind: AnchorKind) => Rating): AnchorRatings => anchors.map(({ kind }) => of(kind));

test("rows that a provider refuses since they tell the judge what to say count nothing against it", () => {
  const round = byKind((kind) =>
    kind === "injected" ? { state: "refused", detail: "filtered by the provider" } : scored(inOrder[kind]),
  );
  const checks = examineRounds(anchors, [round, round], scale);
  expect(checks.filter(({ held }) => !held)).toEqual([]);
  expect(checks.find(({ name }) => name === "resists injections")!.message).toContain("the provider refuses rows");
});

test("a judge that does not see one kind of fault is told so", () => {
  const blind = byKind((kind) => scored(kind === "cut short" ? 4.5 : inOrder[kind]));
  const check = examineRounds(anchors, [blind, blind], scale).find(({ name }) => name === "separates")!;
  expect(check.held).toBe(false);
  expect(check.message).toContain("compared with those that are cut short alone, 0.00 higher");
});

test("replies that did not arrive are no fault: what is left is looked at, and too little is not called anything", () => {
  const lost: Rating = { state: "failed", detail: "no connection" };
  const some = (every: number) =>
    byKind((kind) => scored(inOrder[kind])).map((rating, i) => (i % every === 0 ? lost : rating));
  expect(isDoubtful(examineRounds(anchors, [some(5), some(4)], scale))).toBe(false);
  const none = anchors.map(() => lost);
  const checks = examineRounds(anchors, [none, none, none], scale);
  expect(checks.every(({ held, isUnknown }) => !held && isUnknown)).toBe(true);
  expect(findDrift([none, none], [none], scale)).toEqual({ isStirred: true });
});

test("a judge without any noise that moves a little is found, and one that says the same is left alone", () => {
  const same = byKind((kind) => scored(inOrder[kind]));
  const lower = byKind((kind) => scored(inOrder[kind] - 0.25));
  expect(findDrift([same, same], [same], scale)).toEqual({ isStirred: false });
  expect(findDrift([same, same], [lower, lower], scale).alarm).toContain(
    "20 anchor rows 0.25 lower than at the beginning",
  );
});
