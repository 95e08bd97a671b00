import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { prepare } from "../helpers/command-line.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/*
 * Folders for axolotl and LLaMA-Factory, put to those trainers' own code: their settings, their reading of rows, their tokens and labels.
 */

const here = fileURLToPath(new URL("./", import.meta.url));

const colours = ["red", "blue", "green", "black", "white", "pink", "gold", "cyan"];
const triples = colours.flatMap((colour, i) => [
  { instruction: `Name a thing that is ${colour}.`, input: "", output: `A ${colour} hat, number ${i}.` },
  { instruction: "Repeat the colour.", input: colour, output: `${colour} ${colour}` },
]);
const chats = colours.map((colour, i) => ({
  messages: [
    ...(i % 2 === 0 ? [{ role: "system", content: "You are a pirate." }] : []),
    { role: "user", content: `Name a thing that is ${colour}.` },
    { role: "assistant", content: `A ${colour} hat.` },
    { role: "user", content: "And another?" },
    { role: "assistant", content: `A ${colour} hat, number ${i}.` },
  ],
}));
const template =
  "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}";

let folder: TempFolder;
const interpreters: Record<string, string> = {};
const at = (model: string, run = "default") => `${folder.path}/runs/${run}/models/${model}`;
const write = (...args: string[]) => prepare(folder.path, ["train", ...args]);

beforeAll(async () => {
  folder = tempFolder();
  folder.write("triples.json", triples);
  folder.write("chats.json", chats);
  folder.write("tiny.yaml", stringify(tinyRecipe));
  await prepare(folder.path, ["rate", "triples.json"], ["select", "--top", "16"]);
  await prepare(
    folder.path,
    ["rate", "chats.json", "--run", "runs/chats"],
    ["select", "--top", "8", "--run", "runs/chats"],
  );
  trainerPython(`${here}tiny.py`, ["triples.json", "tiny"], "", folder.path);
  writeFileSync(`${folder.path}/tiny/chat_template.jinja`, template);
  const requirements = fileURLToPath(new URL("../../python/requirements.txt", import.meta.url));
  interpreters["axolotl"] = install(
    "axolotl",
    ["-r", requirements, "pillow"],
    [pinned("axolotl"), "addict", "colorama"],
  );
  const parts = ["torch==2.15.0", "transformers==5.6.0", "trl==0.24.0", "peft==0.18.1", "accelerate==1.11.0"];
  const others = ["datasets==4.0.0", "bitsandbytes==0.50.2", "omegaconf", "fire", "psutil", "numpy", "av", "librosa"];
  interpreters["llama-factory"] = install("llama-factory", [...parts, ...others], [pinned("llama-factory")]);
});
afterAll(() => folder[Symbol.dispose]());

/** An environment with a trainer's own package, and of what it depends on only what its reading of rows needs. */
function install(name: string, parts: readonly string[], alone: readonly string[]): string {
  const environmentPath = `${folder.path}/venv-${name}`;
  const uv = (...args: string[]) =>
    execFileSync("uv", args, { env: { ...process.env, VIRTUAL_ENV: environmentPath }, stdio: "ignore" });
  uv("venv", "--python", "3.11", environmentPath);
  uv("pip", "install", ...parts);
  uv("pip", "install", "--no-deps", ...alone);
  return `${environmentPath}/bin/python`;
}

function pinned(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../python/requirements-${name}.txt`, import.meta.url)), "utf8")
    .split("\n")
    .find((line) => line.startsWith(name.replace("-", "")))!;
}

/** What a script prints last, as JSON. */
function ask(trainer: string, script: string, ...args: string[]): unknown {
  const said = execFileSync(interpreters[trainer]!, [`${here}${script}`, trainer, ...args], {
    encoding: "utf8",
    env: { ...process.env, HF_HUB_OFFLINE: "1" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(said.trim().split("\n").at(-1)!);
}

const everyOption = [
  ["--packing", "--attention", "flash_attention_2", "--liger", "--no-gradient-checkpointing"],
  ["--validation", "25%", "--keep", "epochs"],
].flat();

describe("settings are what it takes:", () => {
  test("axolotl's, by its schema", async () => {
    await write("--recipe", "paper-7b", "--trainer", "axolotl", "--model", "ax-7b");
    expect(ask("axolotl", "settings.py", at("ax-7b"))).toMatchObject({
      unknown: [],
      micro_batch_size: 4,
      gradient_accumulation_steps: 8,
      warmup_ratio: 0.03,
      fsdp_config: { fsdp_version: 2, state_dict_type: "FULL_STATE_DICT" },
    });
    await write("--recipe", "alpagasus2-qlora-7b", "--trainer", "axolotl", "--model", "ax-qlora");
    expect(ask("axolotl", "settings.py", at("ax-qlora"))).toMatchObject({
      unknown: [],
      adapter: "qlora",
      load_in_4bit: true,
    });
    await write("--recipe", "paper-7b", "--trainer", "axolotl", "--model", "ax-all", ...everyOption);
    expect(ask("axolotl", "settings.py", at("ax-all"))).toMatchObject({
      unknown: [],
      sample_packing: true,
      attn_implementation: "flash_attention_2",
      plugins: ["axolotl.integrations.liger.LigerPlugin"],
      gradient_checkpointing: false,
      save_strategy: "epoch",
      eval_steps: 0.1,
      test_datasets: [{ path: "data/validation.jsonl" }],
    });
    await write("--recipe", "paper-7b", "--trainer", "axolotl", "--model", "ax-grouped", "--group-by-length");
    expect(ask("axolotl", "settings.py", at("ax-grouped"))).toMatchObject({ unknown: [], group_by_length: true });
  });

  test("LLaMA-Factory's, by its parser, and its dataset's registration", async () => {
    const cpu = ["--gpus", "0", "--precision", "fp32"]; // its parser looks whether this machine can do it
    await write("--recipe", "alpagasus2-qlora-7b", "--trainer", "llama-factory", "--model", "lf-qlora", ...cpu);
    expect(ask("llama-factory", "settings.py", at("lf-qlora"))).toMatchObject({
      template: "alpaca",
      method: "lora",
      targets: ["q_proj", "v_proj"],
      bits: 4,
      warmup: 30,
      columns: ["system", "instruction", null, "output"],
      history: [null, true],
      file: true,
    });
    const chat = ["--template", "chat"];
    await write("--recipe", "paper-7b", "--trainer", "llama-factory", "--model", "lf-7b", ...cpu, ...chat);
    expect(ask("llama-factory", "settings.py", at("lf-7b"))).toMatchObject({
      template: null,
      method: "full",
      columns: ["system", "instruction", null, "output"],
      history: ["history", false], // a chat: all of its turns are learnt
    });
    const options = ["--packing", "--attention", "sdpa", "--no-gradient-checkpointing", "--validation", "25%"];
    await write("--recipe", "paper-7b", "--trainer", "llama-factory", "--model", "lf-all", ...cpu, ...options);
    expect(ask("llama-factory", "settings.py", at("lf-all"))).toMatchObject({
      options: { neat_packing: true, flash_attn: "sdpa", gradient_checkpointing: false, evaluated: ["validation"] },
    });
  });
});

describe("rows give the tokens and labels that were meant, by its own code:", () => {
  const expected = (loss: string) =>
    chats.map(({ messages }) => {
      const whole = messages.map(({ role, content }) => `<${role}> ${content}${role === "assistant" ? "</s>" : ""}\n`);
      const said = messages.filter(({ role }) => role === "assistant").map(({ content }) => `${content}</s>`);
      return { whole: whole.join(""), learnt: loss === "all" ? said : said.slice(-1) };
    });
  /** Rows without what follows the end of a turn, which trainers learn or not as the template has it. */
  const plain = (rows: unknown) =>
    (rows as { whole: string; learnt: string[] }[]).map(({ whole, learnt }) => ({
      whole: whole.replaceAll("\n", ""),
      learnt: learnt.map((text) => text.trim()),
    }));

  test.each(["axolotl", "llama-factory"])("%s", async (trainer) => {
    for (const loss of ["last", "all"]) {
      const gpus = trainer === "axolotl" ? ["--gpus", "1"] : [];
      const model = `${trainer}-${loss}`;
      await write(
        "--recipe",
        "tiny.yaml",
        "--trainer",
        trainer,
        "--loss",
        loss,
        "--model",
        model,
        "--run",
        "runs/chats",
        ...gpus,
      );
      const rows = ask(trainer, "their-rows.py", at(model, "chats"));
      expect(plain(rows)).toEqual(plain(expected(loss)));
    }
  });
});

test("axolotl learns the calls of tools and the reasoning of chats, given the tools, each with its own arguments", async () => {
  const offered = (name: string, property: string) => ({
    type: "function",
    function: { name, parameters: { type: "object", properties: { [property]: { type: "string" } } } },
  });
  const tools = [offered("look_up", "colour"), offered("measure", "size")];
  const called = colours.map((colour, i) => {
    const [name, given] = i % 2 === 0 ? ["look_up", { colour }] : ["measure", { size: { cm: i } }];
    return {
      messages: [
        { role: "user", content: `Is ${colour} a colour?` },
        {
          role: "assistant",
          content: "",
          tool_calls: [{ type: "function", function: { name, arguments: JSON.stringify(given) } }],
        },
        { role: "tool", content: `${colour}: yes` },
        { role: "assistant", content: `Yes, ${colour} is.`, reasoning_content: "The tool says yes." },
      ],
      tools: i % 2 === 0 ? tools : tools.slice(1),
    };
  });
  folder.write("called.json", called);
  const run = ["--run", "runs/called"];
  await prepare(folder.path, ["rate", "called.json", ...run], ["select", "--top", "8", ...run]);
  cpSync(`${folder.path}/tiny`, `${folder.path}/tiny-tools`, { recursive: true });
  writeFileSync(
    `${folder.path}/tiny-tools/chat_template.jinja`,
    `{% if tools %}{% for tool in tools %}<tool {{ tool.function.name }} {{ tool.function.parameters.properties | tojson }}>{% endfor %}{% endif %}{% for message in messages %}<{{ message['role'] }}> {% if message.reasoning_content %}({{ message.reasoning_content }}) {% endif %}{{ message['content'] }}{% for call in message.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments | tojson }}]{% endfor %}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}`,
  );
  await write(
    "--recipe",
    "tiny.yaml",
    "--base",
    "tiny-tools",
    "--trainer",
    "axolotl",
    "--gpus",
    "1",
    "--model",
    "ax",
    ...run,
  );
  const rows = ask("axolotl", "their-rows.py", at("ax", "called")) as { whole: string; learnt: string[] }[];
  for (const [i, { whole, learnt }] of rows.entries()) {
    const call = i % 2 === 0 ? `[look_up {"colour": "${colours[i]}"}]` : `[measure {"size": {"cm": ${i}}}]`;
    expect(learnt.map((text) => text.trim())).toEqual([
      `${call}</s>`,
      `(The tool says yes.) Yes, ${colours[i]} is.</s>`,
    ]);
    expect(whole.includes("<tool look_up")).toBe(i % 2 === 0);
    expect(whole).toContain('<tool measure {"size": {"type": "string"}}>');
    expect(whole).not.toContain("null");
  }
});

describe("kept rows of every shape load as they are", () => {
  const shapes: Record<string, object[]> = {
    alpaca: triples,
    messages: chats,
    sharegpt: chats.map(({ messages }) => ({
      conversations: messages
        .filter(({ role }) => role !== "system")
        .map(({ role, content }) => ({ from: role === "user" ? "human" : "gpt", value: content })),
      system: "You are a pirate.",
    })),
    dolly: triples.map(({ instruction, input, output }) => ({ instruction, context: input, response: output })),
    history: triples.map((row) => ({ ...row, system: "s", history: [["a", "b"]] })),
    "prompt-messages": chats.map(({ messages }) => ({ prompt: messages.slice(0, -1), completion: messages.slice(-1) })),
  };

  test("in datasets, and in LLaMA-Factory where it has a format for the shape", async () => {
    const arms: [string, string, object[]][] = [];
    for (const [shape, rows] of Object.entries(shapes))
      for (const [format, text] of [
        ["json", JSON.stringify(rows, null, 2)],
        ["jsonl", rows.map((row) => JSON.stringify(row)).join("\n")],
      ] as const) {
        const run = `runs/${shape}-${format}`;
        folder.write(`${shape}.${format}`, text);
        await prepare(
          folder.path,
          ["rate", `${shape}.${format}`, "--run", run],
          ["select", "--top", "4", "--run", run],
        );
        arms.push([shape, `${folder.path}/${run}/arms/selected.${format}`, rows]);
      }
    const read = ask("llama-factory", "their-files.py", ...arms.map(([shape, path]) => `${shape}=${path}`)) as {
      datasets: object[];
      answers?: string[];
    }[];
    for (const [i, [shape, , rows]] of arms.entries()) {
      expect(read[i]!.datasets, shape).toHaveLength(4);
      for (const row of read[i]!.datasets) expect(rows).toContainEqual(row);
      if (shape !== "prompt-messages") expect(read[i]!.answers).toHaveLength(4);
    }
  });
});
