import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import type { Judge } from "../../src/judge/judge.ts";
import { openJudge } from "../../src/judge/open.ts";
import { createColumnJudge, createRecordedJudge } from "../../src/judge/recorded.ts";
import type { Rating } from "../../src/run/rating.ts";
import { rate } from "../../src/stages/rate.ts";
import { select } from "../../src/stages/select.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { prepare } from "../helpers/command-line.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

function dataOf(folder: TempFolder, scores: readonly unknown[]): string {
  return folder.write(
    "data.jsonl",
    scores.map((score, i) => `${JSON.stringify({ id: `r${i}`, instruction: `i${i}`, output: "o", score })}\n`).join(""),
  );
}

const column = createColumnJudge("score");

describe("rate", () => {
  it("writes one line a row in the dataset's order, with index, id, state and score", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    await rate(await openDataset(dataOf(folder, [0, null, "x", 4.5])), { run, judge: column });
    const lines = readFileSync(`${run}/ratings.jsonl`, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { index: 0, id: "r0", state: "scored", score: 0 },
      { index: 1, id: "r1", state: "pending" },
      { index: 2, id: "r2", state: "unparsable", detail: "recorded as x" },
      { index: 3, id: "r3", state: "scored", score: 4.5 },
    ]);
  });

  it("counts states apart from scores and misses its gate when too few rows are scored", async () => {
    using folder = tempFolder();
    const summary = await rate(await openDataset(dataOf(folder, [0, null, "x", 4.5])), {
      run: `${folder.path}/run`,
      judge: column,
    });
    expect(summary).toMatchObject({ states: { scored: 2, pending: 1, unparsable: 1 }, coverage: 0.5, mean: 2.25 });
    expect(summary.gates[0]).toMatchObject({ name: "coverage", held: false });
  });

  it("raises an alarm when nearly all scores are one value, and not for few rows or a spread", async () => {
    using folder = tempFolder();
    const alarms = async (scores: number[]) =>
      (await rate(await openDataset(dataOf(folder, scores)), { run: `${folder.path}/run`, judge: column })).alarms;
    expect(await alarms([...Array<number>(97).fill(4), 1, 2, 3])).toEqual([
      expect.stringMatching(/^97.0 % of the scores are 4: a judge that scores everything the same cannot select/),
    ]);
    expect(await alarms([...Array<number>(58).fill(4), ...Array<number>(42).fill(3)])).toEqual([]);
    expect(await alarms([4, 4, 4])).toEqual([]);
  });

  it("gives the same bytes when it runs twice", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = dataOf(folder, [1, 2, 3]);
    const judge = await openJudge("student");
    const first = await rate(await openDataset(data), { run, judge });
    const second = await rate(await openDataset(data), { run, judge });
    expect(second.ratingsHash).toBe(first.ratingsHash);
  });

  it("refuses to replace another dataset's ratings unless told to", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    await rate(await openDataset(dataOf(folder, [1])), { run, judge: column });
    const other = await openDataset(folder.write("other.jsonl", '{"instruction":"a","output":"b","score":1}\n'));
    await expect(rate(other, { run, judge: column })).rejects.toThrow(
      /holds ratings of .*data.jsonl \(1 rows\), not of .*other.jsonl; use another run with --run DIR, or replace it with --overwrite/,
    );
    const again = await openDataset(`${folder.path}/data.jsonl`);
    await expect(rate(again, { run, judge: await openJudge("student") })).rejects.toThrow(
      /holds ratings by column:score, not by student/,
    );
    await rate(other, { run, judge: column, overwrite: true });
    expect(JSON.parse(readFileSync(`${run}/run.json`, "utf8"))).toMatchObject({
      dataset: { rows: 1, source: other.source },
    });
  });

  it("refuses to replace ratings that another command wrote meanwhile", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = dataOf(folder, [1, 2, 3]);
    const slow: Judge = {
      ...column,
      name: "column:score2",
      async *rate(examples) {
        await prepare(folder.path, ["rate", data, "--judge", "column:score", "--run", run]);
        yield* column.rate(examples);
      },
    };
    await expect(rate(await openDataset(data), { run, judge: slow })).rejects.toThrow(
      /holds ratings by column:score, not by column:score2; .*another command wrote them while this one ran/,
    );
    const { rate: kept } = JSON.parse(readFileSync(`${run}/run.json`, "utf8")) as { rate: { judge: string } };
    expect(kept.judge).toBe("column:score");
    expect(readdirSync(run).sort()).toEqual(["ratings.jsonl", "run.json"]);
  });

  it("leaves what was there before when a row cannot be read", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = dataOf(folder, [1, 2]);
    await rate(await openDataset(data), { run, judge: column });
    const before = readFileSync(`${run}/ratings.jsonl`, "utf8");
    folder.write("data.jsonl", `${readFileSync(data, "utf8")}{"instruction":1}\n`);
    await expect(rate(await openDataset(data), { run, judge: column })).rejects.toThrow(/data.jsonl:3/);
    expect(readFileSync(`${run}/ratings.jsonl`, "utf8")).toBe(before);
    expect(readdirSync(run).sort()).toEqual(["ratings.jsonl", "run.json"]);
  });

  it("stops on a signal, with nothing half-written", async () => {
    using folder = tempFolder();
    const controller = new AbortController();
    const run = `${folder.path}/run`;
    const judge: Judge = {
      ...column,
      async *rate(examples) {
        for await (const ratings of column.rate(examples)) {
          controller.abort();
          yield ratings;
        }
      },
    };
    await expect(
      rate(await openDataset(dataOf(folder, Array<number>(5000).fill(1))), { run, judge, signal: controller.signal }),
    ).rejects.toThrow("aborted");
    expect(readdirSync(run)).toEqual([]);
  });

  it("refuses a judge that forgets rows", async () => {
    using folder = tempFolder();
    const judge: Judge = {
      ...column,
      async *rate(examples) {
        for await (const batch of examples) yield batch.slice(1).map(() => ({ state: "scored", score: 1 }) as const);
      },
    };
    await expect(rate(await openDataset(dataOf(folder, [1, 2])), { run: `${folder.path}/run`, judge })).rejects.toThrow(
      /expected a rating for every row, got none for the last 1/,
    );
  });

  const judgeOf = (rates: Judge["rate"]): Judge => ({
    name: "own",
    scale: { min: 0, max: 5 },
    notes: [],
    rate: rates,
  });
  const every = (rating: (i: number) => unknown) =>
    judgeOf(async function* (examples) {
      for await (const batch of examples) yield batch.map(({ index }) => rating(index) as Rating);
    });

  it.each<[string, Judge, RegExp]>([
    [
      "ends before the data does",
      judgeOf(async function* (examples) {
        for await (const batch of examples) {
          yield batch.map(() => ({ state: "scored", score: 1 }));
          return;
        }
      }),
      /expected a rating for every row, got none after the first \d+/,
    ],
    [
      "gives one too many",
      judgeOf(async function* (examples) {
        for await (const batch of examples) yield [...batch, 0].map(() => ({ state: "scored", score: 1 }));
      }),
      /got more than there are rows/,
    ],
    [
      "gives a state that is none",
      every(() => ({ state: "wonderful" })),
      /expected ratings such as .* got .*wonderful/,
    ],
    ["gives numbers", every(() => 4), /expected ratings such as .* got 4/],
  ])("refuses a judge that %s, and records nothing", async (_, judge, message) => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = await openDataset(dataOf(folder, Array<number>(1500).fill(1)));
    await expect(rate(data, { run, judge })).rejects.toThrow(message);
    expect(readdirSync(run)).toEqual([]);
  });

  it("takes what is no number for none, of marks and of the judge that it is measured against too", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = await openDataset(dataOf(folder, Array<number>(300).fill(1)));
    const judge = every((i) => ({ state: "scored", score: i % 6, marks: { fits: i === 7 ? NaN : i } }));
    const against = every((i) => ({ state: "scored", score: i === 7 ? NaN : i === 8 ? 5000 : i % 6 }));
    const summary = await rate(data, { run, judge, against });
    expect(summary.agreement).toMatchObject({ rows: 298, spearman: { value: 1 } });
    expect(summary.marks!["fits"]!.rows).toBe(299);
    await select({ run, top: 10 });
    await expect(select({ run, top: 10, seed: NaN })).rejects.toThrow(
      /run\.json: expected records .* arms\.selected\.seed/,
    );
    await select({ run, top: 10 }); // the run is as it was
  });

  it("waits for no judge that hangs, once its signal says so", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = await openDataset(dataOf(folder, [1, 2]));
    const controller = new AbortController();
    const hanging = judgeOf(async function* () {
      controller.abort(new Error("enough"));
      yield await new Promise<never>(() => {});
    });
    await expect(rate(data, { run, judge: hanging, signal: controller.signal })).rejects.toThrow("enough");
    expect(readdirSync(run)).toEqual([]);
    await expect(rate(data, { run, judge: column, limit: 1.5 })).rejects.toThrow("limit: expected a whole number");
  });

  it("lets a judge clean up after its signal, and is free for the next after a refusal", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = await openDataset(dataOf(folder, Array<number>(1500).fill(1)));
    const controller = new AbortController();
    let isClosed = false;
    const careful = judgeOf(async function* (examples) {
      try {
        for await (const batch of examples) {
          yield batch.map(() => ({ state: "scored", score: 1 }));
          controller.abort(new Error("enough"));
        }
      } finally {
        isClosed = true;
      }
    });
    await expect(rate(data, { run, judge: careful, signal: controller.signal })).rejects.toThrow("enough");
    await expect.poll(() => isClosed).toBe(true);
    await rate(data, { run, judge: column, limit: 50 });
    await expect(rate(data, { run, judge: column, limit: 20 })).rejects.toThrow("give a larger number");
    await rate(data, { run, judge: column, limit: 100 });
    const endless: Judge = { ...column, scale: { min: 0, max: Infinity } };
    await expect(rate(data, { run, judge: endless, overwrite: true })).rejects.toThrow("expected a scale");
    await select({ run, top: 10, minCoverage: 0 });
  });

  it("refuses two at once on one run", async () => {
    using folder = tempFolder();
    const run = `${folder.path}/run`;
    const data = await openDataset(dataOf(folder, Array<number>(1500).fill(1)));
    const [one, two] = [every(() => ({ state: "scored", score: 1 })), every(() => ({ state: "scored", score: 2 }))];
    const ends = await Promise.allSettled([rate(data, { run, judge: one }), rate(data, { run, judge: two })]);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const lines = readFileSync(`${run}/ratings.jsonl`, "utf8").trimEnd().split("\n");
    expect(new Set(lines.map((line) => (JSON.parse(line) as { score: number }).score)).size).toBe(1);
    expect(lines).toHaveLength(1500);
  });

  it("measures the student against the recorded scores that ship as the sample", async () => {
    using folder = tempFolder();
    const sample = `${packageFolder}samples/alpaca-2000`;
    const { agreement, states } = await rate(await openDataset(`${sample}.json`), {
      run: `${folder.path}/run`,
      judge: await openJudge("student"),
      against: await createRecordedJudge(`${sample}.gpt-4o-mini.json`),
    });
    expect(states).toEqual({ scored: 2000 });
    expect(agreement!.rows).toBe(2000);
    expect(agreement!.spearman.value).toBeGreaterThan(0.7);
    expect(agreement!.thresholds.find(({ threshold }) => threshold === 3)!.auc).toBeGreaterThan(0.86);
  });
});

describe("openJudge", () => {
  it.each(["gpt", "recorded:", "column:"])("refuses %s", async (name) => {
    await expect(openJudge(name)).rejects.toThrow(
      /--judge: expected student, student:FILE, student-lm, student-lm:FILE, perplexity:MODEL, ifd:MODEL, fit:MODEL, reward:MODEL, verify:exact, verify:regex, verify:math, recorded:FILE/,
    );
  });
});
