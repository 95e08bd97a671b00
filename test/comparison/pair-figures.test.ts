import { expect, test } from "vitest";
import { analyse } from "../../src/comparison/analyse.ts";
import { toComparisonRecord } from "../../src/comparison/comparison-record.ts";
import { orderFigures, shareOfCases } from "../../src/comparison/pair-figures.ts";
import { readReviews } from "../../src/comparison/reviews.ts";
import { outcomeOfOrders, type PairVerdict, type Verdict } from "../../src/comparison/verdict.ts";
import { weighComparison } from "../../src/health/trust.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const said = (shownFirst: "A" | "B", winner: "A" | "B" | "draw"): Verdict => ({ shownFirst, state: "judged", winner });

function pair(id: number, orders: Verdict[], lengths?: readonly [number, number]): PairVerdict {
  return { id: String(id), set: "s", outcome: outcomeOfOrders(orders), orders, ...(lengths && { lengths }) };
}

test.each([5, 10, 20, 80, 160, 800])("the interval of a share of %d cases holds, also of rare ones", (cases) => {
  const ways = (hits: number) =>
    Array.from({ length: hits }, (_, i) => Math.log((cases - i) / (i + 1))).reduce((sum, one) => sum + one, 0);
  const estimates = Array.from({ length: cases + 1 }, (_, hits) => ({
    ...shareOfCases(hits, cases),
    ways: ways(hits),
  }));
  for (let i = 1; i <= 100; i++) {
    const truth = 0.5 * (i / 100) ** 3;
    const held = estimates
      .map(({ low, high, ways: log }, hits) =>
        low <= truth && truth <= high
          ? Math.exp(log + hits * Math.log(truth) + (cases - hits) * Math.log(1 - truth))
          : 0,
      )
      .reduce((sum, chance) => sum + chance, 0);
    expect(held, `a share of ${truth}`).toBeGreaterThanOrEqual(0.925);
  }
});

test("the place of answers is told by pairs of which both orders could be read", () => {
  const lost: Verdict = { shownFirst: "B", state: "failed", detail: "lost" };
  const verdicts = [
    ...Array.from({ length: 75 }, (_, i) => pair(i, [said("A", "A"), lost])),
    pair(75, [said("A", "draw"), lost]),
    ...Array.from({ length: 25 }, (_, i) => pair(100 + i, [said("A", "A"), said("B", "A")])),
  ];
  expect(orderFigures(verdicts)).toMatchObject({ pairs: 25, first: 25, second: 25, draws: 0 });
  expect(orderFigures(verdicts.slice(0, 76))).toMatchObject({ pairs: 0, first: 75, second: 0, draws: 1 });
});

function trustIn(verdicts: readonly PairVerdict[]) {
  const pooled = toComparisonRecord(analyse(verdicts).pooled);
  const rest = { missing: 0, states: {}, seed: 42, sets: [], categories: [], agreement: [], gates: [] };
  const trust = weighComparison({ a: "a", b: "b", judge: "x:y", notes: [], ...rest, pooled, startedAt: "", wallMs: 0 });
  return { ...trust, pooled };
}

test("a judge that takes the longer answer alone is not to be trusted", () => {
  const verdicts = Array.from({ length: 60 }, (_, i) => {
    const lengths = [100 + ((i * 37) % 260), 100 + ((i * 53) % 170)] as const;
    const winner = lengths[0] > lengths[1] ? "A" : "B";
    return pair(i, [said("A", winner), said("B", winner)], lengths);
  });
  const { answer, against, pooled } = trustIn(verdicts);
  expect(pooled.conclusion).toBe("better");
  expect([answer, against.join()]).toEqual(["no", expect.stringContaining("length alone would give this result")]);
});

test("where all are ties, there is no win rate at equal length", () => {
  const verdicts = Array.from({ length: 60 }, (_, i) => pair(i, [said("A", "A"), said("B", "B")], [300 + i, 200]));
  expect(trustIn(verdicts).pooled.length?.controlledWinRate.value ?? null).toBeNull();
});

test("reviews are one judge's", async () => {
  using folder = tempFolder();
  const review = (judge: string) => ({ question_id: 1, model_1: "x", model_2: "y", judge: [judge, "pair-v2"] });
  const line = (judge: string) =>
    `${JSON.stringify({ ...review(judge), g1_winner: "model_1", g2_winner: "model_1", g1_judgment: "", g2_judgment: "" })}\n`;
  const [one, other] = [folder.write("j1.jsonl", line("g1")), folder.write("j2.jsonl", line("g2"))];
  expect((await readReviews([one])).judge).toBe("g1");
  await expect(readReviews([one, other])).rejects.toThrow(/expected reviews by one judge, got g1, g2/);
});
