import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openPairRubric } from "../../src/rubric/open-rubric.ts";
import { createPairRenderer } from "../../src/rubric/render.ts";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { ComparisonSummary } from "../../src/run/records/comparison.ts";
import type { PairVerdict } from "../../src/comparison/verdict.ts";
import { startBatchServer } from "../helpers/batch-server.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { startModelServer, type Asked } from "../helpers/model-server.ts";
import { describeWithSharedData, sharedData } from "../helpers/shared-data.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* Test prompts of several turns: the model answers one after the other, and each turn is judged, or the last. */

const prompts = Array.from({ length: 6 }, (_, i) => ({
  id: i,
  set: "talks",
  turns: [`First ${i}?`, `Second ${i}?`, `Third ${i}?`].slice(0, i % 2 === 0 ? 3 : 2),
}));

interface Line {
  readonly id: string;
  readonly state: string;
  readonly output: string | null;
  readonly outputs: readonly string[];
}

interface Message {
  readonly role: string;
  readonly content: string;
}

const messagesOf = ({ body }: Asked) => body["messages"] as readonly Message[];
const answersOf = (folder: TempFolder, name: string) =>
  parseLines<Line>(readFileSync(`${folder.path}/runs/default/answers/${name}.jsonl`, "utf8"));

/** Answers by what the last turn asks and how often it has answered, with reasoning before it. */
const replyTo = (messages: readonly Message[]) =>
  `<think>thoughts</think>\nReply ${messages.filter(({ role }) => role === "assistant").length + 1} to ${messages.at(-1)!.content}`;

describe("prompts of several turns", () => {
  test("are answered one after the other, with the model's own earlier answers before", async () => {
    const asked: (readonly Message[])[] = [];
    await using server = await startModelServer({
      answer: (question) => {
        asked.push(messagesOf(question));
        return replyTo(messagesOf(question));
      },
    });
    using folder = tempFolder();
    folder.write("talks.json", prompts);
    const args = ["generate", "--model", server.judge, "--name", "m", "--tests", "talks.json", "--json"];
    const plan = await alpagasus([...args, "--dry-run"], { cwd: folder.path });
    expect(JSON.parse(plan.stdout)).toMatchObject({ calls: { left: 15 } });
    const { code, stdout, stderr } = await alpagasus(args, { cwd: folder.path });
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ calls: { made: 15 }, sets: [{ prompts: 6, answered: 6 }] });
    const third = asked.find((messages) => messages.at(-1)!.content === "Third 2?")!;
    expect(third).toEqual([
      { role: "user", content: "First 2?" },
      { role: "assistant", content: "Reply 1 to First 2?" },
      { role: "user", content: "Second 2?" },
      { role: "assistant", content: "Reply 2 to Second 2?" },
      { role: "user", content: "Third 2?" },
    ]);
    const lines = answersOf(folder, "m");
    expect(lines.map(({ id, outputs }) => [id, outputs.length])).toEqual(
      prompts.map(({ id, turns }) => [String(id), turns.length]),
    );
    expect(lines[1]).toMatchObject({ state: "answered", outputs: ["Reply 1 to First 1?", "Reply 2 to Second 1?"] });
    const again = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as AnswersSummary;
    expect(again.calls).toMatchObject({ made: 0 });
    expect(server.log).toHaveLength(15);
  });

  test("whose turn fails are asked no further, and the others are", async () => {
    await using server = await startModelServer({
      answer: (question) =>
        messagesOf(question).at(-1)!.content === "Second 0?"
          ? { kind: "status", status: 400, message: "too long: maximum context length" }
          : replyTo(messagesOf(question)),
    });
    using folder = tempFolder();
    folder.write("talks.json", prompts);
    const { stdout } = await alpagasus(
      ["generate", "--model", server.judge, "--name", "m", "--tests", "talks.json", "--json"],
      { cwd: folder.path },
    );
    expect(JSON.parse(stdout)).toMatchObject({ sets: [{ answered: 5, failed: 1 }] });
    expect(answersOf(folder, "m")[0]).toMatchObject({
      state: "failed",
      output: null,
      outputs: ["Reply 1 to First 0?"],
    });
  });

  test("are asked in batches, a turn after the other", async () => {
    await using server = await startBatchServer({
      fate: ({ user }) => ({ kind: "reply", text: `Answer to ${user.slice(-12)}` }),
    });
    using folder = tempFolder();
    folder.write("talks.json", prompts);
    const { code, stdout, stderr } = await alpagasus(
      ["generate", "--model", "openai:gpt-4o-mini", "--name", "m", "--tests", "talks.json", "--batch", "--json"],
      { cwd: folder.path, env: server.environment },
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ calls: { made: 15 }, sets: [{ answered: 6 }] });
    expect(server.direct.count).toBe(0);
  });

  test("are compared turn by turn or at the last, in conversations of their own", async () => {
    const seen: string[] = [];
    await using server = await startModelServer({
      answer: (question) => {
        if (!question.user.includes("Assistant A"))
          return `${replyTo(messagesOf(question))} by ${question.body["model"] as string}`;
        seen.push(question.user);
        return "Because. [[A]]";
      },
    });
    using folder = tempFolder();
    folder.write("talks.json", prompts);
    for (const name of ["one", "two"])
      await alpagasus(
        ["generate", "--model", server.judge.replace("test-model", name), "--name", name, "--tests", "talks.json"],
        {
          cwd: folder.path,
        },
      );
    const args = ["compare", "one", "two", "--judge", server.judge, "--rubric", "mt-bench", "--json"];
    const each = JSON.parse((await alpagasus(args, { cwd: folder.path })).stdout) as ComparisonSummary;
    expect(each.pooled).toMatchObject({ pairs: 15, counts: { tie: 15 } }); // the first answer wins in both orders
    expect(each.notes.join()).toContain("the turns of one conversation count as one prompt");
    const verdicts = parseLines<PairVerdict>(readFileSync(each.verdictsPath!.replace(/^/, `${folder.path}/`), "utf8"));
    expect(verdicts[1]).toMatchObject({
      id: "0 turn 2",
      prompt: "0",
      dialogues: [
        [{}, {}],
        [{}, {}],
      ],
    });
    const second = seen.find((text) => text.includes("Second 2?") && !text.includes("Third"))!;
    expect(second).toContain("### User:\nFirst 2?\n\n### Assistant A:\n");
    const last = JSON.parse(
      (await alpagasus([...args, "--turns", "last", "--run", "runs/last"], { cwd: folder.path })).stdout || "null",
    ) as ComparisonSummary | null;
    expect(last).toBeNull(); // that run has no answers of these names
    const again = JSON.parse(
      (await alpagasus([...args, "--turns", "last", "--overwrite"], { cwd: folder.path })).stdout,
    ) as ComparisonSummary;
    expect(again.pooled).toMatchObject({ pairs: 6 });
    expect(again.calls).toMatchObject({ made: 0, stored: 12 });
  });

  test("are refused for a model whose prompt has room for one", async () => {
    await using server = await startModelServer();
    using folder = tempFolder();
    folder.write("talks.json", prompts);
    const { code, stderr } = await alpagasus(
      ["generate", "--model", server.judge, "--template", "alpaca", "--tests", "talks.json"],
      { cwd: folder.path },
    );
    expect([code, stderr]).toEqual([2, expect.stringContaining("expected prompts of one turn")]);
    expect(server.log).toHaveLength(0);
  });
});

describeWithSharedData("MT-Bench", () => {
  const published = () =>
    new Map(
      parseLines<{ name: string; system_prompt: string; prompt_template: string }>(
        readFileSync(sharedData("protocol/mt-bench-prompts.jsonl"), "utf8"),
      ).map((prompt) => [prompt.name, prompt]),
    );
  const dialogues = [
    [
      { question: "Q1", answer: "a1" },
      { question: "Q2", answer: "a2" },
    ],
    [
      { question: "Q1", answer: "b1" },
      { question: "Q2", answer: "b2" },
    ],
  ] as const;
  const texts: Record<string, string> = {
    question: "Q1",
    answer_a: "a1",
    answer_b: "b1",
    question_1: "Q1",
    question_2: "Q2",
    answer_a_1: "a1",
    answer_a_2: "a2",
    answer_b_1: "b1",
    answer_b_2: "b2",
    ref_answer_1: "r1",
    ref_answer_2: "r2",
  };
  const first = { instruction: "Q1", input: "", answers: ["a1", "b1"] as const };
  const second = { instruction: "Q1\n\nQ2", input: "", answers: ["a2", "b2"] as const, dialogues };

  test.each([
    ["pair-v2", { ...first, category: "writing", references: ["r1"] }],
    ["pair-v2-multi-turn", { ...second, category: "writing", references: ["r1", "r2"] }],
    ["pair-math-v1", { ...first, category: "math", references: ["r1"] }],
    ["pair-math-v1-multi-turn", { ...second, category: "math", references: ["r1", "r2"] }],
  ])("%s is written word for word", async (name, pair) => {
    const { system_prompt: system, prompt_template: template } = published().get(name)!;
    const { messages } = createPairRenderer(await openPairRubric("mt-bench"))(pair);
    const written = template.replaceAll(/\{(\w+)\}/g, (_, field: string) => texts[field]!);
    expect(messages.map(({ text }) => text)).toEqual([system, written]);
  });

  test("has 80 questions of two turns", async () => {
    using folder = tempFolder();
    await using server = await startModelServer({ answer: (question) => replyTo(messagesOf(question)) });
    const { stdout } = await alpagasus(
      ["generate", "--model", server.judge, "--name", "m", "--tests", "mt-bench", "--json"],
      { cwd: folder.path },
    );
    expect(JSON.parse(stdout)).toMatchObject({
      calls: { made: 160 },
      sets: [{ set: "mt-bench", prompts: 80, answered: 80 }],
    });
  });

  test("answers of MT-Bench, Arena-Hard and LLaMA-Factory are read beside their questions", async () => {
    using folder = tempFolder();
    const answer = (model: string, i: number) => [
      {
        question_id: 81 + i,
        model_id: model,
        choices: [{ index: 0, turns: [`${model} first ${i}`, `${model} second ${i}`] }],
      },
      {
        question_id: `q${i}`,
        model_id: model,
        choices: [{ index: 0, turns: [{ content: `${model} says ${i}`, token_len: 5 }] }],
      },
      { prompt: `<|im_start|>user\nExplain topic ${i}.<|im_end|>\n`, predict: `${model} ${i}`, label: "x" },
    ];
    const kinds = ["mt", "ah", "lf"];
    for (const model of ["ma", "mb"])
      for (const [kind, name] of kinds.entries())
        folder.write(
          `${model}-${name}.jsonl`,
          Array.from({ length: 4 }, (_, i) => JSON.stringify(answer(model, i)[kind])).join("\n"),
        );
    folder.write(
      "topics.json",
      Array.from({ length: 4 }, (_, i) => ({ id: `q${i}`, question: `Explain topic ${i}.` })),
    );
    folder.write(
      "others.json",
      Array.from({ length: 4 }, (_, i) => ({ id: `x${i}`, question: `Other ${i}` })),
    );
    const run = (name: string, ...more: string[]) =>
      alpagasus(["compare", `ma-${name}.jsonl`, `mb-${name}.jsonl`, "--run", `runs/${name}`, "--json", ...more], {
        cwd: folder.path,
      });
    for (const [name, questions, pairs] of [
      ["mt", "mt-bench", 8],
      ["ah", "topics.json", 4],
      ["lf", "topics.json", 4],
    ] as const) {
      const { code, stdout, stderr } = await run(name, "--questions", questions);
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ pooled: { pairs } });
      expect((await run(name)).stderr).toContain("--questions mt-bench");
      expect((await run(name, "--questions", "others.json")).code).toBe(2);
    }
  });
});
