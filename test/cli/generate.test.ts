import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import { alpagasus, misuse, startAlpagasus, type CommandResult } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { isLong } from "../helpers/long.ts";
import { startModelServer, type Asked } from "../helpers/model-server.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

interface Line {
  readonly set: string;
  readonly id: string;
  readonly state: string;
  readonly output: string | null;
  readonly detail?: string;
  readonly call?: string;
}

function readAnswers(folder: TempFolder, name: string): Line[] {
  return parseLines<Line>(readFileSync(join(folder.path, `runs/default/answers/${name}.jsonl`), "utf8"));
}

const summaryOf = ({ stdout }: CommandResult) => JSON.parse(stdout) as AnswersSummary;

const prompts = Array.from({ length: 40 }, (_, i) => ({
  id: i,
  set: "mine",
  instruction: `Question ${i}?`,
  input: i % 4 === 0 ? `Input ${i}` : "",
}));

describe("generate by a model behind an API", () => {
  test("asks greedily for 1,024 tokens, keeps every answer, and asks nothing a second time", async () => {
    const asked: Asked[] = [];
    await using server = await startModelServer({
      answer: (question) => {
        asked.push(question);
        return `Answer to ${question.user}`;
      },
    });
    using folder = tempFolder();
    const args = ["generate", "--model", server.judge, "--name", "opponent", "--json"];
    const first = await alpagasus(args, { cwd: folder.path });
    expect([first.code, first.stderr]).toEqual([0, ""]);
    const summary = summaryOf(first);
    expect(summary.sets.map(({ set, prompts: count, answered }) => [set, count, answered])).toEqual([
      ["vicuna", 80, 80],
      ["koala", 180, 180],
      ["wizardlm", 218, 218],
      ["self-instruct", 252, 252],
    ]);
    expect(summary.calls).toMatchObject({ made: server.log.length });
    expect(asked[0]!.body).toMatchObject({ temperature: 0, max_tokens: 1024 });
    const answers = readAnswers(folder, "opponent");
    expect(answers).toHaveLength(730);
    expect(answers.every(({ state, output, call }) => state === "answered" && output && call)).toBe(true);
    const withInput = asked.find(({ user }) => user.includes("\n\n"))!;
    expect(withInput.user).not.toContain("###");
    const before = server.log.length;
    const second = await alpagasus(args, { cwd: folder.path });
    expect(summaryOf(second).calls).toMatchObject({ made: 0 });
    expect(server.log).toHaveLength(before);
    expect(readAnswers(folder, "opponent")).toEqual(answers);
    folder.write("mine.json", [{ instruction: "mine", output: "stays" }]);
    const over = await alpagasus([...args, "--alpaca-eval", "mine.json"], { cwd: folder.path });
    expect([over.code, over.stderr]).toEqual([2, expect.stringContaining("got a file of another kind, which stays")]);
    const third = await alpagasus([...args, "--alpaca-eval", "outputs.json"], { cwd: folder.path });
    expect(third.stderr).toBe("alpagasus: wrote 730 answers to outputs.json\n");
    const outputs = JSON.parse(readFileSync(`${folder.path}/outputs.json`, "utf8")) as object[];
    expect(outputs[0]).toEqual({
      dataset: "vicuna",
      instruction: expect.any(String),
      output: expect.stringContaining("Answer to"),
      generator: "opponent",
    });
  });

  test.runIf(isLong)("puts the input where the Alpaca template looks for it, when told", async () => {
    const asked: string[] = [];
    await using server = await startModelServer({ answer: ({ user }) => (asked.push(user), "yes") });
    using folder = tempFolder();
    folder.write("mine.json", prompts.slice(0, 2));
    const { code } = await alpagasus(
      ["generate", "--model", server.judge, "--tests", "mine.json", "--template", "alpaca"],
      { cwd: folder.path },
    );
    expect(code).toBe(0);
    expect(asked.toSorted()).toEqual(["Question 0?\n\n### Input:\nInput 0", "Question 1?"]);
  });

  test("answers that are cut, empty, refused or missing are told apart, and compare leaves the missing out", async () => {
    await using server = await startModelServer({
      answer: ({ user }) => {
        const number = Number(/Question (\d+)/.exec(user)![1]);
        if (number === 1) return { kind: "reply", text: "An answer that goes on and", finish: "length" };
        if (number === 2) return { kind: "reply", text: "" };
        if (number === 3) return { kind: "reply", text: "", finish: "content_filter" };
        if (number === 4) return { kind: "status", status: 400, message: "too long", code: "context_length_exceeded" };
        if (number === 5) return { kind: "reply", text: "", finish: "tool_calls" };
        if (number === 6) return { kind: "reply", text: "Again and again", finish: "repetition" };
        return `Answer ${number}`;
      },
    });
    using folder = tempFolder();
    folder.write("mine.json", prompts);
    const asked = ["generate", "--model", server.judge, "--tests", "mine.json"];
    const args = [...asked, "--min-coverage", "90%"];
    const result = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect(result.code).toBe(0); // 37 of 40 are answered
    expect(summaryOf(result).sets[0]).toMatchObject({
      prompts: 40,
      answered: 35,
      cut: 2,
      refused: 1,
      failed: 2,
      empty: 1,
    });
    expect(readAnswers(folder, "test-model").slice(1, 7)).toMatchObject([
      { state: "cut", output: "An answer that goes on and" },
      { state: "answered", output: "" },
      { state: "refused", output: null },
      { state: "failed", output: null },
      { state: "failed", output: null },
      { state: "cut", output: "Again and again" },
    ]);
    const shown = await alpagasus(args, { cwd: folder.path });
    expect(shown.stdout).toContain('1 answer was cut at 1,024 tokens: marked "cut"');
    const strict = await alpagasus([...asked, "--min-coverage", "99%"], { cwd: folder.path });
    expect([strict.code, strict.stdout]).toEqual([
      3,
      expect.stringContaining("37 of 40 prompts are answered (92.5 %)"),
    ]);
    folder.write(
      "other.jsonl",
      prompts.map((prompt) => JSON.stringify({ ...prompt, output: "something else" })).join("\n"),
    );
    for (const name of ["test-4.1", "test-4.5"]) await alpagasus([...args, "--name", name], { cwd: folder.path });
    const compared = await alpagasus(["compare", "test-4.1", "other.jsonl", "--json"], { cwd: folder.path });
    expect(JSON.parse(compared.stdout)).toMatchObject({ a: "test-4.1", b: "other", missing: 3 });
    const both = await alpagasus(["compare", "test-4.1", "test-4.5", "--json"], { cwd: folder.path });
    const { missing, gates } = JSON.parse(both.stdout) as ComparisonSummary; // what neither has answered is missing, too
    expect([both.code, missing, gates[0]!.message]).toEqual([
      3,
      3,
      expect.stringContaining("37 of 40 prompts are decided (92.5 %)"),
    ]);
  });

  test.runIf(isLong)("stops before the budget, and goes on with a higher one", async () => {
    await using server = await startModelServer({ answer: () => "fine", price: { input: 1000, output: 1000 } });
    using folder = tempFolder();
    folder.write("mine.json", prompts);
    const args = ["generate", "--model", server.judge, "--tests", "mine.json", "--price", "1000/1000", "--json"];
    const result = await alpagasus([...args, "--budget", "0.3", "--max-output-tokens", "20"], { cwd: folder.path });
    expect(result.code).toBe(4);
    expect(server.bill.usd).toBeLessThanOrEqual(0.3);
    const { answered, pending } = summaryOf(result).sets[0]!;
    expect([answered + pending, pending > 0]).toEqual([40, true]);
    const rest = await alpagasus([...args, "--budget", "100", "--max-output-tokens", "20"], { cwd: folder.path });
    expect([rest.code, summaryOf(rest).sets[0]]).toMatchObject([0, { answered: 40, pending: 0 }]);
    expect([...server.replied.values()].every((times) => times === 1)).toBe(true);
  });

  test("killed in the middle, it asks only for what it has not got", async () => {
    await using server = await startModelServer({ answer: ({ user }) => `About ${user}`, latencyMs: () => 40 });
    using folder = tempFolder();
    folder.write("mine.json", prompts);
    const args = ["generate", "--model", server.judge, "--tests", "mine.json", "--concurrency", "2", "--json"];
    for (const kills of [1, 2]) {
      const running = startAlpagasus(args, { cwd: folder.path });
      await expect.poll(() => server.replied.size, { timeout: 30_000, interval: 5 }).toBeGreaterThan(10 * kills);
      running.kill("SIGKILL");
      await running.ended;
    }
    const result = await alpagasus(args, { cwd: folder.path });
    expect([result.code, summaryOf(result).sets[0]]).toMatchObject([0, { answered: 40 }]);
    const twice = [...server.replied.values()].reduce((sum, times) => sum + times - 1, 0);
    expect(twice).toBeLessThanOrEqual(4); // in flight when it was killed
    expect(readAnswers(folder, "test-model").map(({ output }) => output)).toEqual(
      prompts.map(({ instruction, input }) => `About ${instruction}${input ? `\n\n${input}` : ""}`),
    );
  });

  test.runIf(isLong)(
    "further test sets are added to what a model has answered; another model needs another name",
    async () => {
      await using server = await startModelServer({ answer: () => "fine" });
      using folder = tempFolder();
      folder.write("mine.json", prompts);
      const args = ["generate", "--name", "team", "--json", "--tests"];
      await alpagasus([...args, "mine.json", "--model", server.judge], { cwd: folder.path });
      const more = await alpagasus([...args, "vicuna", "--limit", "3", "--model", server.judge], { cwd: folder.path });
      expect(summaryOf(more).sets.map(({ set, prompts: count }) => [set, count])).toEqual([
        ["mine", 40],
        ["vicuna", 3],
      ]);
      const fewer = await alpagasus([...args, "vicuna", "--limit", "1", "--model", server.judge], { cwd: folder.path });
      expect(summaryOf(fewer).sets[1]).toMatchObject({ set: "vicuna", prompts: 3 }); // none is lost
      folder.write("other/mine.json", [{ id: 0, set: "mine", instruction: "Something else" }]);
      const clash = await alpagasus([...args, "other/mine.json", "--model", server.judge], { cwd: folder.path });
      expect([clash.code, clash.stderr]).toEqual([2, expect.stringContaining("another prompt called 0 of mine")]);
      const asked = server.log.length;
      const other = await alpagasus([...args, "vicuna", "--model", `${server.origin}/v1#other`], { cwd: folder.path });
      expect(other.code).toBe(2);
      expect(other.stderr).toMatch(/holds answers called team by another model.*--name.*--overwrite/);
      expect(server.log).toHaveLength(asked);
      const forced = await alpagasus(
        [...args, "vicuna", "--limit", "2", "--overwrite", "--model", `${server.origin}/v1#other`],
        { cwd: folder.path },
      );
      expect(summaryOf(forced).sets.map(({ set, prompts: count }) => [set, count])).toEqual([["vicuna", 2]]);
    },
  );

  test.runIf(isLong)("an endpoint tells what it serves", async () => {
    await using server = await startModelServer({ answer: () => "fine" });
    const models = (data: object[]) =>
      createServer((_request, response) => response.end(JSON.stringify({ object: "list", data }))).listen(
        0,
        "127.0.0.1",
      );
    const [one, two] = [models([{ id: "solo" }]), models([{ id: "a" }, { id: "b" }])];
    await expect.poll(() => one.listening && two.listening).toBe(true);
    const at = (other: typeof one) => `http://127.0.0.1:${(other.address() as AddressInfo).port}/v1`;
    using folder = tempFolder();
    folder.write("mine.json", prompts.slice(0, 2));
    const generate = (...args: string[]) =>
      alpagasus(["generate", "--tests", "mine.json", "--dry-run", ...args], { cwd: folder.path });
    expect((await generate("--endpoint", at(one))).stdout).toContain(`${at(one)}#solo`);
    expect(await generate("--endpoint", at(two))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected one model, got a, b; name it with --model") as string,
    });
    expect((await generate("--endpoint", at(two), "--model", "b")).stdout).toContain("#b");
    one.close();
    two.close();
    const named = ["generate", "--tests", "mine.json", "--endpoint", `${server.origin}/v1`, "--model", "m"];
    expect((await alpagasus(named, { cwd: folder.path })).code).toBe(0);
  });

  test("a store that a killed process had begun to write is taken back, and read", async () => {
    using folder = tempFolder();
    folder.write("mine.json", prompts.slice(0, 2));
    folder.write(
      "kill.mjs",
      `import { mkdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
mkdirSync(".alpagasus");
const database = new DatabaseSync(".alpagasus/calls.sqlite");
database.exec("pragma cache_size = 1; create table other (text); begin immediate; drop table other; create table t (x)");
for (let i = 0; i < 5000; i++) database.exec("insert into t values ('" + "y".repeat(200) + "')");
process.kill(process.pid, "SIGKILL");`,
    );
    spawnSync(process.execPath, ["kill.mjs"], { cwd: folder.path });
    expect(existsSync(join(folder.path, ".alpagasus/calls.sqlite-journal"))).toBe(true);
    const args = ["generate", "--model", "http://127.0.0.1:9/v1#m", "--tests", "mine.json", "--dry-run"];
    const { stderr } = await alpagasus(args, { cwd: folder.path });
    expect(stderr).not.toContain("readonly");
  });

  test("a dry run shows the prompt and the bill, and writes nothing", async () => {
    await using server = await startModelServer();
    using folder = tempFolder();
    const { code, stdout } = await alpagasus(
      ["generate", "--model", "openai:gpt-4o-mini", "--tests", "vicuna", "--dry-run"],
      { cwd: folder.path, env: server.environment },
    );
    expect(code).toBe(0);
    expect(stdout).toContain("How can I improve my time management skills?");
    expect(stdout).toMatch(/calls {3}80 to make/);
    expect(stdout).toMatch(/\$0\.0\d+ at most/);
    expect(server.log).toHaveLength(0);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each([
    [["--model", "openai:gpt-4o-mini"], "expected a key in OPENAI_API_KEY, got none"],
    [[], "--model: expected a model to answer, got none; or --endpoint URL"],
    [
      ["--model", "nothing-here"],
      "--model: expected a model of runs/default/models (there: none), a folder, a Hub id, smollm2",
    ],
    [
      ["--model", "selected", "--tests", "vicunia"],
      'expected koala, mt-bench, self-instruct, vicuna, wizardlm or a file with prompts, got "vicunia"',
    ],
    [["--model", "selected", "--tests", "none.jsonl"], "none.jsonl: no such file, folder or pattern"],
    [["--model", "selected", "--tests", "vicuna", "vicuna"], "--tests: expected each set once, got vicuna again"],
    [
      ["--model", "http://127.0.0.1:9/v1#m", "--tests", "blank.json"],
      'blank.json: expected a prompt, got an empty one: "1" of blank',
    ],
    [
      ["--model", "http://127.0.0.1:9/v1#m", "--tests", "numbers.json"],
      'expected "instruction" to be a text, got number',
    ],
    [["--endpoint", "http://127.0.0.1:9/v1#m"], "expected an address without #, got #m; name the model with --model"],
    [
      ["--model", "empty"],
      "empty: expected a model (config.json or adapter_config.json) or a training (training.json), found neither",
    ],
    [["--model", "openai:gpt-4o-mini", "--server", "vllm"], "--server: expected a model's folder"],
    [
      ["--model", "http://127.0.0.1:9/v1#m", "--name", "../x", "--tests", "mine.json"],
      "--name: expected a name of at most 100 letters",
    ],
    [
      ["--endpoint", "http://127.0.0.1:9/v1"],
      "http://127.0.0.1:9/v1/models: expected the models that are served there, got none",
    ],
    [
      ["--endpoint", "http://bob:hunter2@127.0.0.1:9/v1"],
      "expected an address without a name, password or question mark",
    ],
    [["--endpoint", "openai:gpt-4o", "--model", "x"], "--endpoint: expected an address such as"],
    [["--endpoint", "nonsense"], "--endpoint: expected an address such as"],
    [["--model", "selected", "--temperature", "3"], "Expected a number from 0 to 2."],
    [["--model", "half", "--tests", "mine.json"], "expected a trained model, found an unfinished training"],
  ] as const)("bad usage %j is one line", async (args, message) => {
    using folder = tempFolder();
    folder.write("empty/readme.txt", "");
    folder.write("blank.json", [{ instruction: "  " }]);
    folder.write("numbers.json", [{ id: 1, instruction: 7 }]);
    folder.write("half/training.json", { trainer: "trl", template: "chat", precision: "fp32" });
    folder.write("mine.json", prompts.slice(0, 1));
    const { code, stdout, stderr } = await misuse(["generate", ...args], { cwd: folder.path });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).not.toContain("hunter2");
    expect(existsSync(join(folder.path, "runs/default/answers"))).toBe(false);
  });
});
