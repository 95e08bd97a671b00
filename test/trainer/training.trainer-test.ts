import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Example } from "../../src/dataset/example.ts";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { TrainSummary } from "../../src/run/records/training.ts";
import { toMessages } from "../../src/dataset/messages.ts";
import { alpagasus, prepare, startAlpagasus } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { trainerPython as python } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

const here = fileURLToPath(new URL("./", import.meta.url));

const rows = ["red", "blue", "green", "black", "white", "pink", "brown", "grey", "gold", "cyan"].flatMap(
  (colour, i) => [
    { instruction: `Name a thing that is ${colour}.`, input: "", output: `A ${colour} hat, number ${i}.` },
    { instruction: `Repeat the colour ${i} times.`, input: colour, output: `${colour} ${colour} and so on` },
  ],
);

const common = {
  version: 1,
  description: "for the tests",
  source: "made up",
  base: "tiny",
  template: "alpaca",
  epochs: 40,
  global_batch: 4,
  max_length: 256,
  schedule: "cosine",
  warmup: 0.03,
  weight_decay: 0,
  precision: "fp32",
  hardware: { gpu: "none", gpus: 0 },
};
const lora = {
  r: 32,
  alpha: 64,
  dropout: 0,
  targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
};
const recipes = {
  full: { ...common, name: "full", method: "full", sharding: "none", learning_rate: 0.003 },
  fsdp: { ...common, name: "fsdp", method: "full", sharding: "fsdp", learning_rate: 0.003 },
  lora: { ...common, name: "lora", method: "lora", sharding: "none", learning_rate: 0.004, lora },
  qlora: {
    ...common,
    name: "qlora",
    method: "qlora",
    sharding: "none",
    learning_rate: 0.004,
    lora,
    quantisation: { type: "nf4", nested: true },
  },
};

let folder: TempFolder;
const at = (name: string) => `${folder.path}/runs/default/models/${name}`;

beforeAll(async () => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  folder.write(
    "taught.json",
    rows.map(({ instruction, input }, i) => ({ id: i, set: "taught", instruction, input })),
  );
  for (const [name, recipe] of Object.entries(recipes)) folder.write(`${name}.yaml`, stringify(recipe));
  await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "20"]);
  python(`${here}tiny.py`, ["rows.json", "tiny"], "", folder.path);
});
afterAll(() => folder[Symbol.dispose]());

async function train(...args: string[]): Promise<TrainSummary> {
  const { code, stdout, stderr } = await alpagasus(["train", ...args, "--json"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
  return JSON.parse(stdout) as TrainSummary;
}

async function generate(...args: string[]): Promise<AnswersSummary> {
  const { code, stdout, stderr } = await alpagasus(["generate", ...args, "--json"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))]).toEqual([0, []]);
  return JSON.parse(stdout) as AnswersSummary;
}

function readAnswers(name: string): { output: string | null; state: string; call: string }[] {
  return parseLines(readFileSync(`${folder.path}/runs/default/answers/${name}.jsonl`, "utf8"));
}

interface State {
  readonly log_history: readonly Record<string, number>[];
  readonly global_step: number;
}

function lastState(name: string): State {
  const checkpoint = readdirSync(`${at(name)}/output`)
    .filter((entry) => entry.startsWith("checkpoint-"))
    .toSorted((a, b) => Number(a.slice(11)) - Number(b.slice(11)))
    .at(-1)!;
  return JSON.parse(readFileSync(`${at(name)}/output/${checkpoint}/trainer_state.json`, "utf8")) as State;
}

/** Processes that work in the folder of these tests, or below it. */
function processesThere(): string[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder.path);
      } catch {
        return false; // it has ended, or is somebody else's
      }
    });
}

describe.each(Object.keys(recipes))("%s", (name) => {
  test("trains, saves, passes its checks, is served, and repeats what it was taught", async () => {
    const summary = await train(
      "--recipe",
      `${name}.yaml`,
      "--model",
      name,
      ...(name === "fsdp" ? ["--processes", "2"] : []),
    );
    expect(summary.steps).toBe(200);
    expect(summary.checks.map(({ held, message }) => [held, message])).toEqual(
      summary.checks.map(({ message }) => [true, message]),
    );
    expect(summary.finalLoss!).toBeLessThan(0.2);
    expect(summary.trainMs).toBeGreaterThan(summary.startMs); // what is paid by the hour, not its beginning alone
    expect(summary.tokens).toBe(Math.max(...lastState(name).log_history.map(({ num_tokens: seen = 0 }) => seen))); // the trainer's own count
    expect(summary.unlabelledRows).toEqual([]);
    const answered = await generate("--model", `models/${name}`, "--tests", "taught.json");
    const answers = readAnswers(name);
    const right = answers.filter(({ output }, i) => output === rows[i]!.output).length;
    console.log(
      `${name}: ${right} of ${rows.length} answers word for word, last loss ${summary.finalLoss!.toFixed(4)}; served after ${answered.server!.startMs} ms`,
    );
    expect(right).toBeGreaterThanOrEqual(18);
    expect(answers.every(({ state }) => state === "answered")).toBe(true); // each has ended by itself
    expect(answered.server!.parity).toContain("the server reads 8 training prompts as in training");
    await expect.poll(processesThere, { timeout: 30_000 }).toEqual([]);
  });

  test("the optimiser saw the recipe: a cosine with 3 % warm-up", () => {
    const history = lastState(name).log_history.filter((entry) => entry["loss"] !== undefined);
    const highest = recipes[name as keyof typeof recipes].learning_rate;
    expect(history).toHaveLength(200);
    const warmup = Math.ceil(0.03 * 200);
    for (const { step, learning_rate: rate } of history) {
      const before = step! - 1; // the rate of a step is set before it
      const wanted =
        before < warmup
          ? (highest * before) / warmup
          : (highest / 2) * (1 + Math.cos((Math.PI * (before - warmup)) / (200 - warmup)));
      expect(rate!).toBeCloseTo(wanted, 9);
    }
  });
});

test("a global batch takes the steps that it implies, however it is put together", async () => {
  const args = ["--recipe", "full.yaml", "--epochs", "3", "--global-batch", "8"];
  const one = await train(...args, "--model", "batch-1", "--device-batch", "2");
  const other = await train(...args, "--model", "batch-2", "--device-batch", "8");
  expect([one.steps, other.steps]).toEqual([9, 9]);
  expect(one.finalLoss!).toBeCloseTo(other.finalLoss!, 2);
});

test("killed and started again, it resumes from the last checkpoint to the same end", async () => {
  const args = ["train", "--recipe", "full.yaml", "--model", "killed", "--epochs", "160"];
  const log = `${at("killed")}/log.txt`;
  for (let kills = 0; kills < 2; kills++) {
    const seen = existsSync(log) ? readFileSync(log, "utf8").length : 0;
    const running = startAlpagasus(args, { cwd: folder.path, env: pythonEnvironment });
    await expect
      .poll(
        () =>
          existsSync(log)
            ? (
                readFileSync(log, "utf8")
                  .slice(seen)
                  .match(/'loss'/g) ?? []
              ).length
            : 0,
        { timeout: 900_000, interval: 50 },
      )
      .toBeGreaterThan(100 + 60 * kills);
    const wereThere = processesThere().length;
    running.kill("SIGKILL");
    await running.ended;
    expect(wereThere).toBeGreaterThan(0);
    await expect.poll(processesThere, { timeout: 30_000 }).toEqual([]);
  }
  const summary = await train("--recipe", "full.yaml", "--model", "killed", "--epochs", "160");
  expect(summary.steps).toBe(800);
  expect(summary.attempts).toBe(3);
  const { tokens } = JSON.parse(readFileSync(`${at("killed")}/rows.json`, "utf8")) as { tokens: number };
  expect(summary.tokens).toBe(160 * tokens);
  const losses = lastState("killed").log_history.filter((entry) => entry["loss"] !== undefined);
  expect(losses.map(({ step }) => step)).toEqual(Array.from({ length: 800 }, (_, i) => i + 1));
  expect(readFileSync(log, "utf8").match(/alpagasus: training/g)).toHaveLength(3);
  const again = await train("--recipe", "full.yaml", "--model", "killed", "--epochs", "160");
  expect(again).toEqual(summary); // trained is trained
}, 2_400_000); // some 100 s where nothing else runs

test("Ctrl-C stops it at once, and nothing is left running", async () => {
  const running = startAlpagasus(["train", "--recipe", "full.yaml", "--model", "stopped", "--epochs", "4000"], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  const log = `${at("stopped")}/log.txt`;
  await expect
    .poll(() => existsSync(log) && readFileSync(log, "utf8").includes("'loss'"), { timeout: 300_000 })
    .toBe(true);
  expect(processesThere().length).toBeGreaterThan(0);
  const other = await alpagasus(
    ["train", "--recipe", "full.yaml", "--model", "stopped", "--epochs", "3", "--overwrite"],
    {
      cwd: folder.path,
      env: pythonEnvironment,
    },
  );
  expect([other.code, other.stderr]).toEqual([
    2,
    expect.stringMatching(/expected a training that no other process runs, process \d+ does/),
  ]);
  running.kill("SIGINT");
  expect((await running.ended).code).toBe(130);
  await expect.poll(processesThere).toEqual([]);
});

describe("a server", () => {
  const args = ["generate", "--model", "lora", "--tests", "vicuna", "--name", "stopped"];
  const serverRecords = () => readdirSync(`${folder.path}/runs/default`).filter((name) => name.startsWith("server."));

  test("ends with Ctrl-C, and with kill -9 of what started it; run the same command to continue", async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGKILL", null],
    ] as const) {
      const running = startAlpagasus(args, { cwd: folder.path, env: pythonEnvironment });
      await expect.poll(serverRecords, { timeout: 120_000 }).toHaveLength(1);
      await new Promise((resolve) => setTimeout(resolve, 2_000)); // it is starting
      expect(processesThere().length).toBeGreaterThan(2);
      running.kill(signal);
      expect((await running.ended).code).toBe(code);
      await expect.poll(processesThere, { timeout: 30_000 }).toEqual([]);
    }
    const summary = await generate(...args.slice(1), "--limit", "3", "--max-output-tokens", "20");
    expect(summary.sets).toMatchObject([{ set: "vicuna", prompts: 3 }]);
    expect(serverRecords()).toEqual([]);
    const again = await generate(...args.slice(1), "--limit", "3", "--max-output-tokens", "20");
    expect(again.calls).toMatchObject({ made: 0, stored: 3 }); // no server was needed
    expect(again.wallMs).toBeLessThan(summary.server!.startMs);
  });

  test("that reads prompts otherwise than they were trained with is not asked", async () => {
    const path = `${at("full")}/output/chat_template.jinja`;
    const template = readFileSync(path, "utf8");
    writeFileSync(path, `Another beginning. ${template}`);
    const { code, stderr } = await alpagasus(
      ["generate", "--model", "full", "--tests", "taught.json", "--name", "other-template"],
      { cwd: folder.path, env: pythonEnvironment },
    );
    writeFileSync(path, template);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /full: expected the server to read the prompt of training row 1 as the \d+ tokens of training, got \d+ tokens/,
    );
    await expect.poll(processesThere, { timeout: 30_000 }).toEqual([]);
  });
});

test("a tokenizer that begins every text with a token of its own begins the prompt with it", () => {
  const from = at("lora");
  const to = `${folder.path}/begins`;
  cpSync(from, to, { recursive: true });
  cpSync(`${folder.path}/tiny`, `${folder.path}/tiny-begins`, { recursive: true });
  const path = `${folder.path}/tiny-begins/tokenizer.json`;
  const tokenizer = JSON.parse(readFileSync(path, "utf8")) as object;
  const post = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  };
  writeFileSync(path, JSON.stringify({ ...tokenizer, post_processor: post }));
  const settings = JSON.parse(readFileSync(`${to}/training.json`, "utf8")) as object;
  writeFileSync(`${to}/training.json`, JSON.stringify({ ...settings, base: `${folder.path}/tiny-begins` }));
  const promptsIn = (place: string) =>
    (JSON.parse(readFileSync(`${place}/rows.json`, "utf8")) as { prompts: number[][] }).prompts;
  for (let times = 0; times < 2; times++) {
    python("rows.py", [], "", to);
    expect(promptsIn(to)).toEqual(promptsIn(from).map((tokens) => [1, ...tokens]));
  }
});

test("prompts of real rows are the trainer's own tokens, whichever way they are made", () => {
  const sample = fileURLToPath(new URL("../../samples/alpaca-2000.json", import.meta.url));
  const real = (JSON.parse(readFileSync(sample, "utf8")) as Example[]).slice(0, 200);
  const lines = real.map((row) => JSON.stringify(toMessages(row, "alpaca"))).join("\n");
  mkdirSync(`${folder.path}/parity`);
  writeFileSync(`${folder.path}/parity/train.jsonl`, lines);
  const found = JSON.parse(python(`${here}parity.py`, [at("full"), `${folder.path}/parity`], "", folder.path)) as {
    rows: number;
    equal: number;
  };
  expect(found).toEqual({ rows: 200, equal: 200 });
});

test("a chat of several turns with a system text is learnt as it is: the last answer, given all before it", async () => {
  cpSync(`${folder.path}/tiny`, `${folder.path}/tiny-chat`, { recursive: true });
  writeFileSync(
    `${folder.path}/tiny-chat/chat_template.jinja`,
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}",
  );
  const chats = ["red", "blue", "green", "black", "white", "pink", "gold", "cyan"].map((colour, i) => ({
    messages: [
      { role: "system", content: "You are a pirate." },
      { role: "user", content: `Name a thing that is ${colour}.` },
      { role: "assistant", content: `A ${colour} hat.` },
      { role: "user", content: "And another?" },
      { role: "assistant", content: `A ${colour} hat, number ${i}.` },
    ],
  }));
  folder.write("chats.json", chats);
  const run = ["--run", "runs/chat"];
  await prepare(folder.path, ["rate", "chats.json", ...run], ["select", "--top", "8", ...run]);
  const alpaca = await alpagasus(["train", "--recipe", "full.yaml", ...run], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect([alpaca.code, alpaca.stderr]).toEqual([
    2,
    expect.stringMatching(/got 8 rows with a system text, several turns/),
  ]);
  const chat = [
    "--base",
    "tiny-chat",
    "--template",
    "chat",
    "--loss",
    "last",
    "--epochs",
    "60",
    "--model",
    "chat",
    ...run,
  ];
  await train("--recipe", "full.yaml", ...chat);
  const model = `${folder.path}/runs/chat/models/chat`;
  const written = parseLines<{ prompt: object[]; completion: object[] }>(
    readFileSync(`${model}/data/train.jsonl`, "utf8"),
  );
  expect(written.map(({ prompt, completion }) => [...prompt, ...completion])).toEqual(
    chats.map(({ messages }) => messages),
  );
  const found = JSON.parse(python(`${here}chat.py`, [model])) as { right: number; rows: number; labels: number };
  expect(found).toMatchObject({ right: 8, rows: 8 });
  expect(JSON.parse(readFileSync(`${model}/rows.json`, "utf8"))).toMatchObject({
    labels: found.labels,
    unlabelled: [],
  });
  const answered = await generate("--model", "models/chat", "--tests", "taught.json", "--limit", "1", ...run);
  expect(answered.server!.parity).toContain("the server reads 8 training prompts as in training");
});

test("all turns of chats with tools and reasoning are learnt, and answered word for word turn by turn", async () => {
  cpSync(`${folder.path}/tiny`, `${folder.path}/tiny-tools`, { recursive: true });
  const template = (tools: string, calls: string) =>
    `${tools}{% if brief %}[brief]{% endif %}{% for message in messages %}<{{ message['role'] }}> {% if message.reasoning_content %}({{ message.reasoning_content }}) {% endif %}{{ message['content'] }}${calls}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}`;
  const calls =
    "{% for call in message.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments.colour }}]{% endfor %}";
  const file = `${folder.path}/tiny-tools/chat_template.jinja`;
  const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object" } } }];
  const plain = ["red", "blue", "green", "black", "white", "pink"].map((colour, i) => ({
    messages: [
      { role: "user", content: `Name a thing that is ${colour}.` },
      { role: "assistant", content: `A ${colour} hat.` },
      { role: "user", content: "And another?" },
      { role: "assistant", content: `Number ${i}, a ${colour} shoe.` },
    ],
  }));
  const called = ["gold", "cyan"].map((colour) => ({
    messages: [
      { role: "system", content: "You look things up." },
      { role: "user", content: `Is ${colour} a colour?` },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ type: "function", function: { name: "look_up", arguments: JSON.stringify({ colour }) } }],
        ...(colour === "cyan" && { weight: 0 }), // not to be learnt
      },
      { role: "tool", content: `${colour}: yes` },
      { role: "assistant", content: `Yes, ${colour} is.`, reasoning_content: "The tool says yes." },
    ],
    tools,
    ...(colour === "cyan" && { chat_template_kwargs: { brief: true } }),
  }));
  folder.write("tools.jsonl", [...plain, ...called].map((row) => JSON.stringify(row)).join("\n"));
  const run = ["--run", "runs/tools"];
  await prepare(folder.path, ["rate", "tools.jsonl", ...run], ["select", "--top", "8", ...run]);
  const args = ["--base", "tiny-tools", "--template", "chat", "--epochs", "50", "--model", "tools", ...run];

  writeFileSync(file, template("", calls)); // it does not write the tools that are offered
  const blind = await alpagasus(["train", "--recipe", "full.yaml", ...args], {
    cwd: folder.path,
    env: pythonEnvironment,
  });
  expect([blind.code, blind.stderr]).toEqual([
    1,
    expect.stringMatching(/leaves out the tools that are offered \(2 of 8 rows\)/),
  ]);

  writeFileSync(file, template("{% if tools %}{{ tools | tojson }}\n{% endif %}", calls));
  await train("--recipe", "full.yaml", ...args, "--overwrite");
  const model = `${folder.path}/runs/tools/models/tools`;
  const made = JSON.parse(python(`${here}labels.py`, [model])) as { whole: string; learnt: string[] }[];
  expect(made.map(({ learnt }) => learnt)).toEqual([
    ...plain.map(({ messages }) => [`${messages[1]!.content}</s>`, `${messages[3]!.content}</s>`]),
    ["[look_up gold]</s>", "(The tool says yes.) Yes, gold is.</s>"],
    ["(The tool says yes.) Yes, cyan is.</s>"],
  ]);
  expect(made[6]!.whole).toContain('"name": "look_up"');
  expect(made.map(({ whole }) => whole.includes("[brief]"))).toEqual([...Array<boolean>(7).fill(false), true]);
  folder.write(
    "talks.json",
    plain.map(({ messages }, id) => ({ id, set: "talks", turns: [messages[0]!.content, messages[2]!.content] })),
  );
  const answered = await generate("--model", "models/tools", "--tests", "talks.json", ...run);
  expect(answered.server!.parity).toMatch(/the server reads 8 training prompts as in training, 2 of them with tools/);
  const answers = parseLines<{ outputs: string[] }>(
    readFileSync(`${folder.path}/runs/tools/answers/tools.jsonl`, "utf8"),
  );
  expect(answers.map(({ outputs }) => outputs)).toEqual(
    plain.map(({ messages }) => [messages[1]!.content, messages[3]!.content]),
  );
});

describe("the check finds", () => {
  const check = (name: string): Record<string, string> => {
    python("check.py", [], "", at(name));
    const checks = JSON.parse(readFileSync(`${at(name)}/checks.json`, "utf8")) as TrainSummary["checks"];
    return Object.fromEntries(checks.filter(({ held }) => !held).map((failed) => [failed.name, failed.message]));
  };

  test("an adapter that is all zeros", () => {
    const path = `${at("lora")}/output/adapter_model.safetensors`;
    const bytes = readFileSync(path);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const zeroed = Buffer.from(bytes);
    zeroed.fill(0, start);
    writeFileSync(path, zeroed);
    expect(check("lora")).toMatchObject({
      weights: expect.stringContaining("all zeros") as string,
      "loss after loading": expect.any(String) as string,
    });
    writeFileSync(path, bytes);
    expect(check("lora")).toEqual({});
  });

  test("weights that are missing", () => {
    const output = `${at("full")}/output`;
    renameSync(`${output}/model.safetensors`, `${output}/model.away`);
    expect(check("full")["weights"]).toContain("expected weights");
    const index = `${output}/model.safetensors.index.json`;
    writeFileSync(index, JSON.stringify({ weight_map: { "lm_head.weight": "model-00002-of-00002.safetensors" } }));
    expect(check("full")["weights"]).toContain("expected the shard model-00002-of-00002.safetensors");
    rmSync(index);
    renameSync(`${output}/model.away`, `${output}/model.safetensors`);
  });

  test("a chat template that is missing, or another one", () => {
    const path = `${at("full")}/output/chat_template.jinja`;
    const template = readFileSync(path, "utf8");
    rmSync(path);
    expect(check("full")["chat template"]).toContain("without its chat template");
    writeFileSync(path, template);
    appendFileSync(path, "{{ ' ' }}");
    expect(check("full")["chat template"]).toContain("not the one");
    writeFileSync(path, template);
    expect(check("full")).toEqual({});
  });
});

test("a failure of the trainer is one line with its own last words and advice", async () => {
  folder.write("broken/config.json", { model_type: "llama" });
  const { code, stderr } = await alpagasus(
    ["train", "--recipe", "full.yaml", "--base", "broken", "--model", "broken"],
    { cwd: folder.path, env: pythonEnvironment },
  );
  expect(code).toBe(1);
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => line.startsWith("alpagasus:"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("log.txt: the trainer ended with code 1");
  expect(lines[0]).not.toContain("Traceback");
});
