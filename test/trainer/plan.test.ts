import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { UsageError } from "../../src/errors.ts";
import { packageFolder } from "../../src/package-folder.ts";
import { estimateTraining } from "../../src/trainer/estimate.ts";
import { adviseOn } from "../../src/python/failure.ts";
import { trainerAdvice } from "../../src/trainer/advice.ts";
import { readMetrics } from "../../src/trainer/metrics.ts";
import { planTraining } from "../../src/trainer/plan-training.ts";
import { listTrainingRecipes, openTrainingRecipe, parseTrainingRecipe } from "../../src/trainer/recipe.ts";
import { toMessages } from "../../src/dataset/messages.ts";
import { alpagasus, misuse, prepare } from "../helpers/command-line.ts";
import { describeWithSharedData, sharedData } from "../helpers/shared-data.ts";
import { tempFolder, type TempFolder } from "../helpers/temp-folder.ts";
import { isLong } from "../helpers/long.ts";

describe("a plan", () => {
  test("keeps the global batch whatever the number of GPUs", async () => {
    const recipe = await openTrainingRecipe("paper-7b");
    for (const gpus of [0, 1, 2, 4, 8, 16, 32, 64, 128]) {
      const plan = planTraining(recipe, 9_229, { gpus });
      expect(plan.deviceBatch * plan.accumulation * plan.processes).toBe(128);
      expect(plan.stepsPerEpoch).toBe(73); // 9,229 rows by 128
      expect(plan.steps).toBe(219);
    }
    expect(() => planTraining(recipe, 9_229, { gpus: 3 })).toThrow(
      "expected a global batch that 3 processes can share evenly, got 128",
    );
    expect(() => planTraining(recipe, 9_229, { gpus: 4, deviceBatch: 5 })).toThrow(
      "--device-batch: expected a divisor of 32",
    );
    expect(() => planTraining(recipe, 9_229, { loraRank: 4 })).toThrow("trains all weights");
  });

  test("takes the paper's times and money by its own steps", async () => {
    const recipe = await openTrainingRecipe("paper-7b");
    const full = estimateTraining(planTraining(recipe, 52_002), 7e9);
    expect(full.minutes).toBeCloseTo(80, 9);
    expect(full.usd).toBeCloseTo(27.31, 2);
    const selected = estimateTraining(planTraining(recipe, 9_229), 7e9);
    expect(selected.minutes).toBeGreaterThan(14);
    expect(selected.minutes).toBeLessThan(14.5); // 14 in the paper
    expect(full.minutes! / selected.minutes!).toBeCloseTo(5.6, 1); // 5.7 there, by rounded minutes
    expect(selected.memoryGb).toBeLessThan(80);
    expect(estimateTraining(planTraining(recipe, 9_229, { gpus: 1 }), 7e9)).toMatchObject({
      basis: "no similar training was timed yet",
    });
    const timed = estimateTraining(planTraining(recipe, 9_229), undefined, { name: "full", secondsPerStep: 2 });
    expect(timed).toMatchObject({ minutes: (219 * 2) / 60, basis: "full of this run took 2.00 s a step" });
  });

  test("takes no published time for another base, length or precision, and no settings that are none", async () => {
    const recipe = await openTrainingRecipe("paper-7b");
    for (const other of [{ base: "huggyllama/llama-65b" }, { maxLength: 8192 }, { precision: "fp32" }] as const)
      expect(estimateTraining(planTraining(recipe, 9_229, other), 7e9).minutes).toBeUndefined();
    for (const same of [{ groupByLength: false }, { liger: false }, { gradientCheckpointing: true }])
      expect(estimateTraining(planTraining(recipe, 9_229, same), 7e9).minutes).toBeGreaterThan(14);
    for (const odd of [
      { epochs: NaN },
      { epochs: -1 },
      { globalBatch: 0 },
      { learningRate: NaN },
      { validation: 1 },
      { seed: 0.5 },
    ])
      expect(() => planTraining(recipe, 500, odd)).toThrow(UsageError);
  });

  test("says which settings are not the recipe's", async () => {
    const recipe = await openTrainingRecipe("alpagasus2-qlora-7b");
    expect(planTraining(recipe, 100).differences).toEqual([]);
    expect(planTraining(recipe, 100, { epochs: 1, loraRank: 16, gpus: 0 }).differences).toEqual([
      { setting: "epochs", recipe: "3", here: "1" },
      { setting: "lora.r", recipe: "8", here: "16" },
      { setting: "hardware.gpus", recipe: "1", here: "0" },
    ]);
  });
});

test("every recipe that ships can be read", async () => {
  const names = await listTrainingRecipes();
  expect(names).toEqual(["alpagasus2-qlora-13b", "alpagasus2-qlora-7b", "laptop", "paper-13b", "paper-7b"]);
  for (const name of names) expect((await openTrainingRecipe(name)).name).toBe(name);
});

test("a wrong recipe is told by line and field", () => {
  const good = readFileSync(`${packageFolder}recipes/training/paper-7b.yaml`, "utf8");
  const wrong = (text: string) => () => parseTrainingRecipe(text, "my.yaml");
  expect(wrong(good.replace("epochs: 3", "epochs: -3"))).toThrow("my.yaml:9: epochs: ");
  expect(wrong(good.replace("epochs:", "epoch:"))).toThrow("epoch");
  expect(wrong(good.replace("method: full", "method: lora"))).toThrow("lora: expected with the methods lora and qlora");
  expect(wrong("{")).toThrow("my.yaml:1");
});

describe("the trainer's words", () => {
  test("its metrics are read from its log", () => {
    const line =
      "  3%|▎ | 1/30 [00:00]{'loss': '6.912', 'grad_norm': '0.6477', 'learning_rate': '2e-05', 'num_tokens': '1974', 'epoch': '0.4'}";
    expect(readMetrics(line, 5)).toEqual({ step: 2, loss: 6.912, learningRate: 2e-5, tokens: 1974 });
    expect(readMetrics("{'train_runtime': '2.7', 'train_loss': '6.1', 'epoch': '6'}", 5)).toBeUndefined();
    expect(readMetrics("{'eval_loss': '6.1', 'epoch': '6'}", 5)).toBeUndefined();
  });

  test.each([
    ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "--device-batch 1"],
    ["huggingface_hub.errors.GatedRepoError: 401 Client Error", "HF_TOKEN"],
    ["OSError: [Errno 28] No space left on device", "the disk is full"],
    [
      "ValueError: Some specified arguments are not used by the HfArgumentParser: ['--warmup_ratio']",
      "requirements.txt",
    ],
    ["ConnectionError: Couldn't connect to the Hub", "--base smollm2"],
  ])("advice for %s", (log, advice) => {
    expect(adviseOn(log, trainerAdvice)).toContain(advice);
  });
});

describeWithSharedData("the Alpaca template", () => {
  test("is the published prompt, byte for byte", () => {
    const published = parse(readFileSync(sharedData("protocol/alpaca-template.yaml"), "utf8")) as Record<
      string,
      string
    >;
    const template = new Template(readFileSync(`${packageFolder}python/alpaca.jinja`, "utf8"));
    for (const input of ["", "Some input\n\nin two parts"]) {
      const { prompt, completion } = toMessages({ instruction: "Do it.", input, output: "Done." }, "alpaca");
      const wanted = published[input ? "with_input" : "without_input"]!.replace("{instruction}", "Do it.").replace(
        "{input}",
        input,
      );
      expect(template.render({ messages: prompt, eos_token: "</s>", add_generation_prompt: true })).toBe(wanted);
      expect(template.render({ messages: [...prompt, ...completion], eos_token: "</s>" })).toBe(`${wanted}Done.</s>`);
    }
  });
});

describe("the command", () => {
  let folder: TempFolder;
  beforeAll(async () => {
    folder = tempFolder();
    folder.write(
      "rows.json",
      Array.from({ length: 300 }, (_, i) => ({ instruction: `i ${i}`, input: i % 2 ? "in" : "", output: `o ${i}` })),
    );
    await prepare(folder.path, ["rate", "rows.json"], ["select", "--top", "200"], ["select", "--method", "random"]);
  });
  afterAll(() => folder[Symbol.dispose]());

  test("an arm that was edited since it was selected is refused, and status says so", async () => {
    const path = `${folder.path}/runs/default/arms/random.json`;
    const before = readFileSync(path, "utf8");
    const train = () =>
      alpagasus(["train", "--recipe", "paper-7b", "--arm", "random", "--dry-run"], { cwd: folder.path });
    const refused = expect.stringContaining("random.json: expected the arm as it was selected, found it changed");
    writeFileSync(path, before.replace(/o (\d)/, "O $1"));
    expect(await train()).toMatchObject({ code: 2, stderr: refused });
    expect((await alpagasus(["status"], { cwd: folder.path })).stdout).toMatch(/random .*changed/);
    writeFileSync(path, `${before}\n`);
    expect(await train()).toMatchObject({ code: 2, stderr: refused });
    expect((await alpagasus(["status"], { cwd: folder.path })).stdout).toMatch(/random .*changed/);
    writeFileSync(path, before);
    expect((await train()).code).toBe(0);
  });

  test("writes a folder that holds all it takes, and says what it will take", async () => {
    const { code, stdout, stderr } = await alpagasus(["train", "--recipe", "paper-7b", "--dry-run"], {
      cwd: folder.path,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("all settings are the recipe's");
    expect(stdout).toContain("6, each of 128 rows (4 at a time × 8 × 4 GPUs), 3 epochs");
    const place = `${folder.path}/runs/default/models/selected`;
    expect(readdirSync(place).sort()).toEqual([
      "chat_template.jinja",
      "check.py",
      "constraints-trainer.txt",
      "data",
      "job.sbatch",
      "launch.py",
      "ray_train.py",
      "requirements.txt",
      "rows.py",
      "run.sh",
      "sft.yaml",
      "sky.yaml",
      "train.py",
      "training.json",
      "trainjob.yaml",
    ]);
    expect(readFileSync(`${place}/data/train.jsonl`, "utf8").trim().split("\n")).toHaveLength(200);
    expect(readFileSync(`${place}/requirements.txt`, "utf8")).toMatch(/^trl==\d/m);
    const sft = parse(readFileSync(`${place}/sft.yaml`, "utf8")) as Record<string, unknown>;
    expect(sft).toMatchObject({
      completion_only_loss: true,
      learning_rate: 2e-5,
      warmup_steps: 0.03,
      bf16: true,
      num_train_epochs: 3,
      fsdp: true,
      fsdp_config: { version: 2, state_dict_type: "FULL_STATE_DICT" },
    });
  });

  test.runIf(isLong)(
    "what another machine trained is taken as it is; without its output it is trained again",
    async () => {
      const args = ["train", "--recipe", "laptop", "--base", "nobody/nothing", "--model", "elsewhere"];
      const options = { cwd: folder.path, env: { PATH: "/nowhere" } }; // no uv, so nothing can be trained
      expect((await alpagasus([...args, "--dry-run"], options)).code).toBe(0);
      const place = "runs/default/models/elsewhere";
      const history = [
        { step: 1, loss: 2.5 },
        { step: 2, loss: 1.5 },
      ];
      folder.write(`${place}/output/checkpoint-2/trainer_state.json`, JSON.stringify({ log_history: history }));
      folder.write(`${place}/rows.json`, JSON.stringify({ rows: 2, tokens: 20, labels: 9, cut: [], unlabelled: [] }));
      folder.write(`${place}/checks.json`, JSON.stringify([{ name: "weights", held: true, message: "there" }]));
      folder.write(`${place}/runtime.json`, JSON.stringify({ seconds: 8 }));
      const { code, stdout, stderr } = await alpagasus([...args, "--json"], options);
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ steps: 2, finalLoss: 1.5, trainMs: 8000 });
      rmSync(`${folder.path}/${place}/output`, { recursive: true });
      const again = await alpagasus(args, options);
      expect([again.code, again.stderr]).toEqual([
        1,
        expect.stringContaining("uv: expected it on the PATH, found none"),
      ]);
    },
  );

  test.each([
    [["train"], "--recipe: expected a recipe"],
    [["train", "--recipe", "mine"], "--recipe: expected alpagasus2-qlora-13b,"],
    [["train", "--recipe", "mine.yaml"], "mine.yaml: cannot be read"],
    [["train", "--recipe", "paper-7b", "--arm", "other"], 'expected an arm "other", found selected, random'],
    [["train", "--recipe", "paper-7b", "--gpus", "3"], "3 processes can share evenly"],
    [["train", "--recipe", "paper-7b", "--base", "./nowhere"], "--base: expected a folder with a model"],
    [["train", "--recipe", "paper-7b", "--lora-rank", "4"], "trains all weights"],
    [["train", "--recipe", "paper-7b", "--epochs", "0"], "Expected a number over 0"],
    [["train", "--recipe", "paper-7b", "--model", "../x"], "--model: expected a name"],
    [["train", "--recipe", "paper-7b", "--run", "runs/none"], "expected a run with ratings"],
    [["train", "--recipe", "paper-7b", "--warmup-ratio", "0.03"], "unknown option"],
  ])("bad input is one line: %j", async (args, problem) => {
    const { code, stderr } = await misuse(args, { cwd: folder.path });
    expect(stderr).toContain(problem);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
  });

  test("says where to get uv when it is missing", async () => {
    const { code, stderr } = await alpagasus(["train", "--recipe", "paper-7b", "--arm", "random"], {
      cwd: folder.path,
      env: { PATH: "/nowhere" },
    });
    expect(code).toBe(1);
    expect(stderr).toContain("uv: expected it on the PATH");
    expect(stderr).toContain("pip install uv");
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
