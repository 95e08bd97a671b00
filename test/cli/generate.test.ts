import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { endOrphans, markVariable, newMark } from "../../src/generation/server-record.ts";
import { isProcessAlive } from "../../src/is-process-alive.ts";
import { watched } from "../../src/python/process-group.ts";
import type { AnswersSummary } from "../../src/run/manifest.ts";
import { alpagasus, startAlpagasus, type CommandResult } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer, type Asked } from "../helpers/model-server.ts";
import { writeStandInUv } from "../helpers/stand-in-uv.ts";
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
  });

  test("puts the input where the Alpaca template looks for it, when told", async () => {
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
        return `Answer ${number}`;
      },
    });
    using folder = tempFolder();
    folder.write("mine.json", prompts);
    const args = ["generate", "--model", server.judge, "--tests", "mine.json"];
    const result = await alpagasus([...args, "--json"], { cwd: folder.path });
    expect(result.code).toBe(0); // 38 of 40 are answered
    expect(summaryOf(result).sets[0]).toMatchObject({
      prompts: 40,
      answered: 37,
      cut: 1,
      refused: 1,
      failed: 1,
      empty: 1,
    });
    expect(readAnswers(folder, "test-model").slice(1, 5)).toMatchObject([
      { state: "cut", output: "An answer that goes on and" },
      { state: "answered", output: "" },
      { state: "refused", output: null },
      { state: "failed", output: null },
    ]);
    const shown = await alpagasus(args, { cwd: folder.path });
    expect(shown.stdout).toContain('1 answers were cut at 1,024 tokens; they are marked "cut"');
    const strict = await alpagasus([...args, "--min-coverage", "99%"], { cwd: folder.path });
    expect([strict.code, strict.stdout]).toEqual([
      3,
      expect.stringContaining("38 of 40 prompts are answered (95.0 %)"),
    ]);
    folder.write(
      "other.jsonl",
      prompts.map((prompt) => JSON.stringify({ ...prompt, output: "something else" })).join("\n"),
    );
    for (const name of ["test-4.1", "test-4.5"]) await alpagasus([...args, "--name", name], { cwd: folder.path });
    const compared = await alpagasus(["compare", "test-4.1", "other.jsonl", "--json"], { cwd: folder.path });
    expect(JSON.parse(compared.stdout)).toMatchObject({ a: "test-4.1", b: "other", missing: 2 });
    expect((await alpagasus(["compare", "test-4.1", "test-4.5"], { cwd: folder.path })).code).toBe(0);
  });

  test("stops before the budget, and goes on with a higher one", async () => {
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

  test("further test sets are added to what a model has answered; another model needs another name", async () => {
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
  });

  test("an endpoint tells what it serves", async () => {
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
    expect((await generate("--endpoint", at(one))).stdout).toContain(`${at(one)}#solo would be asked`);
    expect(await generate("--endpoint", at(two))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected one model, got a, b; name it with --model") as string,
    });
    expect((await generate("--endpoint", at(two), "--model", "b")).stdout).toContain("#b would be asked");
    one.close();
    two.close();
    const named = ["generate", "--tests", "mine.json", "--endpoint", `${server.origin}/v1`, "--model", "m"];
    expect((await alpagasus(named, { cwd: folder.path })).code).toBe(0);
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
    expect(stdout).toMatch(/\$0\.0\d+ at the very most/);
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
      'expected koala, self-instruct, vicuna, wizardlm or a file with prompts, got "vicunia"',
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
    [["--model", "openai:gpt-4o-mini", "--server", "vllm"], "--server: expected a model of this machine"],
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
    [
      ["--model", "half", "--tests", "mine.json"],
      "expected a trained model, found a training that has not come to its end",
    ],
  ] as const)("bad usage %j is one line", async (args, message) => {
    using folder = tempFolder();
    folder.write("empty/readme.txt", "");
    folder.write("blank.json", [{ instruction: "  " }]);
    folder.write("numbers.json", [{ id: 1, instruction: 7 }]);
    folder.write("half/training.json", { trainer: "trl", template: "chat", precision: "fp32" });
    folder.write("mine.json", prompts.slice(0, 1));
    const { code, stdout, stderr } = await alpagasus(["generate", ...args], { cwd: folder.path });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).not.toContain("hunter2");
    expect(existsSync(join(folder.path, "runs/default/answers"))).toBe(false);
  });
});

describe("generate by a model of this machine", () => {
  /** A folder with a model, and what runs generate there with a stand-in for uv. */
  function openModelFolder(): TempFolder & {
    generate: (standIn: string, ...args: string[]) => ReturnType<typeof startAlpagasus>;
  } {
    const folder = tempFolder();
    folder.write("mine.json", prompts.slice(0, 8));
    folder.write("model/config.json", {});
    const PATH = `${writeStandInUv(folder)}:${process.env["PATH"]}`;
    return Object.assign(folder, {
      generate: (standIn: string, ...args: string[]) =>
        startAlpagasus(["generate", "--model", "model", "--tests", "mine.json", "--json", ...args], {
          cwd: folder.path,
          env: { PATH, STAND_IN: standIn, STAND_IN_MS: "100", http_proxy: "http://127.0.0.1:9" },
        }),
    });
  }
  const processesOf = (folder: TempFolder) =>
    readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder.path);
        } catch {
          return false; // it has ended, or is somebody else's
        }
      });

  test("starts its server, asks it past any proxy, stops it, and needs none when all is answered", async () => {
    using folder = openModelFolder();
    const first = await folder.generate("").ended;
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(summaryOf(first)).toMatchObject({
      sets: [{ set: "mine", answered: 8 }],
      server: { parity: "not compared with training: it was not trained by alpagasus train" },
    });
    expect(readAnswers(folder, "model")[1]!.output).toBe("Answer to Question 1?");
    await expect.poll(() => processesOf(folder), { timeout: 20_000 }).toEqual([]);
    expect(summaryOf(await folder.generate("dies at first").ended).calls).toMatchObject({ made: 0, stored: 8 });
  });

  test.each(["dies at first", "dies later"])(
    "a server that %s is told of in its own words, and goes on",
    async (standIn) => {
      using folder = openModelFolder();
      const { code, stdout, stderr } = await folder.generate(standIn).ended;
      expect(code).toBe(1);
      expect(stdout + stderr).toMatch(
        /served\/model\.log: the server ended with code 1: torch\.OutOfMemoryError.*--endpoint/,
      );
      const again = await folder.generate("").ended;
      expect([again.code, summaryOf(again).sets[0]]).toMatchObject([0, { answered: 8, pending: 0 }]);
    },
  );

  test.each(["SIGINT", "SIGKILL"] as const)(
    "%s leaves no server, even one that does not answer to being asked",
    async (signal) => {
      using folder = openModelFolder();
      const running = folder.generate("ignores TERM", "--concurrency", "1");
      await expect
        .poll(() => existsSync(join(folder.path, ".alpagasus/calls.sqlite-wal")), { timeout: 20_000 })
        .toBe(true);
      await expect.poll(() => processesOf(folder).length, { timeout: 20_000 }).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 300));
      running.kill(signal);
      await running.ended;
      await expect.poll(() => processesOf(folder), { timeout: 25_000 }).toEqual([]);
      expect((await folder.generate("").ended).code).toBe(0);
      expect(readdirSync(join(folder.path, "runs/default")).filter((name) => name.startsWith("server."))).toEqual([]);
    },
  );

  test("one process at a time answers under a name", async () => {
    using folder = openModelFolder();
    const running = folder.generate("");
    await expect
      .poll(() => existsSync(join(folder.path, "runs/default/answers/model.jsonl.pid")), { timeout: 20_000 })
      .toBe(true);
    const other = await folder.generate("").ended;
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringMatching(/answers that nobody works on, process \d+ does/),
    ]);
    expect((await running.ended).code).toBe(0);
  });

  test("what transformers serve cannot do is said before", async () => {
    using folder = openModelFolder();
    const { code, stderr } = await folder.generate("", "--temperature", "0.7").ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining("transformers serve gives no others")]);
  });
});

describe("servers that were left over", () => {
  const deadPid = 2 ** 22 - 7; // beyond what this system counts to, or at least nobody's

  /** A group that is marked; its first process is gone where it is an orphan, as after kill -9 of its owner. */
  function startSleeper(mark: string): { pid: number; end: () => void } {
    const stubborn = ["sh", "-c", "trap '' TERM; sleep 300"];
    const child = spawn("sh", watched(mark.startsWith("alpagasus") ? stubborn : ["sleep", "300"]), {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { ...process.env, [markVariable]: mark },
    });
    return { pid: child.pid!, end: () => child.stdin.destroy() };
  }

  test("are ended when their owner is dead and they are known by their mark, and no others", async () => {
    using folder = tempFolder();
    const marks = [newMark(), newMark(), newMark()];
    const [orphan, owned, stranger] = [startSleeper(marks[0]!), startSleeper(marks[1]!), startSleeper("somebody's")];
    process.kill(orphan.pid, "SIGKILL"); // its first process only
    await new Promise((resolve) => setTimeout(resolve, 200));
    const host = hostname();
    folder.write(`server.${marks[0]}.json`, { host, pid: orphan.pid, owner: deadPid, mark: marks[0] });
    folder.write(`server.${marks[1]}.json`, { host, pid: owned.pid, owner: process.pid, mark: marks[1] });
    folder.write(`server.${marks[2]}.json`, { host, pid: stranger.pid, owner: deadPid, mark: marks[2] });
    expect(await endOrphans({ folder: folder.path })).toBe(1);
    await expect.poll(() => isProcessAlive(-orphan.pid), { timeout: 20_000 }).toBe(false);
    expect([owned, stranger].map(({ pid }) => isProcessAlive(-pid))).toEqual([true, true]);
    expect(readdirSync(folder.path)).toEqual([`server.${marks[1]}.json`]);
    for (const { pid, end } of [owned, stranger]) {
      end(); // as when whoever started them is gone
      await expect.poll(() => isProcessAlive(-pid), { timeout: 20_000 }).toBe(false);
    }
  });
});
