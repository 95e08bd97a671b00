import { expect, test } from "vitest";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import { rankArms } from "../../src/stages/rank-arms.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

test("arms that were trained several times are not ranked: the intervals would leave out how much trainings vary", async () => {
  using folder = tempFolder();
  const ranked = (trainings: readonly (number | undefined)[]) => {
    const verdicts = trainings.flatMap((training) =>
      Array.from({ length: 9 }, (_, i) => ({
        id: `p${i}`,
        set: "one",
        outcome: i % 3 ? "win" : "lose",
        orders: [],
        training,
      })),
    );
    const verdictsPath = folder.write("verdicts.jsonl", verdicts.map((one) => `${JSON.stringify(one)}\n`).join(""));
    return rankArms([{ a: "a", b: "b", verdictsPath } as ComparisonSummary]); // the part that is read
  };
  expect((await ranked([undefined])).map(({ arm }) => arm)).toEqual(["a", "b"]);
  expect(await ranked([0])).toHaveLength(2);
  await expect(ranked([0, 1])).rejects.toThrow(
    /verdicts\.jsonl: expected verdicts on one training of each arm, got several/,
  );
});
