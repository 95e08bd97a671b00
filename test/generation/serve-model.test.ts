import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findLocalModel } from "../../src/generation/local-model.ts";
import { describeServer, serverCommand } from "../../src/generation/serve-model.ts";
import { runFolder } from "../../src/run/run-folder.ts";
import { tempFolder } from "../helpers/temp-folder.ts";

/** What follows uv's own arguments. */
const commandOf = (args: readonly string[]) => args.slice(args.indexOf("--") + 1).join(" ");

describe("a model of this machine", () => {
  test("an adapter is served as it is by vLLM, with its own tokenizer and template; transformers gets a merged copy", async () => {
    using folder = tempFolder();
    folder.write("runs/a/models/selected/training.json", {
      trainer: "trl",
      template: "alpaca",
      precision: "bf16",
    });
    folder.write("runs/a/models/selected/checks.json", []);
    folder.write("runs/a/models/selected/output/adapter_config.json", {
      base_model_name_or_path: "meta-llama/Llama-2-7b-hf",
      r: 24,
    });
    folder.write("runs/a/models/selected/output/chat_template.jinja", "### Input:");
    folder.write("runs/a/models/selected/output/tokenizer_config.json", {});
    const run = runFolder(join(folder.path, "runs/a"));
    const output = join(folder.path, "runs/a/models/selected/output");
    for (const name of ["selected", "models/selected", join(folder.path, "runs/a/models/selected"), output]) {
      const model = await findLocalModel(name, run);
      expect(model).toMatchObject({ path: output, template: "alpaca", precision: "bf16" });
    }
    const model = await findLocalModel("selected", run);
    expect(commandOf(serverCommand("vllm", model, { served: "", port: 8000, name: "selected" }))).toBe(
      `vllm serve meta-llama/Llama-2-7b-hf --host 127.0.0.1 --port 8000 --dtype bfloat16 --generation-config vllm --enable-lora --lora-modules {"name":"selected","path":"${output}"} --max-lora-rank 32 --tokenizer ${output} --chat-template ${output}/chat_template.jinja`,
    );
    expect(commandOf(serverCommand("transformers", model, { served: "/merged", port: 8000, name: "selected" }))).toBe(
      "transformers serve /merged --host 127.0.0.1 --port 8000 --device cpu",
    );
  });

  test("a whole model is served from its folder, one on the Hub by its id", async () => {
    using folder = tempFolder();
    folder.write("mine/config.json", {});
    const run = runFolder(join(folder.path, "runs/a"));
    const model = await findLocalModel(join(folder.path, "mine"), run);
    expect(commandOf(serverCommand("vllm", model, { served: "", port: 1, name: "mine" }))).toBe(
      `vllm serve ${folder.path}/mine --host 127.0.0.1 --port 1 --dtype bfloat16 --generation-config vllm --served-model-name mine`,
    );
    const onHub = await findLocalModel("huggyllama/llama-7b", run);
    expect(onHub).toMatchObject({ name: "llama-7b", path: "huggyllama/llama-7b", isOnHub: true });
  });

  test("its servers are pinned", async () => {
    expect(await describeServer("vllm")).toMatch(/^vllm \d+\.\d+\.\d+$/);
    expect(await describeServer("transformers")).toMatch(/^transformers \d+\.\d+\.\d+$/);
  });
});
