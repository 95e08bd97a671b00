import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { startHubServer } from "../helpers/hub-server.ts";
import { alpagasus } from "../helpers/command-line.ts";
import { pythonEnvironment } from "../helpers/python-environment.ts";
import { trainerPythonAsync } from "../helpers/trainer-python.ts";
import { tinyRecipe } from "../helpers/tiny-training.ts";
import { tinyRun } from "../cluster/tiny-run.ts";

test("what is pushed is read by datasets and transformers", async () => {
  using folder = await tinyRun();
  await using hub = await startHubServer("hf_token");
  const env = { ...pythonEnvironment, HF_ENDPOINT: hub.url, HF_TOKEN: "hf_token" };
  const run = async (...args: string[]) => {
    const { code, stderr } = await alpagasus(args, { cwd: folder.path, env });
    expect([code, stderr]).toEqual([0, expect.anything()]);
  };
  folder.write("training.yaml", stringify({ ...tinyRecipe, template: "alpaca" }));
  await run("train", "--recipe", "training.yaml");
  await run("push", "hf:me/rows", "--arm", "selected", "--license", "mit");
  await run("push", "hf:me/model", "--model", "selected", "--license", "mit");
  writeFileSync(
    `${folder.path}/read.py`,
    `import json
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
rows = load_dataset("me/rows", split="train")
model = AutoModelForCausalLM.from_pretrained("me/model")
tokenizer = AutoTokenizer.from_pretrained("me/model")
print(json.dumps([len(rows), rows[0]["instruction"], sum(p.numel() for p in model.parameters()) > 1000, bool(tokenizer.chat_template)]))
`,
  );
  const said = await trainerPythonAsync(`${folder.path}/read.py`, [], folder.path, {
    ...env,
    HF_HUB_OFFLINE: "0",
    HF_HOME: `${folder.path}/hf`,
    HF_HUB_DISABLE_XET: "1",
  });
  expect(JSON.parse(said.trim().split("\n").at(-1)!)).toEqual([
    20,
    expect.stringMatching(/^(Name|Repeat)/),
    true,
    true,
  ]);
  const card = hub.repositories.get("model me/model")!.files.get("README.md")!.toString();
  expect(card).toContain("library_name: transformers");
  expect(card).toContain("TRL's settings: num_train_epochs 1");
});
