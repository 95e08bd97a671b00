import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Example } from "../../src/dataset/example.ts";
import type { Judge } from "../../src/judge/judge.ts";
import { combineScores, createPanelJudge } from "../../src/judge/panel.ts";
import type { Rating } from "../../src/run/rating.ts";
import type { Manifest } from "../../src/run/manifest.ts";
import { spearman } from "../../src/stats/agreement.ts";
import { weightedKappa } from "../../src/stats/kappa.ts";
import { estimateRater, posterior, type Triple } from "../../src/curation/transition.ts";
import { twoNearest } from "../../src/curation/neighbours.ts";
import { createRandom } from "../../src/stats/random.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

const scored = (score: number): Rating => ({ state: "scored", score });

/** A judge that gives these ratings, so many at a time, after it has looked so many rows ahead. */
function judgeOf(name: string, ratings: readonly Rating[], atATime: number, ahead = 0): Judge {
  return {
    name,
    scale: { min: 0, max: 5 },
    notes: [],
    async *rate(rows) {
      let read = 0;
      let given = 0;
      for await (const batch of rows) {
        read += batch.length;
        if (read - given < ahead) continue;
        for (; given < read; given += atATime) yield ratings.slice(given, Math.min(read, given + atATime));
        given = read;
      }
      if (given < read) yield ratings.slice(given, read);
    },
  };
}

async function* examples(count: number, size: number): AsyncGenerator<readonly Example[]> {
  for (let from = 0; from < count; from += size)
    yield Array.from({ length: Math.min(size, count - from) }, (_, i) => ({ index: from + i }) as Example); // as much of one as these judges read
}

async function rateAll(judge: Judge, count: number, size = 7): Promise<Rating[]> {
  const all: Rating[] = [];
  for await (const some of judge.rate(examples(count, size))) all.push(...some);
  return all;
}

describe("a panel", () => {
  it("joins judges' ratings row by row, however they cut their batches", async () => {
    const random = createRandom(1);
    const ratings = [0, 1, 2].map(() => Array.from({ length: 100 }, () => scored(Math.floor(6 * random()))));
    const panel = createPanelJudge(
      [judgeOf("a", ratings[0]!, 1), judgeOf("b", ratings[1]!, 13, 40), judgeOf("c", ratings[2]!, 4, 90)],
      "median",
    );
    const found = await rateAll(panel, 100);
    expect(found).toHaveLength(100);
    for (const [row, rating] of found.entries()) {
      const scores = ratings.map((own) => (own[row] as { score: number }).score);
      expect(rating).toMatchObject({
        state: "scored",
        score: scores.toSorted((a, b) => a - b)[1],
        panel: scores.map(scored),
      });
    }
  });

  it("keeps the marks of its judges, as their mean, and the keys of all replies", async () => {
    const marked = (rarity: number, calls: readonly string[]): Rating => ({
      ...scored(4),
      marks: { rarity },
      call: calls[0]!,
      ...(calls.length > 1 && { calls }),
    });
    const panel = createPanelJudge([judgeOf("a", [marked(2, ["a1"])], 1), judgeOf("b", [marked(5, ["b1", "b2"])], 1)]);
    expect(await rateAll(panel, 1)).toMatchObject([
      { marks: { rarity: 3.5 }, calls: ["a1", "b1", "b2"], panel: [{ call: "a1" }, { calls: ["b1", "b2"] }] },
    ]);
  });

  it("has a score only where every judge has one", async () => {
    const panel = createPanelJudge([
      judgeOf("a", [scored(4), scored(5), { state: "refused", detail: "declined" }], 3),
      judgeOf("b", [scored(2), { state: "unparsable", detail: "no number" }, scored(3)], 3),
    ]);
    expect(await rateAll(panel, 3)).toEqual([
      { state: "scored", score: 3, panel: [scored(4), scored(2)] },
      { state: "unparsable", detail: "b: no number", panel: [scored(5), { state: "unparsable" }] },
      { state: "refused", detail: "a: declined", panel: [{ state: "refused" }, scored(3)] },
    ]);
  });

  it("stops with the judge's name when one gives too few ratings, and lets the others end", async () => {
    let hasEnded = false;
    const endless: Judge = {
      name: "b",
      scale: { min: 0, max: 5 },
      notes: [],
      async *rate(rows) {
        try {
          for await (const batch of rows) yield batch.map(() => scored(1));
        } finally {
          hasEnded = true;
        }
      },
    };
    const panel = createPanelJudge([judgeOf("a", [scored(1), scored(1)], 1), endless]);
    await expect(rateAll(panel, 9, 1)).rejects.toThrow("a: expected a rating for every row");
    expect(hasEnded).toBe(true);
  });

  it("is of one scale, and of different judges", () => {
    const one = { ...judgeOf("a", [], 1), scale: { min: 0, max: 5 } };
    const other = { ...judgeOf("b", [], 1), scale: { min: 1, max: 10 } };
    expect(() => createPanelJudge([one, other])).toThrow(
      "--judge: expected judges of one scale, got a (0 to 5) and b (1 to 10); give them the same --rubric",
    );
    expect(() => createPanelJudge([one, one])).toThrow("--judge: expected each judge once, got a again");
    const { scale: _, ...unknown } = judgeOf("c", [], 1);
    expect(() => createPanelJudge([one, unknown])).toThrow(
      "expected judges whose scales are known, since their scores are combined, got c, which has none; give it with --scale",
    );
    expect([
      combineScores([1, 2, 6], "mean"),
      combineScores([1, 2, 6], "median"),
      combineScores([1, 2, 6], "lowest"),
    ]).toEqual([3, 2, 1]);
  });
});

describe("a panel of different scales", () => {
  it("is mapped onto the first one's when that is asked for, and says so", async () => {
    const percent = { ...judgeOf("percent", [scored(100), scored(25)], 2), scale: { min: 0, max: 100 } };
    const panel = createPanelJudge([judgeOf("a", [scored(5), scored(1)], 2), percent], "mean", { rescale: true });
    expect((await rateAll(panel, 2)).map((rating) => (rating.state === "scored" ? rating.score : NaN))).toEqual([
      5, 1.125,
    ]);
    expect(panel.scale).toEqual({ min: 0, max: 5 });
    expect(panel.notes).toContain("percent: its scores from 0 to 100 are mapped linearly onto 0 to 5");
  });

  it("leaves marks as they are that are on no scale of scores, such as a probability", async () => {
    const marked = (score: number, fits: number): Rating => ({ state: "scored", score, marks: { fits } });
    const student = { ...judgeOf("student", [marked(0, 0.25), marked(5, 0.5)], 2), scale: { min: 0, max: 5 } };
    const percent = { ...judgeOf("percent", [scored(100), scored(25)], 2), scale: { min: 0, max: 100 } };
    const panel = createPanelJudge([percent, student], "mean", { rescale: true });
    const ratings = await rateAll(panel, 2);
    expect(ratings.map(({ marks }) => marks)).toEqual([{ fits: 0.25 }, { fits: 0.5 }]);
    expect(ratings).toMatchObject([{ score: 50 }, { score: 62.5 }]);
  });

  it("a column whose scale nobody told is refused, with what to do", async () => {
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 40 }, (_, i) => ({
        instruction: `Say ${i}`,
        input: "",
        output: `It is ${i}`,
        percent: i * 2.5,
      })),
    );
    const args = ["rate", "rows.json", "--judge", "student", "--judge", "column:percent", "--json"];
    const refused = await alpagasus(args, { cwd: folder.path });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("got column:percent, which has none; give it with --scale");
    const other = await alpagasus([...args, "--scale", "0..100"], { cwd: folder.path });
    expect(other.code).toBe(2);
    expect(other.stderr).toContain("--rescale to map all scores linearly onto the first one's");
    const mapped = await alpagasus([...args, "--scale", "0..100", "--rescale"], { cwd: folder.path });
    expect(mapped.code).toBe(0);
    expect((JSON.parse(mapped.stdout) as { mean: number }).mean).toBeLessThan(5);
  });
});

describe("weighted kappa", () => {
  it("is 1 for the same, 0 for what is independent, and that of Cohen's table", () => {
    const random = createRandom(2);
    const a = Array.from({ length: 20_000 }, () => Math.floor(6 * random()));
    const b = Array.from({ length: 20_000 }, () => Math.floor(6 * random()));
    expect(weightedKappa(a, a)).toMatchObject({ value: 1 });
    const chance = weightedKappa(a, b);
    expect(Math.abs(chance.value)).toBeLessThan(0.03);
    expect(chance.low).toBeLessThan(0);
    expect(chance.high).toBeGreaterThan(0);
    // counts[i][j]: by hand, 1 - sum(w observed) / sum(w expected), w = (i - j)²
    const counts = [
      [10, 5, 1],
      [4, 20, 6],
      [0, 7, 12],
    ];
    const pairs = counts.flatMap((row, i) =>
      row.flatMap((count, j) => Array.from({ length: count }, () => [i, j] as const)),
    );
    const total = pairs.length;
    const rowSums = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
    const columnSums = [0, 1, 2].map((j) => counts.reduce((sum, row) => sum + row[j]!, 0));
    let observed = 0;
    let expected = 0;
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++) {
        observed += ((i - j) ** 2 * counts[i]![j]!) / total;
        expected += ((i - j) ** 2 * rowSums[i]! * columnSums[j]!) / total ** 2;
      }
    const { value } = weightedKappa(
      pairs.map(([i]) => i),
      pairs.map(([, j]) => j),
    );
    expect(value).toBeCloseTo(1 - observed / expected, 10);
  });
});

describe("a rater's errors", () => {
  it("are found from neighbours alone, where they are as supposed", () => {
    const random = createRandom(5);
    const prior = [0.3, 0.5, 0.2];
    const transition = [
      [0.8, 0.15, 0.05],
      [0.1, 0.7, 0.2],
      [0.05, 0.25, 0.7],
    ];
    const draw = (shares: readonly number[]) => {
      let at = random();
      return shares.findIndex((share) => (at -= share) < 0);
    };
    const triples = Array.from({ length: 60_000 }, (): Triple => {
      const truth = transition[draw(prior)]!;
      return [draw(truth), draw(truth), draw(truth)];
    });
    const found = estimateRater(triples, 3);
    for (let c = 0; c < 3; c++) {
      expect(found.prior[c]).toBeCloseTo(prior[c]!, 1);
      for (let s = 0; s < 3; s++) expect(Math.abs(found.transition[c]![s]! - transition[c]![s]!)).toBeLessThan(0.05);
    }
    const byHand = prior.map((share, c) => share * transition[c]![1]! * transition[c]![2]! * transition[c]![2]!);
    const sum = byHand.reduce((all, one) => all + one, 0);
    for (const [c, probability] of posterior({ prior, transition }, [1, 2, 2]).entries())
      expect(probability).toBeCloseTo(byHand[c]! / sum, 12);
  });

  it("neighbours are nearly always the nearest", () => {
    const random = createRandom(8);
    const [count, dimensions] = [1500, 3];
    const values = Float32Array.from({ length: count * dimensions }, random);
    const found = twoNearest({ count, dimensions, values });
    let right = 0;
    for (let row = 0; row < count; row++) {
      let [best, nearest] = [Infinity, -1];
      for (let other = 0; other < count; other++) {
        if (other === row) continue;
        let distance = 0;
        for (let d = 0; d < dimensions; d++)
          distance += (values[row * dimensions + d]! - values[other * dimensions + d]!) ** 2;
        if (distance < best) [best, nearest] = [distance, other];
      }
      expect(found[row * 2]).not.toBe(row);
      if (found[row * 2] === nearest) right++;
    }
    expect(right / count).toBeGreaterThan(0.95);
  });
});

if (isLong)
  describeWithSharedData("the two recorded judges of Alpaca as a panel", () => {
    it("agree as published, and are corrected for their errors beside their raw scores", async () => {
      using folder = tempFolder();
      const recorded = ["ratings.gpt-4o-mini.json", "ratings.llama-3.1-8b-instruct.json"].map((name) =>
        sharedData(`alpaca/${name}`),
      );
      const { code, stdout } = await alpagasus(
        [
          "rate",
          sharedData("alpaca/alpaca_data.json"),
          "--scale",
          "0..5",
          "--combine",
          "lowest",
          ...recorded.flatMap((file) => ["--judge", `recorded:${file}`]),
        ],
        { cwd: folder.path },
      );
      expect(code).toBe(0);
      const { rate } = JSON.parse(readFileSync(join(folder.path, "runs/default/run.json"), "utf8")) as Manifest;
      const { panel } = rate!;
      const [agreement] = panel!.agreements;
      expect(agreement!.rows).toBe(52_002);
      expect(agreement!.spearman.value).toBeGreaterThan(0.28);
      expect(agreement!.spearman.value).toBeLessThan(0.29);
      expect(agreement!.kappa.value).toBeCloseTo(0.212, 3);
      expect(stdout).toContain("judge 1 and judge 2  52,002  0.286 [0.278, 0.295]  0.212 [0.206, 0.219]");
      expect(panel!.judges.map(({ histogram }) => histogram.find(({ from }) => from === 3)!.count)).toEqual([
        8017, 23_081,
      ]);
      expect(panel!.disagreements).toHaveLength(20);
      expect(panel!.disagreements[0]).toMatchObject({ spread: 5 });

      const { correction } = panel!;
      expect(correction!.rows).toBe(52_002);
      const llama = correction!.judges[1]!;
      expect(llama.agreements[0]!.raw.value).toBeCloseTo(agreement!.spearman.value!, 10);
      expect(llama.agreements[0]!.corrected.value).toBeGreaterThan(0.35);
      expect(correction!.judges[0]!.consistentShare).toBeGreaterThan(llama.consistentShare);
      for (const { transition } of correction!.judges)
        for (const row of transition) expect(row.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
      const lines = parseLines<{ index: number; score: number; corrected: number[] }>(
        readFileSync(join(folder.path, "runs/default/corrected.jsonl"), "utf8"),
      );
      const gpt = readSharedJson("alpaca/ratings.gpt-4o-mini.json") as number[];
      const own = spearman(
        lines.map(({ corrected }) => corrected[1]!),
        gpt,
      );
      expect(own.value).toBeCloseTo(llama.agreements[0]!.corrected.value!, 3);
      const again = await alpagasus(
        [
          "rate",
          sharedData("alpaca/alpaca_data.json"),
          "--run",
          "runs/corrected",
          "--json",
          "--judge",
          "recorded:runs/default/corrected.jsonl#score",
        ],
        { cwd: folder.path },
      );
      expect(JSON.parse(again.stdout)).toMatchObject({ states: { scored: 52_002 } });
    });
  });

describe("alpagasus rate with several judges", () => {
  it("asks two models, pays both from one budget, and asks nothing a second time", async () => {
    await using server = await startModelServer({
      answer: ({ model, user }) => String(model === "kind" ? 5 : Number(/Row (\d+)/.exec(user)![1]) % 5),
    });
    using folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 40 }, (_, i) => ({ instruction: `Row ${i}`, input: "", output: "Something." })),
    );
    const args = [
      "rate",
      "rows.json",
      "--judge",
      `${server.origin}/v1#kind`,
      "--judge",
      `${server.origin}/v1#strict`,
      "--price",
      "1/1",
      "--budget",
      "1",
      "--json",
    ];
    const { code, stdout, stderr } = await alpagasus(args, { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const summary = JSON.parse(stdout) as NonNullable<Manifest["rate"]>;
    expect(summary).toMatchObject({ states: { scored: 40 }, calls: { made: 80 } });
    expect(summary.mean).toBeCloseTo((5 + 2) / 2, 10);
    expect(summary.calls!.runPaidUsd).toBeCloseTo(summary.calls!.paidUsd!, 12);
    expect(summary.panel!.judges.map(({ mean, calls }) => [mean, calls!.made])).toEqual([
      [5, 40],
      [2, 40],
    ]);
    expect(summary.panel!.uncorrected).toBe("at least 1000 rows with a score are needed by all judges");
    const again = await alpagasus(args, { cwd: folder.path });
    expect(JSON.parse(again.stdout)).toMatchObject({ calls: { made: 0, stored: 80 } });
    const selected = await alpagasus(["select", "--min-score", "4", "--json"], { cwd: folder.path });
    expect(JSON.parse(selected.stdout)).toMatchObject({ rows: 16 });
  });

  it("one that cannot be asked stops before the other is paid", async () => {
    await using server = await startModelServer();
    using folder = tempFolder();
    folder.write("rows.json", [{ instruction: "Row", input: "", output: "Something." }]);
    const { code, stderr } = await alpagasus(
      ["rate", "rows.json", "--judge", server.judge, "--judge", "anthropic:claude-haiku-4-5"],
      { cwd: folder.path },
    );
    expect(code).toBe(2);
    expect(stderr).toContain("anthropic:claude-haiku-4-5: expected a key in ANTHROPIC_API_KEY, got none");
    expect(server.log).toHaveLength(0);
  });
});
