import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openDataset } from "../../src/dataset/open.ts";
import type { Example } from "../../src/dataset/example.ts";
import { escalate, firstChoice, type CheapView } from "../../src/escalation/escalation.ts";
import { viewRows } from "../../src/escalation/view-rows.ts";
import { embeddedStudentPath } from "../../src/judge/student.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { createRandom, shuffledIndices } from "../../src/stats/random.ts";
import { readStudent } from "../../src/student/model-file.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer } from "../helpers/model-server.ts";
import { describeWithSharedData, readSharedJson, sharedData } from "../helpers/shared-data.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/** What a selection is worth against all rows that reach the cut. */
function measure(isKept: (row: number) => boolean, reaches: readonly boolean[]) {
  let kept = 0;
  let right = 0;
  for (const [row, does] of reaches.entries()) {
    if (!isKept(row)) continue;
    kept++;
    if (does) right++;
  }
  return { precision: right / kept, recall: right / reaches.filter(Boolean).length, kept };
}

/** The kept rows at a size: those that are known to reach the cut, then the likeliest. */
function keepSo(size: number, asked: ReadonlySet<number>, reaches: readonly boolean[], probabilities: Float64Array) {
  const sure = [...asked].filter((row) => reaches[row]);
  const open = [...probabilities.keys()]
    .filter((row) => !asked.has(row))
    .sort((a, b) => probabilities[b]! - probabilities[a]!)
    .slice(0, Math.max(0, size - sure.length));
  const kept = new Set([...sure, ...open]);
  return (row: number) => kept.has(row);
}

async function escalateOver(view: CheapView, reaches: readonly boolean[], share: number, precision = 0.9, seed = 42) {
  const budget = Math.round(share * view.rows);
  const result = await escalate(view, async (rows) => Array.from(rows, (row) => reaches[row]!), {
    budget,
    precision,
    rounds: 8,
    seed,
  });
  const asked = new Set(result.asked);
  const isKept = (row: number) => (asked.has(row) ? reaches[row]! : result.probabilities[row]! >= result.keptFrom);
  return { result, asked, isKept, ...measure(isKept, reaches) };
}

describeWithSharedData("escalation on the held-out rows of Alpaca, to GPT-4o-mini's recorded scores", () => {
  let view: CheapView;
  let reaches: boolean[];
  let size: number;

  async function load(ratingsFile: string, cut: number) {
    const ratings = readSharedJson(`alpaca/${ratingsFile}`) as number[];
    const isTest = new Set((readSharedJson("alpaca/student_split.json") as number[]).slice(0, 10_000));
    const dataset = await openDataset(sharedData("alpaca/alpaca_data.json"));
    async function* heldOut(): AsyncGenerator<readonly Example[]> {
      for await (const batch of dataset.batches()) yield batch.filter(({ index }) => isTest.has(index));
    }
    view = await viewRows(await readStudent(embeddedStudentPath), heldOut, cut);
    reaches = ratings.filter((_, index) => isTest.has(index)).map((score) => score >= cut);
    size = reaches.filter(Boolean).length;
  }

  beforeAll(() => load("ratings.gpt-4o-mini.json", 3));

  it("beats the recipe's cascade at a fifth of the rows: at least .90 precision in each run, and .69 recall", async () => {
    const seeds = [1, 2, 3];
    const found: Awaited<ReturnType<typeof escalateOver>>[] = [];
    for (const seed of seeds) found.push(await escalateOver(view, reaches, 0.2, 0.9, seed));
    const mean = (of: (one: (typeof found)[number]) => number) =>
      found.reduce((sum, one) => sum + of(one), 0) / seeds.length;
    expect(mean(({ precision }) => precision)).toBeGreaterThanOrEqual(0.9);
    expect(mean(({ recall }) => recall)).toBeGreaterThanOrEqual(0.69);
    for (const { result, precision, recall, asked } of found) {
      expect(asked.size).toBe(2000);
      expect(result.audited).toBe(600);
      expect(precision).toBeGreaterThanOrEqual(0.9);
      expect(precision).toBeGreaterThan(result.precision.low);
      expect(precision).toBeLessThan(result.precision.high);
      expect(recall).toBeGreaterThan(result.recall.low);
      expect(recall).toBeLessThan(result.recall.high);
    }
  });

  it("gains with every share that is asked about, and more than asking at random", async () => {
    const lines = ["  asked   at 90 % precision: precision, recall   at the same size   random: same size"];
    let before = 0;
    for (const share of [0, 0.1, 0.2, 0.4]) {
      const budget = Math.round(share * view.rows);
      const found = share > 0 ? await escalateOver(view, reaches, share) : undefined;
      const asked = found?.asked ?? new Set<number>();
      const probabilities = found?.result.probabilities ?? view.probabilities;
      const same = measure(keepSo(size, asked, reaches, probabilities), reaches);
      const drawn = new Set(shuffledIndices(view.rows, createRandom(1)).slice(0, budget));
      const random = measure(keepSo(size, drawn, reaches, view.probabilities), reaches);
      lines.push(
        `  ${String(100 * share).padStart(3)} %   ${found ? `${found.precision.toFixed(3)}, ${found.recall.toFixed(3)}` : "-            "}                          ${same.precision.toFixed(3)}              ${random.precision.toFixed(3)}`,
      );
      expect(same.recall).toBeGreaterThan(before);
      before = same.recall;
      if (share > 0) expect(same.precision).toBeGreaterThan(random.precision + 0.02);
      if (share >= 0.2) expect(found!.precision).toBeGreaterThan(0.89);
    }
    console.log(lines.join("\n"));
  });

  it("counts rows that it would refuse as rows that do not reach the cut", async () => {
    const random = createRandom(9);
    const refuses = reaches.map(() => random() < 0.5);
    const truth = reaches.map((does, row) => does && !refuses[row]);
    const result = await escalate(
      view,
      async (rows) => Array.from(rows, (row) => (refuses[row] ? "unscored" : reaches[row]!)),
      { budget: 1000, precision: 0.7, rounds: 8, seed: 1 },
    );
    const asked = new Set(result.asked);
    const found = measure(
      (row) => (asked.has(row) ? truth[row]! : result.probabilities[row]! >= result.keptFrom),
      truth,
    );
    expect(found.precision).toBeGreaterThan(result.precision.low);
    expect(found.precision).toBeLessThan(result.precision.high);
    const silent = await escalate(view, async (rows) => Array.from(rows, () => "unscored" as const), {
      budget: 500,
      precision: 0.9,
      rounds: 8,
      seed: 1,
    });
    expect(silent).toMatchObject({ hasLabels: false, kept: 0, precision: { value: NaN }, recall: { value: NaN } });
  });

  it("keeps its promise where the student is over-sure, and where its features tell nothing", async () => {
    const random = createRandom(5);
    const overSure = Array.from(view.probabilities, (p) => random() < 1 / (1 + Math.sqrt((1 - p) / Math.max(1e-9, p))));
    const chance = Array.from(view.probabilities, () => random() < 0.4);
    for (const judge of [overSure, chance]) {
      const { precision, recall, result } = await escalateOver(view, judge, 0.1);
      expect(precision).toBeGreaterThanOrEqual(0.9);
      expect(result.precision.low).toBeGreaterThanOrEqual(0.9);
      expect(recall).toBeGreaterThan(result.recall.low);
      expect(recall).toBeLessThan(result.recall.high);
    }
  });

  it("learns another judge's taste: Llama's, of which the student alone knows nearly nothing", async () => {
    await load("ratings.llama-3.1-8b-instruct.json", 4);
    const { precision, recall, result, kept } = await escalateOver(view, reaches, 0.2);
    const alone = measure(keepSo(kept, new Set(), reaches, view.probabilities), reaches);
    expect(precision).toBeGreaterThan(0.87);
    expect(recall).toBeGreaterThan(1.8 * alone.recall);
    expect(alone.precision).toBeLessThan(0.3);
    expect(result.alone.precision).toBeLessThan(0.35);
    expect(recall).toBeGreaterThan(result.recall.low);
    expect(recall).toBeLessThan(result.recall.high);
  });
});

interface Line {
  readonly state: string;
  readonly score: number;
  readonly by: string;
  readonly probability?: number;
}

interface Summary {
  readonly escalation: {
    readonly asked: number;
    readonly kept: number;
    readonly precision: { readonly value: number };
  };
  readonly calls: { readonly made: number; readonly stored: number; readonly stopped?: string };
  readonly states: Record<string, number>;
}

describe("alpagasus rate --escalate", () => {
  const sample = `${packageFolder}samples/alpaca-2000`;
  const recorded = JSON.parse(readFileSync(`${sample}.gpt-4o-mini.json`, "utf8")) as number[];
  const rows = JSON.parse(readFileSync(`${sample}.json`, "utf8")) as { instruction: string; output: string }[];
  const scores = new Map(rows.map(({ instruction, output }, i) => [`${instruction}\n${output}`, recorded[i]!]));
  const rubric = `name: whole
version: 1
description: Whole numbers.
scale: { min: 0, max: 5, step: 1 }
sampling: { temperature: 0, max_output_tokens: 20 }
user: |-
  {{ instruction }}
  {{ output }}
reply: { format: number }
`;
  const readRatings = (folder: string) =>
    parseLines<Line>(readFileSync(join(folder, "runs/default/ratings.jsonl"), "utf8"));

  it("asks a model only about the rows nearest the cut, and select", async () => {
    await using server = await startModelServer({ answer: ({ user }) => String(scores.get(user) ?? 0) });
    using folder = tempFolder();
    folder.write("whole.yaml", rubric);
    const args = `rate ${sample}.json --escalate 20% --to ${server.judge} --min-score 3 --rubric whole.yaml`.split(" ");
    const plan = await alpagasus([...args, "--dry-run", "--json"], { cwd: folder.path });
    expect(JSON.parse(plan.stdout)).toMatchObject({ items: 400 });
    expect(server.log).toHaveLength(0);
    const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { escalation, calls } = JSON.parse(stdout) as Summary;
    expect(escalation.asked).toBe(400);
    expect(calls.made).toBeLessThanOrEqual(400);
    expect(server.log.length).toBe(calls.made);
    const ratings = readRatings(folder.path);
    expect(ratings.filter(({ by }) => by === server.judge)).toHaveLength(400);
    for (const [i, { by, score, probability }] of ratings.entries())
      if (by === "student") expect(probability).toBeDefined();
      else expect(score).toBe(scores.get(`${rows[i]!.instruction}\n${rows[i]!.output}`));
    const kept = ratings.filter(({ score }) => score >= 3).length;
    expect(kept).toBe(escalation.kept);
    const selected = await alpagasus(["select", "--min-score", "3", "--json"], { cwd: folder.path });
    expect(JSON.parse(selected.stdout)).toMatchObject({ rows: kept });
    const again = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect(JSON.parse(again.stdout)).toMatchObject({ escalation, calls: { made: 0 } });
    const text = await alpagasus(args, { cwd: folder.path });
    expect(text.stdout).toContain("400 of 2,000 rows escalated (20.0 %)");
    expect(text.stdout).toMatch(/student alone, as many rows\s+\d+\.\d %\s+\d+\.\d %/);
  });

  it("a budget that ends in the middle stops it; the same command with more goes on, and pays nothing twice", async () => {
    await using server = await startModelServer({ answer: ({ user }) => String(scores.get(user) ?? 0) });
    using folder = tempFolder();
    folder.write("whole.yaml", rubric);
    const asked = `rate ${sample}.json --escalate 400 --to ${server.judge} --min-score 3 --rubric whole.yaml`;
    const args = (budget: string) => `${asked} --json --price 1/1 --budget ${budget}`.split(" ");
    const first = await alpagasus(args("0.01"), { cwd: folder.path });
    expect(first.code).toBe(4);
    const stopped = JSON.parse(first.stdout) as Summary;
    expect(stopped.calls).toMatchObject({ stopped: "budget" });
    expect(stopped.states["pending"]).toBeGreaterThan(0);
    const second = await alpagasus(args("10"), { cwd: folder.path });
    expect(second.code).toBe(0);
    const whole = JSON.parse(second.stdout) as Summary;
    expect(whole.states).toEqual({ scored: 2000 });
    expect(Math.max(...server.replied.values())).toBe(1);
  });

  it.each([
    [["--escalate", "20%"], "--escalate: expected --to with it"],
    [["--to", "openai:gpt-5-mini"], "--to: expected --escalate with it, got none"],
    [
      ["--escalate", "10", "--to", "column:good"],
      "--escalate: expected at least 74 rows for the other judge, since fewer cannot show a precision of 90.0 %, got 10 of 2,000",
    ],
    [["--escalate", "20%", "--to", "student"], "--to: expected a judge to ask, got the student"],
    [
      ["--judge", "column:good", "--escalate", "20%", "--to", "column:good"],
      "--escalate: expected --judge student or student:FILE, got column:good",
    ],
  ])("%j is refused", async (flags, message) => {
    using folder = tempFolder();
    const { code, stderr } = await alpagasus(["rate", `${sample}.json`, ...flags], { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});

it("the first choice is what is nearest the cut", () => {
  const probabilities = Float64Array.from([0.01, 0.39, 0.99, 0.42, 0.6, 0.2]);
  const view = { rows: 6, probabilities, columns: new Float32Array(12), columnCount: 2 };
  expect([...firstChoice(view, 3)]).toEqual([1, 3, 4]);
});
