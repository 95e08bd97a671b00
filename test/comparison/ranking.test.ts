import { describe, expect, test } from "vitest";
import { findRankings } from "../../src/comparison/ranking.ts";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";

interface Made {
  readonly judge?: string;
  readonly held?: boolean;
  readonly trainings?: number;
}

function match(a: string, b: string, wins: number, { judge = "j", held = true, trainings = 1 }: Made = {}) {
  const verdicts = Array.from({ length: 10 * trainings }, (_, i) => ({
    id: `p${i % 10}`,
    set: "one",
    outcome: i % 10 < wins ? "win" : "lose",
    training: Math.floor(i / 10),
  })) as unknown as PairVerdict[];
  const gates = [{ name: "coverage", held, message: "" }];
  return { summary: { a, b, judge, seed: 1, gates } as unknown as ComparisonSummary, verdicts };
}

describe("rankings of a run", () => {
  test("three arms, each two of which were compared, are ranked; others are left out by name", () => {
    const [ranking, ...others] = findRankings([
      match("a", "b", 8),
      match("a", "c", 9),
      match("b", "c", 8),
      match("a", "d", 9),
    ]);
    expect(others).toEqual([]);
    expect(ranking).toMatchObject({ judge: "j", seed: 1, leftOut: ["d"] });
    expect(ranking!.arms.map(({ arm, rank, decided }) => [rank, arm, decided])).toEqual([
      [1, "a", 20],
      [2, "b", 20],
      [3, "c", 20],
    ]);
  });

  test("arms of the same strength share a rank", () => {
    const [ranking] = findRankings([match("a", "b", 5), match("a", "c", 5), match("b", "c", 5)]);
    expect(ranking!.arms.map(({ rank }) => rank)).toEqual([1, 1, 1]);
  });

  test("two arms that were compared both ways count once", () => {
    const once = [match("a", "b", 8), match("a", "c", 9), match("b", "c", 8)];
    expect(findRankings([match("b", "a", 2), ...once])).toEqual(findRankings(once));
  });

  test.each<[string, ReturnType<typeof match>]>([
    ["was compared by another judge", match("b", "c", 8, { judge: "k" })],
    ["has a gate that did not hold", match("b", "c", 8, { held: false })],
    ["is of several trainings", match("b", "c", 8, { trainings: 2 })],
  ])("there is no ranking when one pair %s", (_, last) => {
    expect(findRankings([match("a", "b", 8), match("a", "c", 9), last])).toEqual([]);
  });
});
