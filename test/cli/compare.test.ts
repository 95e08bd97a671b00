import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import type { RunReport } from "../../src/page/contract.ts";
import { alpagasus, misuse, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { faulty, startModelServer, type Answer, type Asked } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

interface AnswerRow {
  readonly id?: string;
  readonly set?: string;
  readonly category?: string;
  readonly instruction: string;
  readonly input?: string;
  readonly output: string | null;
}

/** Answers of an arm whose quality is a number of stars. */
function rows(count: number, quality: (i: number) => number, extra: Partial<AnswerRow> = {}): AnswerRow[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `p${i}`,
    set: i % 2 ? "odd" : "even",
    category: i % 4 < 2 ? "low" : "high",
    instruction: `Question ${i}`,
    input: "",
    output: `Answer ${i} ${"*".repeat(quality(i))}`,
    ...extra,
  }));
}

function writeAnswers(folder: TempFolder, name: string, answers: readonly AnswerRow[]): string {
  folder.write(`${name}.jsonl`, answers.map((row) => JSON.stringify(row)).join("\n"));
  return `${name}.jsonl`;
}

/** Writes answers of this quality. */
function writeRated(folder: TempFolder, name: string, count: number, quality: (i: number) => number): string {
  return writeAnswers(folder, name, rows(count, quality));
}

/** Judges by the stars, in the way of the Vicuna prompt. */
function byStars(asked: Asked): string {
  const [, one = "", other = ""] =
    /Assistant 1's Answer\]\n(.*?)\n\n\[The End of Assistant 1's.*Assistant 2's Answer\]\n(.*?)\n\n\[The End of Assistant 2's/s.exec(
      asked.user,
    ) ?? [];
  const stars = (text: string) => Math.min(10, (text.match(/\*/g) ?? []).length + 1);
  return `${stars(one)} ${stars(other)}\nBy the stars.`;
}

const verdictsOf = (folder: TempFolder, path: string) =>
  parseLines<PairVerdict>(readFileSync(join(folder.path, path), "utf8"));

describe("comparing two arms", () => {
  test.runIf(isLong)("a judge that failed its check in the run is not to be trusted, wherever it is told", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    const files = [writeRated(folder, "good", 40, () => 5), writeRated(folder, "poor", 40, (i) => i % 3)];
    const check = { name: "separates", held: false, message: "it tells nothing apart" };
    const checked = { at: "2026-01-01T00:00:00Z", judge: server.judge, language: "en", checks: [check] };
    folder.write("runs/default/judge-checks.jsonl", `${JSON.stringify(checked)}\n`);
    const { stdout } = await alpagasus(["compare", ...files, "--judge", server.judge], { cwd: folder.path });
    expect(stdout).toMatch(/good is better than poor: .*This is not to be trusted\./);
    expect(stdout).toContain("Should I trust this? No: the judge failed its check (separates)");
    const { stdout: status } = await alpagasus(["status"], { cwd: folder.path });
    expect(status).toMatch(/good against poor .* better, not to be trusted/);
  });

  test.runIf(isLong)("tells results by difficulty where the set has levels, corrected for their number", async () => {
    using folder = tempFolder();
    const withLevels = (name: string, quality: (i: number) => number) =>
      writeAnswers(
        folder,
        name,
        rows(60, quality).map((row, i) => ({ ...row, set: "all", Difficulty: i % 5 === 4 ? 99 : (i % 10) + 1 })), // 99 is no level
      );
    await using server = await startModelServer({ answer: byStars });
    withLevels("a", (i) => (i % 10 < 4 ? 6 : 3));
    writeAnswers(
      folder,
      "b",
      rows(60, () => 3, { set: "all" }),
    ); // the levels stand in one of the files
    const args = ["compare", "a.jsonl", "b.jsonl", "--judge", server.judge];
    const { stdout } = await alpagasus([...args, "--json"], { cwd: folder.path });
    const { difficulties = [], pooled } = JSON.parse(stdout) as ComparisonSummary;
    expect(pooled.pairs).toBe(60);
    expect(difficulties.map(({ set, group, pairs, counts }) => [set, group, pairs, counts.win, counts.tie])).toEqual([
      ["all", "1 to 4", 24, 24, 0],
      ["all", "5 to 7", 12, 0, 12],
      ["all", "8 to 10", 12, 0, 12],
    ]);
    expect(difficulties[0]!.adjusted).toMatchObject({ comparisons: 3, method: "Holm" });
    const shown = await alpagasus(args, { cwd: folder.path });
    expect(shown.stdout).toMatch(/difficulty +win +tie +lose/);
    expect(shown.stdout).toMatch(/8 to 10 +0 +12 +0/);
  });

  test("judges both orders, and says who wins", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    writeRated(folder, "good", 40, () => 5);
    writeRated(folder, "poor", 40, (i) => (i % 10 === 0 ? 5 : i % 10 === 1 ? 7 : 2));
    const args = ["compare", "good.jsonl", "poor.jsonl", "--judge", server.judge];
    const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const summary = JSON.parse(stdout) as ComparisonSummary;
    expect(summary.pooled.counts).toEqual({ win: 32, tie: 4, lose: 4, undecided: 0 });
    expect(summary.pooled).toMatchObject({
      conclusion: "better",
      identical: 4,
      orders: { pairs: 36, flipRate: { value: 0 } },
    });
    expect(summary.sets.map(({ group, pairs }) => [group, pairs])).toEqual([
      ["even", 20],
      ["odd", 20],
    ]);
    expect(summary.categories).toHaveLength(4);
    expect(server.log).toHaveLength(72); // equal answers are not asked about
    const verdicts = verdictsOf(folder, summary.verdictsPath!);
    expect(verdicts[2]).toMatchObject({
      id: "p2",
      outcome: "win",
      orders: [
        { shownFirst: "A", state: "judged", winner: "A", scores: { A: 6, B: 3 } },
        { shownFirst: "B", state: "judged", winner: "A", scores: { A: 6, B: 3 } },
      ],
    });
    const text = await alpagasus(args, { cwd: folder.path });
    expect(text.stdout).toContain("good is better than poor: 32 wins, 4 ties, 4 losses");
    expect(server.log).toHaveLength(72); // nor anything twice
  });

  test("a judge that likes the first answer is told to, and its pairs are ties", async () => {
    await using server = await startModelServer({ answer: () => "8 5\nThe first." });
    using folder = tempFolder();
    writeRated(folder, "a", 30, () => 1);
    writeRated(folder, "b", 30, () => 2);
    const { stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--judge", server.judge], {
      cwd: folder.path,
    });
    expect(stdout).toContain("No difference shown between a and b on 30 prompts: 0 wins, 30 ties, 0 losses");
    expect(stdout).toContain("contradicts itself in 100.0 %");
    expect(stdout).toContain("the answer shown first 60 times, the second 0 times");
  });

  test("what cannot be read leaves a pair undecided, never a tie", async () => {
    const odd: Record<string, Answer | string> = {
      "Question 1\n": "I like both.",
      "Question 2\n": "8 or 9, 7",
      "Question 3\n": { kind: "reply", text: "", finish: "content_filter" },
      "Question 4\n": { kind: "status", status: 400, code: "context_length_exceeded", message: "too long" },
      "Question 5\n": "11 3",
    };
    await using server = await startModelServer({
      answer: (asked) => Object.entries(odd).find(([question]) => asked.user.includes(question))?.[1] ?? byStars(asked),
    });
    using folder = tempFolder();
    writeRated(folder, "a", 8, () => 5);
    writeRated(folder, "b", 8, () => 2);
    const { code, stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--judge", server.judge, "--json"], {
      cwd: folder.path,
    });
    expect(code).toBe(3);
    const summary = JSON.parse(stdout) as ComparisonSummary;
    expect(summary.pooled.counts).toEqual({ win: 3, tie: 0, lose: 0, undecided: 5 });
    expect(summary.states).toEqual({ judged: 6, unparsable: 6, refused: 2, failed: 2 });
  });

  test("prompts without ids on one side are matched by their text, and arms can be named", async () => {
    using folder = tempFolder();
    folder.write(
      "x/answers.json",
      rows(6, () => 5),
    );
    folder.write(
      "y/answers.json",
      rows(6, () => 2).map(({ instruction, output }) => ({ instruction, output })),
    );
    const args = ["compare", "mine=x/answers.json", "theirs=y/answers.json"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain("mine against theirs, 6 prompts");
  });

  test.runIf(isLong)("replies shows what the judge said, and status what was compared", async () => {
    await using server = await startModelServer({
      answer: (asked) => (asked.user.includes("Question 2") ? "Both fine." : byStars(asked)),
    });
    using folder = tempFolder();
    writeRated(folder, "a", 4, () => 5);
    writeRated(folder, "b", 4, () => 2);
    await alpagasus(["compare", "a.jsonl", "b.jsonl", "--judge", server.judge], { cwd: folder.path });
    const all = await alpagasus(["replies", "--verdicts", "--json"], { cwd: folder.path });
    const lines = parseLines<{ id: string; shownFirst: string; winner: string | null; reply: string }>(all.stdout);
    expect(lines).toHaveLength(8);
    expect(lines[1]).toMatchObject({ id: "p0", shownFirst: "B", winner: "A", reply: "3 6\nBy the stars." });
    const unread = await alpagasus(["replies", "--verdicts", "--state", "unparsable"], { cwd: folder.path });
    expect(unread.stdout.match(/Both fine\./g)).toHaveLength(2);
    const status = await alpagasus(["status"], { cwd: folder.path });
    expect(status.stdout).toContain("a against b");
    expect(status.stdout).not.toContain("begun");
  });

  test("prompts without ids that begin alike are different prompts", async () => {
    using folder = tempFolder();
    const alike = (output: string) =>
      Array.from({ length: 12 }, (_, i) => ({
        instruction: "Summarise the following text in one sentence, please, and briefly.",
        input: `Text ${i}`,
        output: `${output} ${i}`,
      }));
    writeAnswers(folder, "a", alike("one"));
    writeAnswers(folder, "b", alike("two"));
    const { stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--json"], { cwd: folder.path });
    const { verdictsPath } = JSON.parse(stdout) as ComparisonSummary;
    expect(new Set(verdictsOf(folder, verdictsPath!).map(({ id }) => id)).size).toBe(12);
  });

  test.runIf(isLong)(
    "arms of other writing keep their own files, and other answers under old names are not mixed in",
    async () => {
      using folder = tempFolder();
      for (const [i, name] of ["模型一", "模型二", "a b", "a_b"].entries())
        writeAnswers(
          folder,
          name,
          rows(5, () => i + 1),
        );
      const args = ["compare", "模型一.jsonl", "模型二.jsonl", "a b.jsonl", "a_b.jsonl", "--all-pairs", "--json"];
      const { comparisons } = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as {
        comparisons: ComparisonSummary[];
      };
      expect(new Set(comparisons.map(({ verdictsPath }) => verdictsPath)).size).toBe(6);
      writeRated(folder, "a_b", 5, () => 9);
      const again = await alpagasus(["compare", "a b.jsonl", "a_b.jsonl"], { cwd: folder.path });
      expect(again).toMatchObject({ code: 2, stdout: "" });
      expect(again.stderr).toContain("holds a comparison of other answers of a b and a_b");
    },
  );

  test.runIf(isLong)("nobody is paid before all judges can be asked and all labels fit", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    writeRated(folder, "a", 5, () => 5);
    writeRated(folder, "b", 5, () => 2);
    folder.write("labels.jsonl", '{"id": "other", "label": "A"}');
    for (const more of [
      ["--judge", "studnet"],
      ["--judge", "openai:gpt-5-mini"],
      ["--labels", "labels.jsonl"],
    ]) {
      const { code, stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--judge", server.judge, ...more], {
        cwd: folder.path,
      });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    }
    expect(server.log).toHaveLength(0);
  });

  test("--dry-run shows the prompt and the calls, and asks and writes nothing", async () => {
    using folder = tempFolder();
    writeRated(folder, "a", 10, () => 5);
    writeRated(folder, "b", 10, (i) => (i < 3 ? 5 : 2));
    const args = ["compare", "a.jsonl", "b.jsonl", "--judge", "openai:gpt-4o-mini", "--dry-run"];
    const { code, stdout } = await alpagasus(args, { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain("[Question]\nQuestion 3");
    expect(stdout).toMatch(/pairs {3}7\n {2}calls {3}14 to make, 0 in the store/);
    expect(existsSync(join(folder.path, "runs"))).toBe(false);
  });

  test("with marks instead of scores", async () => {
    await using server = await startModelServer({
      answer: (asked) =>
        `They differ.\n${asked.user.indexOf("*****") < asked.user.indexOf("answer B]") ? "[[A]]" : "[[B]]"}`,
    });
    using folder = tempFolder();
    writeRated(folder, "a", 6, () => 5);
    writeRated(folder, "b", 6, () => 1);
    const args = ["compare", "a.jsonl", "b.jsonl", "--judge", server.judge, "--rubric", "verdict", "--json"];
    const summary = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as ComparisonSummary;
    expect(summary.pooled.counts.win).toBe(6);
    expect(summary.pooled.relativeScore).toBeUndefined();
  });

  test("by the student, without a key", async () => {
    using folder = tempFolder();
    const good = [
      "Water boils when the pressure of its vapour equals that of the air around it. At sea level that is so at 100 degrees Celsius.",
      "1. Heat gives the molecules more energy, so that more of them leave the liquid.",
      "2. On a mountain the air presses less, and water boils at a lower temperature, about 93 degrees at 2,000 metres.",
      "3. In a pressure cooker the pressure is higher, and water boils at about 120 degrees, so that food is done sooner.",
      "In short, the boiling point is not a property of water alone, but of water and the pressure upon it.",
    ].join("\n");
    const prompts = Array.from({ length: 20 }, (_, i) => `Explain why water boils at a certain temperature (${i}).`);
    writeAnswers(
      folder,
      "good",
      prompts.map((instruction) => ({ instruction, output: good })),
    );
    writeAnswers(
      folder,
      "poor",
      prompts.map((instruction) => ({ instruction, output: "No." })),
    );
    const { code, stdout } = await alpagasus(["compare", "good.jsonl", "poor.jsonl"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain("good is better than poor: 20 wins");
    expect(stdout).toMatch(/scores less than \d\.\d\d apart are a draw/);
  });

  test("several arms: each against the first, or all with a ranking", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    for (const [name, quality] of [
      ["best", 8],
      ["middle", 5],
      ["worst", 2],
    ] as const)
      writeAnswers(
        folder,
        name,
        rows(20, (i) => quality + (i % 3) - (name === "middle" ? 4 * Number(i % 5 === 0) : 0)),
      );
    const files = ["worst.jsonl", "best.jsonl", "middle.jsonl"];
    const one = await alpagasus(["compare", ...files, "--judge", server.judge], { cwd: folder.path });
    expect(one.stdout).toContain("worst is worse than best");
    expect(one.stdout).toContain("worst is worse than middle");
    const all = await alpagasus(["compare", ...files, "--judge", server.judge, "--all-pairs", "--json"], {
      cwd: folder.path,
    });
    const {
      rankings: [ranking = []],
      comparisons,
    } = JSON.parse(all.stdout) as {
      rankings: { arm: string; winRate: { low: number; value: number; high: number } }[][];
      comparisons: unknown[];
    };
    expect(comparisons).toHaveLength(3);
    expect(ranking.map(({ arm }) => arm)).toEqual(["best", "middle", "worst"]);
    for (const { winRate } of ranking) {
      expect(winRate.low).toBeLessThanOrEqual(winRate.value);
      expect(winRate.high).toBeGreaterThanOrEqual(winRate.value);
    }
    await alpagasus(["report", "--out", "page.html"], { cwd: folder.path });
    const report = JSON.parse(readFileSync(join(folder.path, "page.json"), "utf8")) as RunReport;
    expect(report.rankings).toEqual([{ judge: server.judge, seed: 42, arms: ranking, leftOut: [] }]);
    const csv = await alpagasus(["report", "--format", "csv"], { cwd: folder.path });
    expect(csv.stdout).toMatch(/^ranking,best by \S+,win_rate_against_average,/m);
  });

  test("people's labels measure the judge", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    writeRated(folder, "a", 20, () => 5);
    writeRated(folder, "b", 20, (i) => (i < 10 ? 2 : 8));
    folder.write(
      "labels.jsonl",
      Array.from({ length: 20 }, (_, i) => JSON.stringify({ id: `p${i}`, label: i < 12 ? "A" : "b" })).join("\n"),
    );
    const args = ["compare", "a.jsonl", "b.jsonl", "--judge", server.judge, "--labels", "labels.jsonl", "--json"];
    const { agreement } = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as ComparisonSummary;
    expect(agreement[0]).toMatchObject({
      with: "labels.jsonl",
      pairs: 20,
      share: { value: 0.9 },
      kappa: { value: 0.8 },
    });
  });

  test.runIf(isLong)("several judges are measured against one another", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    writeRated(folder, "a", 20, () => 5);
    writeRated(folder, "b", 20, (i) => (i < 10 ? 2 : 8));
    const args = ["compare", "a.jsonl", "b.jsonl", "--judge", server.judge, "--judge", `${server.judge}-2`, "--json"];
    const { comparisons } = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as {
      comparisons: ComparisonSummary[];
    };
    expect(comparisons.map(({ agreement }) => agreement.length)).toEqual([0, 1]);
    expect(comparisons[1]!.agreement[0]).toMatchObject({ with: server.judge, pairs: 20, kappa: { value: 1 } });
  });

  test.runIf(isLong)("a run with ratings keeps them, and a run that only compares has none", async () => {
    using folder = tempFolder();
    writeRated(folder, "a", 5, () => 5);
    writeRated(folder, "b", 5, () => 1);
    folder.write(
      "rows.json",
      rows(5, () => 3),
    );
    expect((await alpagasus(["compare", "a.jsonl", "b.jsonl", "--run", "runs/x"], { cwd: folder.path })).code).toBe(0);
    expect((await alpagasus(["select", "--top", "2", "--run", "runs/x"], { cwd: folder.path })).stderr).toContain(
      "rate the data first",
    );
    expect((await alpagasus(["rate", "rows.json", "--run", "runs/x"], { cwd: folder.path })).code).toBe(0);
    const { comparisons, rate } = JSON.parse(readFileSync(join(folder.path, "runs/x/run.json"), "utf8")) as {
      comparisons: object;
      rate: object;
    };
    expect(Object.keys(comparisons)).toEqual(["a-vs-b.by.student"]);
    expect(rate).toBeDefined();
  });
});

if (isLong)
  test("730 prompts in both orders against a server that misbehaves, killed and resumed: the same outcomes, nothing paid twice", async () => {
    const fault = faulty({ tooMany: 0.05, serverError: 0.02, reset: 0.01, cut: 0.005 }, { retryAfter: "0" });
    await using calm = await startModelServer({ answer: byStars });
    await using server = await startModelServer({
      latencyMs: (ordinal) => 5 + (ordinal % 17),
      answer: (asked) => {
        const answer = fault(asked);
        return answer.kind === "reply" ? byStars(asked) : answer;
      },
    });
    using folder = tempFolder();
    writeRated(folder, "a", 730, (i) => (i * 7) % 9);
    writeRated(folder, "b", 730, (i) => (i * 5) % 8);
    const args = (judge: string, run: string) => [
      "compare",
      "a.jsonl",
      "b.jsonl",
      "--judge",
      judge,
      "--run",
      run,
      "--store",
      `${run}.sqlite`,
      "--concurrency",
      "32",
    ];
    expect((await alpagasus(args(calm.judge, "calm"), { cwd: folder.path })).code).toBe(0);
    let kills = 0;
    for (; kills < 5; kills++) {
      const running = startAlpagasus(args(server.judge, "killed"), { cwd: folder.path });
      const before = server.log.length;
      while (server.log.length < before + 60 + 40 * kills && !existsSync(join(folder.path, "killed/run.json")))
        await new Promise((resolve) => setTimeout(resolve, 3));
      running.kill("SIGKILL");
      if ((await running.ended).code === 0) break;
    }
    expect((await alpagasus(args(server.judge, "killed"), { cwd: folder.path })).code).toBe(0);
    const outcomes = (run: string) => {
      const [file] = readdirSync(join(folder.path, run, "verdicts"));
      return verdictsOf(folder, `${run}/verdicts/${file}`).map(({ id, outcome }) => [id, outcome]);
    };
    expect(outcomes("killed")).toEqual(outcomes("calm"));
    const repeated = [...server.replied.values()].reduce((sum, count) => sum + count - 1, 0);
    expect(repeated).toBeLessThanOrEqual(kills * 32);
  });

describe("published judgements of other kinds", () => {
  test("FastChat's and AlpacaEval's are counted too", async () => {
    using folder = tempFolder();
    const fastChat = [
      {
        question_id: 81,
        model_1: "x",
        model_2: "y",
        g1_winner: "model_1",
        g2_winner: "model_1",
        judge: ["gpt-4", "pair-v2"],
        turn: 1,
      },
      {
        question_id: 81,
        model_1: "x",
        model_2: "y",
        g1_winner: "model_1",
        g2_winner: "model_2",
        judge: ["gpt-4", "pair-v2"],
        turn: 2,
      },
      {
        question_id: 82,
        model_1: "x",
        model_2: "y",
        g1_winner: "tie",
        g2_winner: "model_2",
        judge: ["gpt-4", "pair-v2"],
        turn: 1,
      },
      {
        question_id: 83,
        model_1: "x",
        model_2: "y",
        g1_winner: "error",
        g2_winner: "model_2",
        judge: ["gpt-4", "pair-v2"],
        turn: 1,
      },
    ];
    folder.write("gpt-4_pair.jsonl", fastChat.map((row) => JSON.stringify(row)).join("\n"));
    const one = JSON.parse(
      (await alpagasus(["compare", "--reviews", "gpt-4_pair.jsonl", "--json"], { cwd: folder.path })).stdout,
    ) as ComparisonSummary;
    expect(one).toMatchObject({
      a: "x",
      b: "y",
      judge: "gpt-4",
      pooled: { counts: { win: 1, tie: 1, lose: 1, undecided: 1 }, orders: { first: 4, second: 1, draws: 1 } },
    });

    expect(one.notes[0]).toContain("turns of one conversation");

    const annotation = (instruction: string, preference: number | null) => ({
      instruction,
      output_1: "aa",
      generator_1: "base",
      output_2: "b",
      generator_2: "mine",
      preference,
      annotator: "gpt4",
      dataset: "helpful_base",
    });
    folder.write("annotations.json", [
      annotation("p", 2),
      annotation("q", 1.9),
      annotation("r", 1),
      annotation("s", 1.5),
      annotation("t", null),
      annotation("u", 0),
      { ...annotation("v", 0), preference: "" },
    ]);
    const args = ["compare", "--reviews", "annotations.json", "--arms", "mine,base"];
    const two = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect(JSON.parse(two.stdout)).toMatchObject({
      a: "mine",
      pooled: { counts: { win: 2, tie: 2, lose: 1, undecided: 2 }, orders: { pairs: 0 } },
    });
    expect((await alpagasus(args, { cwd: folder.path })).stdout).toContain("only one order was judged");
  });
});

describe("bad input is one line", () => {
  const good = rows(4, () => 1);
  const cases: [name: string, a: AnswerRow[] | string, b: AnswerRow[] | string, line: RegExp][] = [
    [
      "other prompts under the same ids",
      good,
      good.map((row) => ({ ...row, instruction: "Another" })),
      /b.jsonl: expected p0 of even to be the prompt that a.jsonl answers \(Question 0\), got Another/,
    ],
    [
      "nothing in common",
      good,
      good.map((row) => ({ ...row, id: `x${row.id}`, instruction: `x${row.instruction}` })),
      /expected answers to the same prompts, got none in common/,
    ],
    ["an id twice", [...good, good[0]!], good, /a.jsonl:5: expected each id once, got "p0" again/],
    [
      "a prompt twice, without ids",
      [
        { instruction: "q", output: "a" },
        { instruction: "q", output: "b" },
      ],
      good,
      /a.jsonl:2: expected each prompt once, got one again; give the rows ids/,
    ],
    [
      "no answer",
      [{ instruction: "q" } as AnswerRow],
      good,
      /a.jsonl:1: expected an answer in one of the columns output, /,
    ],
    [
      "an answer that is a number",
      [{ ...good[0]!, output: 4 as unknown as string }],
      good,
      /a.jsonl:1: expected "output" to be a text, got number/,
    ],
    ["an empty file", "", good, /a.jsonl: expected/],
    ["a file that is not there", "missing", good, /a.jsonl: no such file, folder or pattern/],
  ];
  test.each(cases)("%s", async (_, a, b, line) => {
    using folder = tempFolder();
    if (a === "") folder.write("a.jsonl", "");
    else if (typeof a !== "string") writeAnswers(folder, "a", a);
    writeAnswers(folder, "b", b as AnswerRow[]);
    const { code, stdout, stderr } = await misuse(["compare", "a.jsonl", "b.jsonl"], { cwd: folder.path });
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(line);
    expect(code).toBe(2);
    expect(existsSync(join(folder.path, "runs"))).toBe(false);
  });

  test("answers that only one side has miss a gate, and the rest is judged", async () => {
    using folder = tempFolder();
    writeAnswers(folder, "a", good);
    writeAnswers(folder, "b", [...good.slice(0, 2), { ...good[2]!, output: null }, { ...good[3]!, output: "" }]);
    const { code, stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl"], { cwd: folder.path });
    expect(code).toBe(3);
    expect(stdout).toContain("3 of 4 prompts are decided");
    expect(stdout).toContain("1 answers of b are empty; they are judged as they are");
    expect(stdout).toContain("1 prompt has no answer in b: no pair is judged, and the coverage counts it as missing");
    expect(stdout).toContain("Nothing can be concluded: only 3 of 4 prompts have a decided outcome");
  });

  test.each([
    [["compare", "a.jsonl"], /expected two files of answers or more, got 1/],
    [["compare", "a.jsonl", "a.jsonl"], /expected arms of different names, got a twice; name them: NAME=FILE/],
    [["compare", "a.jsonl", "b.jsonl", "--judge", "recorded:x"], /--judge: expected openai:MODEL.*student/],
    [
      ["compare", "a.jsonl", "b.jsonl", "--rubric", "vicuna"],
      /--rubric: expected a judge that calls a model, got student/,
    ],
    [["compare", "a.jsonl", "b.jsonl", "--arms", "a,b"], /--arms: expected --reviews with it/],
    [["compare", "--reviews", "a.jsonl"], /a.jsonl \(row 1\): expected a review of AlpaGasus/],
    [["compare", "a.jsonl", "--reviews", "b.jsonl"], /either files of answers or --reviews, got both/],
    [
      ["compare", "--reviews", "a.jsonl", "--judge", "student"],
      /--judge: expected a judge that calls a model, got --reviews/,
    ],
    [
      ["compare", "a.jsonl", "x=b.jsonl", "y=b.jsonl", "--labels", "b.jsonl"],
      /--labels: expected two files of answers/,
    ],
    [["compare", "a.jsonl", "b.jsonl", "--labels", "b.jsonl"], /b.jsonl:1: expected "id" and a "label"/],
  ])("%j", async (args, line) => {
    using folder = tempFolder();
    writeAnswers(folder, "a", good);
    writeAnswers(folder, "b", good);
    const { code, stdout, stderr } = await misuse(args, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(line);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("a verdict says no more than its evidence", () => {
  const conclusionsOf = async (folder: TempFolder, ...args: string[]) => {
    const { stdout } = await alpagasus(["report", "--format", "json", ...args], { cwd: folder.path });
    const { comparisons } = JSON.parse(stdout) as { comparisons: ComparisonSummary[] };
    return new Map(comparisons.map(({ b, pooled }) => [b, pooled]));
  };

  test.runIf(isLong)("a comparison that is made again alone stays among those that it was made with", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    writeRated(folder, "a", 40, (i) => (i < 26 ? 3 : 1));
    writeRated(folder, "b", 40, () => 2);
    writeRated(folder, "c", 40, (i) => (i % 2 ? 1 : 4));
    const judge = ["--judge", server.judge];
    expect((await alpagasus(["compare", "a.jsonl", "b.jsonl", "c.jsonl", ...judge], { cwd: folder.path })).code).toBe(
      0,
    );
    const together = await conclusionsOf(folder);
    expect(together.get("b")!.adjusted!.comparisons).toBe(2);
    const again = await alpagasus(["compare", "a.jsonl", "b.jsonl", ...judge], { cwd: folder.path });
    expect(again.stdout).toContain("corrected for 2 comparisons");
    expect(await conclusionsOf(folder)).toEqual(together);
  });

  test("one that is not complete concludes nothing, wherever it is told", async () => {
    using folder = tempFolder();
    writeRated(folder, "a", 60, () => 5);
    writeAnswers(
      folder,
      "b",
      rows(60, () => 1).map((row, i) => (i < 45 ? row : { ...row, output: null })),
    );
    const { code, stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--json"], { cwd: folder.path });
    expect(code).toBe(3);
    const { pooled, sets, categories } = JSON.parse(stdout) as ComparisonSummary;
    const told = new Set([pooled, ...sets, ...categories].map(({ conclusion }) => conclusion));
    expect(told).toEqual(new Set(["nothing can be concluded"]));
    const { stdout: status } = await alpagasus(["status"], { cwd: folder.path });
    expect(status).toMatch(/a against b.*nothing can be concluded/);
  });

  test("labels of no pair, and of pairs without an outcome, are said to be left out", async () => {
    using folder = tempFolder();
    writeRated(folder, "a", 20, () => 5);
    writeRated(folder, "b", 20, () => 1);
    const labels = Array.from({ length: 20 }, (_, i) => ({
      set: i < 12 ? (i % 2 ? "odd" : "even") : "elsewhere",
      id: `p${i}`,
      label: "A",
    }));
    folder.write("labels.json", labels);
    const { stdout } = await alpagasus(["compare", "a.jsonl", "b.jsonl", "--labels", "labels.json"], {
      cwd: folder.path,
    });
    expect(stdout).toContain(
      "labels.json: 8 of 20 belong to no pair here, by set and id, and do not count (p12, p13, p14, …)",
    );
  });

  test.runIf(isLong)("a ranking of few prompts that all say the same is open, and ties share a rank", async () => {
    await using server = await startModelServer({ answer: byStars });
    using folder = tempFolder();
    for (const [name, stars] of [
      ["best", 5],
      ["one", 2],
      ["other", 2],
    ] as const)
      writeRated(folder, name, 4, () => stars);
    const files = ["best.jsonl", "one.jsonl", "other.jsonl"];
    const { stdout } = await alpagasus(["compare", ...files, "--judge", server.judge, "--all-pairs"], {
      cwd: folder.path,
    });
    const [, rank, share, low, high] = /^\s+(\d) {2}best +([\d.]+) % +\[([\d.]+) %, ([\d.]+) %\]/m.exec(stdout)!;
    expect([rank, Number(high) - Number(low) > 20, Number(low) < Number(share)]).toEqual(["1", true, true]);
    expect(stdout.match(/^\s+2 {2}(one|other) /gm)).toHaveLength(2);
  });
});
