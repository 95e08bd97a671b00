import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, afterEach, describe, expect, test } from "vitest";
import type { RatingLine } from "../../src/run/ratings-file.ts";
import type { RateSummary } from "../../src/run/records/rating.ts";
import { isProcessAlive } from "../../src/process-identity.ts";
import { alpagasus, misuse, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { writeStandInMeasurer } from "../helpers/stand-in-measurer.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

let folder: TempFolder;
let measurer: ReturnType<typeof writeStandInMeasurer>;
let env: Record<string, string>;

beforeEach(() => {
  folder = tempFolder();
  measurer = writeStandInMeasurer(folder);
  env = { PATH: `${measurer.path}:${process.env["PATH"]}` };
  folder.write("model/config.json", { model_type: "llama" });
});
afterEach(() => folder[Symbol.dispose]());

const rows = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ instruction: `Say ${i}.`, input: "", output: `Answer number ${i}` }));

async function rate(...args: string[]): Promise<RateSummary> {
  const { code, stdout, stderr } = await alpagasus(["rate", "rows.json", ...args, "--json"], { cwd: folder.path, env });
  expect(code, stderr).not.toBe(1);
  return JSON.parse(stdout) as RateSummary;
}
const ratings = (path = "runs/default/ratings.jsonl") =>
  parseLines<RatingLine>(readFileSync(`${folder.path}/${path}`, "utf8"));

describe("what is made of a likelihood", () => {
  beforeEach(() =>
    folder.write("rows.json", [
      { instruction: "Ask", input: "", output: "twelve chars" },
      { instruction: "Ask", input: "more", output: "useless prompt" },
      { instruction: "Ask", input: "", output: "" },
      { instruction: "Ask", input: "", output: "x" },
    ]),
  );

  test("ifd is the quotient of perplexities, and no number where the prompt does not help", async () => {
    const { states, notes, scale } = await rate("--judge", "ifd:model", "--min-coverage", "0");
    expect(states).toEqual({ scored: 1, refused: 3 });
    expect(scale).toEqual({ min: 0, max: 1 });
    const [first, useless, empty, one] = ratings() as (RatingLine & { score?: number; detail?: string })[];
    expect(first!.score).toBeCloseTo(Math.exp(1 - 2), 7);
    expect(first!.likelihood).toEqual({ answer: [12, 12], alone: [22, 11] });
    expect(useless!.detail).toBe("IFD of 2.718: the prompt makes the answer no easier");
    expect(empty!.detail).toBe("it has no answer to measure");
    expect(one!.detail).toBe("its answer is one token, which has no perplexity by itself");
    expect(notes.join("\n")).toContain("1 row has an IFD of 1 or more");
    expect(notes.join("\n")).toContain("measured by model (cpu, float32), the prompt as plain text");
  });

  test("perplexity and fit need no second pass over what is known, and are each other's inverse", async () => {
    await rate("--judge", "perplexity:model", "--min-coverage", "0");
    expect(ratings().map((line) => ("score" in line ? line.score : line.state))).toEqual([
      expect.closeTo(Math.E, 6),
      expect.closeTo(Math.exp(3), 5),
      "refused",
      expect.closeTo(Math.E, 6),
    ]);
    const { notes } = await rate("--judge", "fit:model", "--as", "fit", "--min-coverage", "0");
    expect(ratings("runs/default/scores/fit.jsonl")[0]).toMatchObject({
      score: expect.closeTo(1 / Math.E, 7) as number,
    });
    expect(notes).toContain("3 rows were measured before, and not again");
    await rate("--judge", "ifd:model", "--as", "ifd", "--min-coverage", "0");
    expect(measurer.asked().toSorted()).toEqual(
      ["twelve chars", "useless prompt", "x"].flatMap((text) => [`${text} alone`, `${text} answer`]).toSorted(),
    );
  });

  test("a row that is cut is counted, and one whose prompt fills the model has a state", async () => {
    const { notes } = await rate("--judge", "perplexity:model", "--max-length", "8", "--min-coverage", "0");
    expect(notes.join("\n")).toContain("2 rows are longer than 8 tokens");
    expect(ratings()[1]).toMatchObject({ state: "refused", detail: expect.stringContaining("--max-length") as string });
    const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "perplexity:model"], {
      cwd: folder.path,
      env,
    });
    expect([code, stderr]).toEqual([2, expect.stringContaining("by perplexity:model, at most 8 tokens") as string]);
  });

  test("a row that the memory does not suffice for fails alone, and is measured again by the next command", async () => {
    env["STAND_IN"] = "no memory for useless";
    const { states } = await rate("--judge", "perplexity:model", "--min-coverage", "0");
    expect(states).toEqual({ scored: 2, refused: 1, failed: 1 });
    expect(ratings()[1]).toMatchObject({ detail: "not enough memory for 9 tokens" });
    delete env["STAND_IN"];
    expect((await rate("--judge", "perplexity:model", "--min-coverage", "0")).states).toEqual({
      scored: 3,
      refused: 1,
    });
  });

  test("other files under the model's name are another model", async () => {
    await rate("--judge", "perplexity:model", "--min-coverage", "0");
    folder.write("model/config.json", { model_type: "llama", hidden_size: 8 });
    expect((await rate("--judge", "perplexity:model", "--min-coverage", "0")).notes.join("\n")).not.toContain("before");
  });
});

test("conversations are measured by the chat template, and do not fit the Alpaca prompt", async () => {
  const messages = [
    { role: "user", content: "One?" },
    { role: "assistant", content: "Two" },
    { role: "user", content: "Three?" },
    { role: "assistant", content: "Four" },
  ];
  folder.write("rows.json", [{ messages }, { messages: messages.slice(0, 2) }]);
  await rate("--judge", "perplexity:model", "--template", "chat");
  expect(ratings().map(({ state }) => state)).toEqual(["scored", "scored"]);
  await rate("--judge", "perplexity:model", "--template", "alpaca", "--as", "paper", "--min-coverage", "0");
  expect(ratings("runs/default/scores/paper.jsonl").map(({ state }) => state)).toEqual(["refused", "scored"]);
});

describe("what was measured is kept", () => {
  const count = 600;
  const onceEach = rows(count)
    .map(({ output }) => `${output} answer`)
    .toSorted();
  beforeEach(() => folder.write("rows.json", rows(count)));

  test("when the process fails: the error is its own, and the same command goes on", async () => {
    env["STAND_IN"] = "dies at 301";
    const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "perplexity:model"], {
      cwd: folder.path,
      env,
    });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("measuring with model ended with code 1: RuntimeError: the model fell over") as string,
    ]);
    delete env["STAND_IN"];
    const { states, notes } = await rate("--judge", "perplexity:model");
    expect(states).toEqual({ scored: count });
    expect(notes).toContain("300 rows were measured before, and not again");
    expect(measurer.asked().toSorted()).toEqual(onceEach);
  });

  test.each(["SIGKILL", "SIGINT"] as const)(
    "after %s: no process is left, and at most one batch is measured again",
    async (signal) => {
      env["STAND_IN_MS"] = "10";
      const running = startAlpagasus(["rate", "rows.json", "--judge", "perplexity:model"], { cwd: folder.path, env });
      await expect.poll(() => measurer.asked().length, { timeout: 60_000 }).toBeGreaterThan(100);
      running.kill(signal);
      const { code } = await running.ended;
      if (signal === "SIGINT") expect(code).toBe(130);
      await expect.poll(() => measurer.pids().some(isProcessAlive), { timeout: 60_000 }).toBe(false);
      delete env["STAND_IN_MS"];
      const before = measurer.asked().length;
      expect((await rate("--judge", "perplexity:model")).states).toEqual({ scored: count });
      expect(new Set(measurer.asked()).size).toBe(count);
      expect(measurer.asked().length - count).toBeLessThanOrEqual(256); // what was sent ahead of the kill
      expect(before).toBeGreaterThan(100);
    },
  );
});

test.each([
  [
    ["--judge", "ifd:nowhere"],
    "--judge ifd:MODEL: expected a folder with a model (config.json), a Hub id (owner/name) or smollm2",
  ],
  [
    ["--judge", "student", "--template", "chat"],
    "--template: expected --judge perplexity:MODEL, ifd:MODEL or fit:MODEL with it, got student",
  ],
  [["--judge", "ifd:model", "--scale", "0..1"], "--scale"],
  [["--judge", "ifd:model", "--budget", "3"], "--budget: expected a judge that calls a model"],
])("a mistake is told in one line: %j", async (args, message) => {
  folder.write("rows.json", rows(3));
  const { code, stderr } = await misuse(["rate", "rows.json", ...args], { cwd: folder.path, env });
  expect([code, stderr]).toEqual([2, expect.stringContaining(message) as string]);
});

test("identical rows are measured once, also in blocks that are under way together", async () => {
  folder.write(
    "rows.json",
    Array.from({ length: 600 }, (_, i) => ({ instruction: "Same", input: "", output: i === 599 ? "other" : "same" })),
  );
  expect((await rate("--judge", "perplexity:model")).states).toEqual({ scored: 600 });
  expect(measurer.asked().toSorted()).toEqual(["other answer", "same answer"]);
});

test.each([
  ["garbage", "expected results of the rows asked for, got [{"],
  ["other rows", "which was not asked for"],
])("a process that sends %s is told in one line", async (what, message) => {
  folder.write("rows.json", rows(5));
  env["STAND_IN"] = what;
  const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "perplexity:model"], {
    cwd: folder.path,
    env,
  });
  expect([code, stderr]).toEqual([1, expect.stringContaining(message) as string]);
  expect(stderr).not.toContain("unexpected");
});

const otherLayout = "pragma application_id = 1634496620; pragma user_version = 9; create table t (a)";

test.each([
  ["another program's", (path: string) => new DatabaseSync(path).exec("create table t (a)")],
  ["another layout's", (path: string) => new DatabaseSync(path).exec(otherLayout)],
  ["no database", (path: string) => writeFileSync(path, "x".repeat(5000))],
])("a store that is %s is told in one line", async (_, make) => {
  folder.write("rows.json", rows(3));
  mkdirSync(`${folder.path}/.alpagasus`);
  make(`${folder.path}/.alpagasus/likelihoods.sqlite`);
  const { code, stderr } = await alpagasus(["rate", "rows.json", "--judge", "perplexity:model"], {
    cwd: folder.path,
    env,
  });
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/likelihoods.sqlite: expected the file that keeps .*move it away/) as string,
  ]);
});
