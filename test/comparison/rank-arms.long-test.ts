import { expect, test } from "vitest";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import { rankArms } from "../../src/stages/rank-arms.ts";
import { bradleyTerry } from "../../src/stats/bradley-terry.ts";
import { drawNormal } from "../../src/stats/proportion.ts";
import { createRandom, type Random } from "../../src/stats/random.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const pairs = [
  [0, 1],
  [0, 2],
  [1, 2],
] as const;
const qualities = [4, 0, 0];

/** What a judge says of each pair: each arm has a quality that differs from prompt to prompt, and near ones are a tie. */
function judge(random: Random): number[] {
  const own = qualities.map((quality) => quality + drawNormal(random));
  return pairs.map(([a, b]) => {
    const difference = own[a]! - own[b]! + 0.3 * drawNormal(random);
    return difference > 0.3 ? 1 : difference < -0.3 ? 0 : 0.5;
  });
}

test("the interval of an arm that wins nearly always holds its strength", async () => {
  using folder = tempFolder();
  const random = createRandom(7);
  const wins = qualities.map(() => qualities.map(() => 0));
  for (let i = 0; i < 200_000; i++)
    judge(random).forEach((won, k) => {
      const [a, b] = pairs[k]!;
      wins[a]![b]! += won;
      wins[b]![a]! += 1 - won;
    });
  const truth = bradleyTerry(wins);
  const draws = 60;
  let held = 0;
  for (let draw = 0; draw < draws; draw++) {
    const prompts = Array.from({ length: 80 }, () => judge(random));
    const comparisons = pairs.map(([a, b], k) => {
      const lines = prompts.map((won, i) =>
        JSON.stringify({
          id: `p${i}`,
          set: "one",
          outcome: won[k] === 1 ? "win" : won[k] === 0 ? "lose" : "tie",
          orders: [],
        }),
      );
      const verdictsPath = folder.write(`${a}-${b}.jsonl`, lines.join("\n"));
      return { a: `m${a}`, b: `m${b}`, verdictsPath } as ComparisonSummary; // the part that is read
    });
    const { low, high } = (await rankArms(comparisons)).find(({ arm }) => arm === "m0")!.strength;
    if (low <= truth[0]! && truth[0]! <= high) held++;
  }
  console.log(`an arm that wins nearly always: the interval held in ${held} of ${draws}`);
  expect(held / draws).toBeGreaterThanOrEqual(0.92);
});
