import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { analyse, analyseGroup } from "../../src/comparison/analyse.ts";
import { readReviews } from "../../src/comparison/reviews.ts";
import { outcomeOfOrders, type PairVerdict } from "../../src/comparison/verdict.ts";
import { openPairRubric } from "../../src/rubric/open-rubric.ts";
import { readVerdict } from "../../src/rubric/read-verdict.ts";
import type { Outcome } from "../../src/stats/outcomes.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";

/** The published counts, and what the order of the answers did, counted independently from the same files. */
const published = [
  {
    files: ["alpagasus2-alpaca2-koala", "alpaca2-alpagasus2-koala"],
    counts: [94, 71, 15],
    flips: 67 / 180,
    orders: [130, 220, 10],
  },
  {
    files: ["alpagasus2-alpaca2-vicuna", "alpaca2-alpagasus2-vicuna"],
    counts: [40, 38, 2],
    flips: 38 / 80,
    orders: [44, 116, 0],
  },
  { files: ["cherry_5pct-VS-alpaca_vicuna_gpt4"], counts: [44, 15, 21], flips: 12 / 80, orders: [66, 74, 20] },
  { files: ["cherry_5pct-VS-alpaca_koala_gpt4"], counts: [85, 36, 59], flips: 21 / 180, orders: [149, 169, 42] },
  { files: ["cherry_5pct-VS-alpaca_sinstruct_gpt4"], counts: [111, 61, 80], flips: 33 / 252, orders: [204, 226, 74] },
];
const paths = (files: readonly string[]) => files.map((file) => sharedData(`reviews/${file}.json`));

describeWithSharedData("published judgements", () => {
  test.each(published)(
    "$files give $counts again, with their flips and positions",
    async ({ files, counts, flips, orders }) => {
      const { verdicts } = await readReviews(paths(files));
      const { pooled } = analyse(verdicts);
      expect(pooled.counts).toEqual({ win: counts[0], tie: counts[1], lose: counts[2], undecided: 0 });
      expect(pooled.orders.flipRate.value).toBeCloseTo(flips, 12);
      expect([pooled.orders.first, pooled.orders.second, pooled.orders.draws]).toEqual(orders);
    },
  );

  test("are the same from their raw replies, read by our own rubric", async () => {
    const rubric = await openPairRubric();
    let read = 0;
    for (const { files } of published) {
      for (const file of files) {
        const content = readSharedJson(`reviews/${file}.json`) as Review[] | { data: Review[] };
        for (const row of Array.isArray(content) ? content : content.data) {
          for (const [text, scores] of [
            [row.review, row.score ?? row.scores],
            [row.review_reverse, row.scores_reverse],
          ] as const) {
            if (text === undefined) continue;
            const recorded = (typeof scores === "string" ? JSON.parse(scores) : scores) as [number, number];
            expect(readVerdict(text, "stop", rubric)).toMatchObject({ state: "judged", scores: recorded });
            read++;
          }
        }
      }
    }
    expect(read).toBe(1544);
  });

  test("with one order of a part missing leave that part undecided", async () => {
    using folder = tempFolder();
    const [one, other] = paths(["alpagasus2-alpaca2-vicuna", "alpaca2-alpagasus2-vicuna"]).map(
      (path) => JSON.parse(readFileSync(path, "utf8")) as object[],
    );
    folder.write("alpagasus2-alpaca2-vicuna.json", one!);
    folder.write("alpaca2-alpagasus2-vicuna.json", other!.slice(0, 30));
    const { verdicts } = await readReviews([
      `${folder.path}/alpagasus2-alpaca2-vicuna.json`,
      `${folder.path}/alpaca2-alpagasus2-vicuna.json`,
    ]);
    expect(analyse(verdicts).pooled.counts.undecided).toBe(50);
  });

  test("of the other side mirror them", async () => {
    const files = paths(["cherry_5pct-VS-alpaca_koala_gpt4"]);
    const one = analyse((await readReviews(files)).verdicts).pooled;
    const other = analyse((await readReviews(files, { arms: ["alpaca", "cherry_5pct"] })).verdicts).pooled;
    expect(other.counts).toEqual({ ...one.counts, win: one.counts.lose, lose: one.counts.win });
    expect(other.winningScore.value).toBeCloseTo(2 - one.winningScore.value, 12);
    expect(other.orders).toMatchObject({ first: one.orders.first, second: one.orders.second });
    expect(other.relativeScore!.value).toBeCloseTo(1 / one.relativeScore!.value, 12);
  });
});

interface Review {
  readonly review: string;
  readonly score?: [number, number];
  readonly scores?: string;
  readonly review_reverse?: string;
  readonly scores_reverse?: string;
}

/** Pairs with these outcomes, on prompts of their own. */
function pairsOf(set: string, counts: readonly number[]): PairVerdict[] {
  return (["win", "tie", "lose"] as const).flatMap((outcome: Outcome, i) =>
    Array.from({ length: counts[i]! }, (_, n) => ({ id: `${outcome} ${n}`, set, outcome, orders: [] })),
  );
}

describeWithSharedData("the paper's table", () => {
  let table: Record<"7b" | "13b", Record<string, number[]>>;
  let scores: Record<string, Record<string, number>>;
  beforeAll(() => {
    const paper = parse(readFileSync(sharedData("protocol/published-results.yaml"), "utf8")) as {
      alpagasus_9k_vs_alpaca_52k: typeof table;
      winning_score_by_training_size_7b: typeof scores;
    };
    table = paper.alpagasus_9k_vs_alpaca_52k;
    scores = paper.winning_score_by_training_size_7b;
  });

  test("has the winning scores that it says, and only three of its eight differences are shown by themselves", () => {
    const shown: string[] = [];
    for (const [size, sets] of Object.entries(table)) {
      for (const [set, counts] of Object.entries(sets)) {
        const result = analyseGroup(set, pairsOf(set, counts));
        if (size === "7b") expect(result.winningScore.value).toBeCloseTo(scores[set]!["9k"]!, 3);
        expect(result.winningScore.low).toBeLessThan(result.winningScore.value);
        if (result.conclusion === "better") shown.push(`${size} ${set}`);
        expect(result.conclusion).not.toBe("worse");
        expect(result.conclusion === "better").toBe(result.winningScore.low > 1);
      }
    }
    expect(shown).toEqual(["7b vicuna", "13b vicuna", "13b wizardlm"]);
  });

  test("pooled over its sets shows a difference at both sizes", () => {
    const pooled = (["7b", "13b"] as const).map(
      (size) => analyse(Object.entries(table[size]).flatMap(([set, counts]) => pairsOf(set, counts))).pooled,
    );
    expect(pooled.map(({ counts }) => [counts.win, counts.tie, counts.lose])).toEqual([
      [284, 210, 236],
      [293, 198, 239],
    ]);
    expect(pooled.map(({ conclusion }) => conclusion)).toEqual(["better", "better"]);
  });
});

test("the order of the pairs changes nothing, and one undecided more changes no win", () => {
  const pairs = pairsOf("s", [20, 10, 8]);
  const one = analyse(pairs);
  expect(analyse(pairs.toReversed())).toEqual(one);
  const more = analyse([...pairs, { id: "x", set: "s", outcome: "undecided", orders: [] }]).pooled;
  expect(more.counts).toEqual({ ...one.pooled.counts, undecided: 1 });
  expect(more.winningScore.value).toBe(one.pooled.winningScore.value);
});

test("a verdict that cannot be read leaves its pair undecided, and a single published order decides", () => {
  const judged = { state: "judged", winner: "A" } as const;
  expect(outcomeOfOrders([judged, judged])).toBe("win");
  expect(outcomeOfOrders([judged, { state: "unparsable" }])).toBe("undecided");
  expect(outcomeOfOrders([judged])).toBe("win");
});
