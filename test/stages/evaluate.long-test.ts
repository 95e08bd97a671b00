import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LossSummary } from "../../src/run/records/losses.ts";
import { lossDifference } from "../../src/stats/loss-difference.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { howOften } from "../helpers/long.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInMeasurer } from "../helpers/stand-in-measurer.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

describe("evaluate --loss", () => {
  let folder: TempFolder;
  let options: { cwd: string; env: Record<string, string> };
  let measurer: ReturnType<typeof writeStandInMeasurer>;
  const heldOut = Array.from({ length: 60 }, (_, i) => ({
    instruction: `Held out ${i}`,
    input: "",
    output: `Reference ${"y".repeat(i % 13)} ${i}`,
  }));

  beforeEach(() => {
    folder = tempFolder();
    measurer = writeStandInMeasurer(folder);
    options = { cwd: folder.path, env: { PATH: `${measurer.path}:${process.env["PATH"]}` } };
    for (const model of ["good", "worse", "noisy"]) folder.write(`${model}/config.json`, { name: model });
    folder.write("rows.json", [...heldOut.slice(0, 10), { instruction: "Own", input: "", output: "Own" }]);
    folder.write("heldout.json", heldOut);
  });
  afterEach(() => folder[Symbol.dispose]());

  test("pairs models item by item, leaves out what was trained on, and says no more than it shows", async () => {
    await prepare(folder.path, ["rate", "rows.json"]);
    const args = ["evaluate", "--loss", "heldout.json", "--models", "good", "worse", "noisy", "--template", "plain"];
    const { code, stdout, stderr } = await alpagasus([...args, "--json"], options);
    expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
    const summary = JSON.parse(stdout) as LossSummary;
    expect(summary).toMatchObject({ name: "heldout-plain", rows: 60, trainedOn: 10 });
    expect(summary.models.map(({ model, items, loss }) => [model, items, loss.value])).toEqual([
      ["good", 50, 1],
      ["worse", 50, expect.closeTo(1.13, 2)],
      ["noisy", 50, expect.closeTo(1, 1)],
    ]);
    const [worse, noisy] = summary.differences;
    expect(worse!.difference.low).toBeGreaterThan(0.11);
    expect(worse!.sentence).toContain("good finds these answers likelier than worse does; with one training of each");
    expect(noisy!.sentence).toBe("The losses of good and noisy cannot be told apart on these answers.");
    expect(worse!.adjustedPValue).toBeGreaterThanOrEqual(worse!.pValue);
    const lines = parseLines<{ index: number; nll: number; tokens: number }>(
      readFileSync(`${folder.path}/runs/default/losses/heldout-plain.worse.jsonl`, "utf8"),
    );
    expect(lines).toHaveLength(50);
    expect(lines[0]!.index).toBe(10);

    const before = measurer.asked().length;
    const again = await alpagasus(args, options);
    expect(measurer.asked().length).toBe(before);
    expect(again.stdout).toContain("worse minus good");
    expect(again.stdout).toContain("10 rows left out, whose prompt is in rows.json");
  });

  test("an answer that cannot be measured has no part, and is told", async () => {
    const { code, stdout } = await alpagasus(
      ["evaluate", "--loss", "heldout.json", "--models", "good", "worse", "--template", "plain"],
      { ...options, env: { ...options.env, STAND_IN: "no memory for yyyyyyyyyyyy" } },
    );
    expect(code).toBe(0);
    expect(stdout).toContain(
      "good: 4 answers have no loss, and no part in any comparison: not enough memory for 9 tokens",
    );
    expect(stdout).toContain("whether models were trained on these prompts is not known");
  });

  test.each([
    [["--loss", "heldout.json", "--models", "good", "good"], /--models: expected each model once, got good again/],
    [
      ["--loss", "heldout.json", "--models", "nowhere"],
      /--models: expected models that runs.default has trained, .* got "nowhere"/,
    ],
    [["--loss", "empty.json", "--models", "good"], /expected rows with answers, got 1 row without one/],
    [["--loss", "rows.json", "--models", "good"], /rows whose prompts are all in rows.json/],
    [["--models", "good"], /--loss/],
  ])("tells a mistake in one line: %j", async (args, message) => {
    folder.write("empty.json", [{ instruction: "a", input: "", output: "" }]);
    await prepare(folder.path, ["rate", "rows.json"]);
    const { code, stderr } = await misuse(["evaluate", ...args], options);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message) as string]);
  });
});

/*
 * Losses as models have them: items differ widely (log-normal), every training shifts all of its items, and some items more than others.
 * None of it is the normal distribution that the interval is made with.
 */
function simulate(
  random: () => number,
  { items, trainings, effect }: { items: number; trainings: number; effect: number },
) {
  const exponential = () => -Math.log(1 - random());
  const normal = () => Math.sqrt(2 * exponential()) * Math.cos(2 * Math.PI * random());
  const difficulty = Float64Array.from({ length: items }, () => Math.exp(0.6 * normal()));
  const sensitivity = Float64Array.from({ length: items }, exponential);
  const arm = (shift: number) =>
    Array.from({ length: trainings }, () => {
      const own = 0.02 * (exponential() - 1); // skewed
      return difficulty.map((loss, i) => loss + shift + own * sensitivity[i]! + 0.05 * loss * normal());
    });
  return lossDifference(arm(0), arm(effect));
}

test("a difference of losses is rarely found where there is none, and its interval holds", () => {
  const random = createRandom(11);
  const runs = howOften(3000, 200);
  for (const { trainings, items } of [
    { trainings: 3, items: 100 },
    { trainings: 5, items: 60 },
  ]) {
    let [found, missed] = [0, 0];
    for (let run = 0; run < runs; run++) {
      if (simulate(random, { items, trainings, effect: 0 }).difference.pValue < 0.05) found++;
      const { low, high } = simulate(random, { items, trainings, effect: 0.05 }).difference;
      if (low > 0.05 || high < 0.05) missed++;
    }
    expect(found / runs, `${trainings} trainings`).toBeLessThanOrEqual(0.05 + 2 * Math.sqrt((0.05 * 0.95) / runs));
    expect(missed / runs, `${trainings} trainings`).toBeLessThanOrEqual(0.05 + 2 * Math.sqrt((0.05 * 0.95) / runs));
  }
});

test("pairing by item finds what two means apart would not, and an item that one model lacks does not count", () => {
  const random = createRandom(3);
  const a = Float64Array.from({ length: 80 }, () => 2 + 3 * random());
  const b = a.map((loss) => loss + 0.05 + 0.02 * (random() - 0.5));
  b[7] = NaN;
  const { items, difference } = lossDifference([a], [b]);
  expect(items).toBe(79);
  expect([difference.value, difference.pValue < 0.001]).toEqual([expect.closeTo(0.05, 2), true]);
});
