import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { axolotl } from "../../src/trainer/formats/axolotl.ts";
import { needsTokens } from "../../src/trainer/formats/format.ts";
import { trainerFormats } from "../../src/trainer/formats/index.ts";
import { llamaFactory } from "../../src/trainer/formats/llama-factory.ts";
import { trl } from "../../src/trainer/formats/trl.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { readExamples } from "../helpers/examples.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

const chat = [
  { role: "system", content: "You are a pirate." },
  { role: "user", content: "Name a fruit." },
  { role: "assistant", content: "Apple." },
  { role: "user", content: "And another?" },
  { role: "assistant", content: "Pear, arr." },
];

async function exampleOf(row: object) {
  using folder = tempFolder();
  const [example] = await readExamples(folder.write("rows.json", [row]));
  return example!;
}

describe("a chat of several turns", () => {
  test("reaches TRL as messages, and the last is learnt", async () => {
    expect(trl.row(await exampleOf({ messages: chat }), "chat")).toEqual({
      prompt: chat.slice(0, -1),
      completion: chat.slice(-1),
    });
  });

  test("reaches axolotl with the last of the assistant's turns marked", async () => {
    expect(axolotl.row(await exampleOf({ messages: chat }), "chat")).toEqual({
      messages: chat.map((message, i) => ({ ...message, train: i === chat.length - 1 })),
    });
  });

  test("reaches LLaMA-Factory with its system text and history", async () => {
    expect(llamaFactory.row(await exampleOf({ messages: chat }), "chat")).toEqual({
      instruction: "And another?",
      output: "Pear, arr.",
      system: "You are a pirate.",
      history: [["Name a fruit.", "Apple."]],
    });
    const takes = async (messages: readonly object[]) =>
      llamaFactory.takes!((await exampleOf({ messages })).conversation!, "chat");
    expect(await takes(chat)).toBe(true);
    expect(await takes([chat[1]!, chat[3]!, chat[4]!])).toBe(false); // two questions in a row
    expect(await takes([...chat.slice(1, 3), chat[0]!, ...chat.slice(3)])).toBe(false); // a system text in the middle
    expect(await takes((chat as object[]).with(2, { ...chat[2]!, reasoning_content: "Hm." }))).toBe(false); // reasoning apart
  });

  test("reaches TRL with the options of the chat template that the row names", async () => {
    const example = await exampleOf({ messages: chat, chat_template_kwargs: { enable_thinking: false, tools: null } });
    expect(trl.row(example, "chat")).toMatchObject({ chat_template_kwargs: { enable_thinking: false } });
    const single = await exampleOf({ messages: chat.slice(1, 3), chat_template_kwargs: { enable_thinking: true } });
    expect(trl.row(single, "chat")).toMatchObject({ chat_template_kwargs: { enable_thinking: true } });
  });

  test("turns that are marked not to be learnt are not, where a trainer can", async () => {
    const marked = await exampleOf({ messages: [chat[1], { ...chat[2], weight: 0 }, chat[3], chat[4]] });
    const trained = (row: object) =>
      (row as { messages: { role: string; train?: boolean }[] }).messages.map(({ train }) => train);
    expect(trained(axolotl.row(marked, "chat", "all"))).toEqual([false, false, false, true]);
    expect(trained(axolotl.row(marked, "chat", "last"))).toEqual([false, false, false, true]);
    expect(trl.row(marked, "chat", "all")).toMatchObject({ prompt: [{}, { train: false }, {}] });
    expect(needsTokens(marked, "all")).toBe(true);
    const answer = await exampleOf({ messages: [chat[1], { ...chat[2], train: false }] });
    expect([needsTokens(answer, "last"), trained(axolotl.row(answer, "chat", "last"))]).toEqual([true, [false, false]]);
  });

  test.each(Object.entries(trainerFormats))(
    "%s: a plain row is as before, and what was thought is learnt as written",
    async (_, format) => {
      const written = "<think>Hm.</think>Pear.";
      for (const template of ["alpaca", "chat"] as const) {
        const row = JSON.stringify(
          format.row(await exampleOf({ instruction: "Name.", input: "now", output: written }), template),
        );
        expect(row).toContain(JSON.stringify(written));
        expect(row).not.toContain("reasoning_content");
      }
      const plain = { messages: [chat[1], chat[2]] };
      expect(JSON.stringify(format.row(await exampleOf(plain), "chat"))).not.toContain('"train"');
    },
  );
});

test("rows that are held out have no twin among those that are learnt", async () => {
  using folder = tempFolder();
  const rows = Array.from({ length: 60 }, (_, i) => ({ instruction: `q ${i % 20}`, input: "", output: `a ${i % 20}` }));
  folder.write("rows.json", rows);
  await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "60"]);
  await prepare(folder.path, ["train", "--recipe", "laptop", "--dry-run", "--validation", "20%"]);
  const read = (name: string) =>
    readFileSync(`${folder.path}/runs/default/models/selected/data/${name}.jsonl`, "utf8").trim().split("\n");
  const [learnt, heldOut] = [read("train"), read("validation")];
  expect([learnt.length, heldOut.length]).toEqual([48, 12]);
  expect(heldOut.filter((line) => learnt.includes(line))).toEqual([]);
});

describe("what a training cannot carry stops it, with its count", () => {
  const tool = { role: "tool", content: "no", tool_call_id: "c" };
  test.each([
    [
      "several turns, by the Alpaca prompt",
      { messages: chat },
      "alpaca",
      /got 2 rows with a system text, several turns/,
    ],
    [
      "calls of tools",
      { messages: [...chat.slice(0, -1), tool, chat.at(-1)] },
      "alpaca",
      /got 2 rows that offer or call them/,
    ],
    [
      "options of the chat template, by the Alpaca prompt",
      { messages: chat.slice(1, 3), chat_template_kwargs: { enable_thinking: false } },
      "alpaca",
      /got 2 rows with chat_template_kwargs/,
    ],
    [
      "turns that are not to be learnt, by LLaMA-Factory",
      { messages: [chat[1], { ...chat[2], weight: 0 }, chat[3], chat[4]] },
      "chat",
      /got 2 rows with turns marked not to be \(weight 0\), .* or with --loss last/,
      "llama-factory",
    ],
    [
      "no question",
      { messages: [chat[0], chat[2]] },
      "chat",
      /a user's turn before the answer in every row, got 2 rows/,
    ],
  ] as const)("%s", async (_, row, template, message, trainer: string = "trl") => {
    using folder = tempFolder();
    folder.write("rows.json", [row, row]);
    await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "2"]);
    const args = ["train", "--recipe", "laptop", "--template", template, "--trainer", trainer, "--dry-run"];
    const { code, stderr } = await alpagasus(args, { cwd: folder.path });
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

test("a plan that does not fit leaves what is in the folder, and counts the rows", async () => {
  using folder = tempFolder();
  const rows = Array.from({ length: 20 }, (_, i) => {
    const asked = { role: "user", content: `Ask ${i}` };
    return `${JSON.stringify({ messages: [asked, ...(i % 5 === 0 ? [asked] : []), { role: "assistant", content: `${i}`.repeat(50) }] })}\n`;
  });
  folder.write("rows.jsonl", rows.join(""));
  await prepare(folder.path, ["rate", "rows.jsonl"], ["select", "--top", "20"]);
  const plan = ["train", "--recipe", "alpagasus2-qlora-7b", "--template", "chat", "--dry-run"];
  await prepare(folder.path, plan);
  const before = readdirSync(`${folder.path}/runs/default/models/selected`);
  const { code, stderr } = await alpagasus([...plan, "--trainer", "llama-factory"], { cwd: folder.path });
  expect([code, stderr]).toEqual([2, expect.stringMatching(/one after the other.* got 4 rows with others/)]);
  expect(readdirSync(`${folder.path}/runs/default/models/selected`)).toEqual(before);
  const nodes = await alpagasus([...plan, "--trainer", "axolotl", "--gpus", "8", "--nodes", "2"], { cwd: folder.path });
  expect([nodes.code, nodes.stderr]).toEqual([
    2,
    expect.stringContaining("--nodes: expected one machine for --trainer axolotl"),
  ]);
});

test("reasoning counts among the tokens of a plan", async () => {
  using folder = tempFolder();
  const reasoning = "I think of pears and of apples. ".repeat(40);
  const chatOf = (more: object) => ({ messages: [chat[1], { role: "assistant", content: "Pear.", ...more }] });
  folder.write("apart.jsonl", `${JSON.stringify(chatOf({ reasoning_content: reasoning }))}\n`.repeat(10));
  folder.write(
    "within.jsonl",
    `${JSON.stringify(chatOf({ content: `<think>${reasoning}</think>Pear.` }))}\n`.repeat(10),
  );
  for (const name of ["apart", "within"]) {
    await prepare(folder.path, ["rate", `${name}.jsonl`, "--run", name], ["select", "--top", "10", "--run", name]);
    const plan = [
      "train",
      "--recipe",
      "laptop",
      "--template",
      "chat",
      "--max-length",
      "8192",
      "--dry-run",
      "--json",
      "--run",
      name,
    ];
    const { stdout } = await alpagasus(plan, { cwd: folder.path });
    expect((JSON.parse(stdout) as { tokens: { expected: number } }).tokens.expected).toBeGreaterThan(1000);
  }
});
