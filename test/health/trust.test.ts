import { describe, expect, test } from "vitest";
import { analyse } from "../../src/comparison/analyse.ts";
import { conclude } from "../../src/comparison/conclude.ts";
import { toComparisonRecord } from "../../src/comparison/comparison-record.ts";
import { outcomeOfOrders, type PairVerdict, type Verdict } from "../../src/comparison/verdict.ts";
import { describeTrust, warningOf, weighComparison, weighRating } from "../../src/health/trust.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { createRandom } from "../../src/stats/random.ts";

const judge = "openai:gpt-x";

/** 300 pairs whose better answer is known, by a judge that says so with this accuracy in each order. */
function compared(says: (better: "A" | "B", order: 0 | 1) => "A" | "B" | "draw", orders: 1 | 2 = 2): ComparisonSummary {
  const random = createRandom(5);
  const verdicts = Array.from({ length: 300 }, (_, i): PairVerdict => {
    const better = random() < 0.5 ? "A" : "B";
    const both = ([0, 1] as const).slice(0, orders).map((order): Verdict => {
      return { shownFirst: order === 0 ? "A" : "B", state: "judged", winner: says(better, order) };
    });
    return { id: String(i), set: "one", outcome: outcomeOfOrders(both), orders: both };
  });
  const pooled = toComparisonRecord(analyse(verdicts).pooled);
  return {
    a: "a",
    b: "b",
    judge,
    notes: [],
    missing: 0,
    states: {},
    seed: 42,
    pooled,
    sets: [],
    categories: [],
    agreement: [],
    gates: [],
    startedAt: "",
    wallMs: 0,
  };
}

describe("a comparison", () => {
  const random = createRandom(1);

  test("is not to be trusted when the judge guesses", () => {
    const { answer, against } = weighComparison(compared(() => (random() < 0.5 ? "A" : "B")));
    expect(answer).toBe("no");
    expect(against[0]).toMatch(/contradicts itself in \d\d(\.\d)? % of the pairs .*guessing: about half/);
  });

  test("is not to be trusted when the judge takes the first answer", () => {
    const trust = weighComparison(compared((_, order) => (order === 0 ? "A" : "B")));
    expect(trust.answer).toBe("no");
    expect(trust.against.join()).toContain("it picks the answer shown first too often");
  });

  test("that says who is better says in the same breath that it is not to be trusted", () => {
    const draw = createRandom(1);
    const won = compared(() => (draw() < 0.75 ? "A" : "B"));
    expect(won.pooled.conclusion).toBe("better");
    expect(conclude(won, warningOf(weighComparison(won)))).toMatch(
      /^a is better than b: .*\. This is not to be trusted\.$/,
    );
    const fine = compared((better) => better);
    expect(warningOf(weighComparison(fine))).toBe("");
    const undecided = compared(() => (draw() < 0.5 ? "A" : "B"));
    expect(conclude(undecided, warningOf(weighComparison(undecided)))).toMatch(
      /^No difference shown [^.]*\.?\d+\)[^.]*\.$/,
    );
  });

  test("wants care when one order was judged", () => {
    const { answer, against } = weighComparison(compared((better) => better, 1));
    expect([answer, against.join()]).toEqual(["with care", expect.stringContaining("only one order was judged")]);
  });

  test("is not to be trusted when one order was judged and the answer shown second wins", () => {
    const { answer, against } = weighComparison(compared((_, order) => (order === 0 ? "B" : "A"), 1));
    expect([answer, against[0]]).toEqual(["no", expect.stringContaining("the place alone may decide")]);
  });

  test("is not to be trusted when the judge tells no answers apart", () => {
    const { answer, against } = weighComparison(compared(() => "draw"));
    expect([answer, against[0]]).toEqual(["no", expect.stringContaining("calls 100.0 % of its verdicts a tie")]);
  });

  test("is trusted when both orders and people agree", () => {
    const summary = compared((better) => better);
    expect(weighComparison(summary)).toMatchObject({
      answer: "with care",
      against: ["no people's labels to compare it with"],
    });
    const estimate = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
    const labelled = (kappa: number) => ({
      ...summary,
      agreement: [
        { with: "labels.jsonl", pairs: 300, share: estimate(0.8), kappa: estimate(kappa), correlation: estimate(0.6) },
      ],
    });
    expect(describeTrust(weighComparison(labelled(0.6)))).toBe(
      "Yes, as far as this run can tell. For it: both orders were judged and mostly agree; its verdicts agree with labels.jsonl by a kappa of 0.60, between 0.50 and 0.70, over 300 pairs.",
    );
    // where both nearly always say the same, kappa is about the few other pairs alone
    const constant = { ...labelled(0).agreement[0]!, share: estimate(0.967), kappa: estimate(0) };
    expect(weighComparison({ ...summary, agreement: [constant] })).toMatchObject({
      answer: "with care",
      against: [
        "labels.jsonl and the judge nearly always say the same (96.7 % of 300 pairs), which tells little of whether they agree",
      ],
    });
    const student = { ...labelled(-0.13).agreement[0]!, with: "student" };
    expect(weighComparison({ ...summary, agreement: [student] }).answer).toBe("with care"); // it may be the one that is wrong
    expect(weighComparison({ ...labelled(0.6), failedChecks: ["separates"] })).toMatchObject({
      answer: "no",
      against: ["the judge failed its check (separates)"],
    });
    expect(describeTrust(weighComparison(labelled(-0.13)))).toBe(
      "No: its verdicts agree with labels.jsonl by a kappa of -0.13, between -0.23 and -0.03, over 300 pairs. For it: both orders were judged and mostly agree.",
    );
  });
});

test("a rating says that its judge failed, that it was not checked, or that rows are missing", () => {
  const rate = {
    judge,
    notes: [],
    alarms: [],
    gates: [],
    coverage: 1,
    mean: 4,
    histogram: [],
    states: {},
    ratingsHash: "",
    startedAt: "",
    wallMs: 0,
    calls: {} as RateSummary["calls"],
  } satisfies RateSummary;
  const check = (name: string, held: boolean) => ({ name, held, message: `${name}: measured` });
  expect(weighRating(rate)).toMatchObject({ answer: "with care", against: ["the judge was not checked"] });
  expect(weighRating({ ...rate, checks: [check("separates", true)] })).toEqual({
    answer: "yes",
    for: ["the judge passed its check on anchor rows", "every row has a score"],
    against: [],
  });
  const alarms = [`${judge} failed its check and was used all the same: separates: measured`];
  expect(weighRating({ ...rate, checks: [check("separates", false)], alarms })).toMatchObject({
    answer: "no",
    against: ["the judge failed its check (separates)"],
  });
  expect(weighRating({ ...rate, alarms }).against[0]).toBe("the judge failed its check");
  expect(weighRating({ ...rate, coverage: 0.5, gates: [check("coverage", false)] }).against[0]).toBe(
    "only 50.0 % of the rows have a score",
  );
});
