import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { AnswersSummary } from "../../src/run/records/answers.ts";
import type { TrainSummary } from "../../src/run/records/training.ts";
import { alpagasus, prepare } from "../helpers/command-line.ts";
import { parseLines } from "../helpers/json-lines.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { trainerPython } from "../helpers/trainer-python.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";

/* The options of a training, trained with for real. */

const here = fileURLToPath(new URL("./", import.meta.url));
const colours = ["red", "blue", "green", "black", "white", "pink", "gold", "cyan", "grey", "brown"];
const rows = colours.flatMap((colour, i) => [
  { instruction: `Name a thing that is ${colour}.`, input: "", output: `A ${colour} hat, number ${i}.` },
  {
    instruction: "Repeat the colour.",
    input: colour,
    output: `${colour} ${colour} ${colour} and so on`.repeat((i % 3) + 1),
  },
]);
const chats = colours.map((colour, i) => ({
  messages: [
    { role: "user", content: `Name a thing that is ${colour}.` },
    { role: "assistant", content: `A ${colour} hat.` },
    { role: "user", content: "And another?" },
    { role: "assistant", content: `A ${colour} hat, number ${i}.` },
  ],
}));
const recipe = { ...tinyRecipe, learning_rate: 0.0003, global_batch: 32 };

let folder: TempFolder;
const at = (model: string, name = "default") => `${folder.path}/runs/${name}/models/${model}`;

beforeAll(async () => {
  folder = tempFolder();
  folder.write("rows.json", rows);
  folder.write("chats.json", chats);
  folder.write("tiny.yaml", stringify(recipe));
  await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "20"]);
  await prepare(
    folder.path,
    ["rate", "chats.json", "--run", "runs/chats"],
    ["select", "--top", "10", "--run", "runs/chats"],
  );
  trainerPython(`${here}tiny.py`, ["rows.json", "tiny"], "", folder.path);
  folder.write(
    "tiny/chat_template.jinja",
    "{% for message in messages %}<{{ message['role'] }}>\n{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}<assistant>\n{% endif %}",
  );
});
afterAll(() => folder[Symbol.dispose]());

async function run<Result>(...args: string[]): Promise<Result> {
  const { code, stdout, stderr } = await alpagasus([...args, "--json"], { cwd: folder.path, env: pythonEnvironment });
  expect([code, stderr.split("\n").filter((line) => line.startsWith("alpagasus:"))], stdout).toEqual([0, []]);
  return JSON.parse(stdout) as Result;
}
const train = (...args: string[]) => run<TrainSummary>("train", "--recipe", "tiny.yaml", ...args);

describe("packing", () => {
  test.each([
    ["rows that TRL turns into tokens", "default"],
    ["rows whose tokens and labels are made beforehand", "chats"],
  ])("keeps rows apart: the loss on all of them in one step is the same (%s)", async (_, name) => {
    const losses: number[] = [];
    const steps: number[] = [];
    for (const packing of [[], ["--packing"]]) {
      const model = packing.length > 0 ? "packed" : "apart";
      const summary = await train("--run", `runs/${name}`, "--model", model, ...packing);
      losses.push(summary.lossCurve[0]!.loss);
      steps.push(summary.steps);
      expect(summary.gates.filter(({ held }) => !held)).toEqual([]);
    }
    expect(steps).toEqual([1, 1]);
    expect(losses[1]).toBeCloseTo(losses[0]!, 3);
    const counted = JSON.parse(readFileSync(`${at("packed", name)}/rows.json`, "utf8")) as Record<string, number>;
    expect(counted["sequences"]).toBeLessThan(counted["rows"]! / 2);
  });

  test("counts its steps by the sequences that rows were put into", async () => {
    const args = ["--packing", "--global-batch", "2", "--epochs", "3"];
    const summary = await train("--model", "packed-steps", ...args);
    const counted = JSON.parse(readFileSync(`${at("packed-steps")}/rows.json`, "utf8")) as Record<string, number>;
    expect(summary.steps).toBe(3 * Math.ceil(counted["sequences"]! / 2));
    expect(summary.lossCurve.map(({ step }) => step)).toEqual(Array.from({ length: summary.steps }, (_, i) => i + 1));
  });
});

test("rows are held out and measured, each epoch's model is kept and answers, and nothing of it changes what is learnt else", async () => {
  const args = ["--validation", "20%", "--keep", "epochs", "--epochs", "3", "--global-batch", "4", "--group-by-length"];
  const more = ["--attention", "eager", "--gradient-checkpointing", "--learning-rate", "0.003"];
  const summary = await train("--model", "epochs", ...args, ...more);
  expect(summary).toMatchObject({ rows: 16, heldOut: 4, steps: 12 });
  expect(summary.gates.filter(({ held }) => !held)).toEqual([]);
  const lines = (name: string) => parseLines<object>(readFileSync(`${at("epochs")}/data/${name}.jsonl`, "utf8"));
  expect([lines("train").length, lines("validation").length]).toEqual([16, 4]);
  for (const row of lines("validation")) expect(lines("train")).not.toContainEqual(row);
  expect(summary.validationCurve!.length).toBeGreaterThan(3);
  expect(summary.validationCurve!.at(-1)!.step).toBe(12);
  expect(summary.validationLoss).toBe(summary.validationCurve!.at(-1)!.loss);
  expect(summary.checkpoints!.map(({ step }) => step)).toEqual([4, 8, 12]);
  expect(readdirSync(`${at("epochs")}/output`).filter((name) => name.startsWith("checkpoint-"))).toHaveLength(3);
  folder.write("asked.json", [{ id: 1, set: "asked", instruction: rows[0]!.instruction }]);
  const early = await run<AnswersSummary>(
    "generate",
    "--model",
    "models/epochs/output/checkpoint-4",
    "--tests",
    "asked.json",
  );
  expect(early.arm).toBe("epochs-checkpoint-4");
  expect(early.server!.parity).toContain("as in training");
});
