import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Example } from "../dataset/example.ts";
import { openAtomicFile } from "../files/atomic-file.ts";
import type { TrainingPlan } from "./plan-training.ts";
import type { TrainingRecipe } from "./recipe.ts";
import { userMessage } from "./user-message.ts";
import { pythonFolder } from "../python/uv.ts";

/*
 * A training as a folder that needs nothing of ours: data, settings, pinned parts, and `sh run.sh`.
 */

/** Where the files of a training lie. */
export interface TrainingFolder {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly output: string;
  readonly rows: string;
  readonly checks: string;
  /** The same settings for another folder of the same content have the same text. */
  readonly settings: string;
}

export function trainingFolder(folder: string): TrainingFolder {
  return {
    folder,
    data: join(folder, "data", "train.jsonl"),
    log: join(folder, "log.txt"),
    output: join(folder, "output"),
    rows: join(folder, "rows.json"),
    checks: join(folder, "checks.json"),
    settings: join(folder, "training.json"),
  };
}

const probeRows = 8; // of the training rows: the loss on them at the end tells whether the saved model is the trained one
const checkpoints = 10; // over the whole training

/** Writes the rows as the trainer reads them, and gives how many. */
export async function writeTrainingData(
  folder: TrainingFolder,
  batches: AsyncIterable<readonly Example[]>,
  template: TrainingRecipe["template"],
): Promise<number> {
  const train = openAtomicFile(folder.data);
  const probe = openAtomicFile(join(folder.folder, "data", "test.jsonl"));
  let rows = 0;
  try {
    for await (const batch of batches) {
      for (const example of batch) {
        const line = `${JSON.stringify(toMessages(example, template))}\n`;
        await train.write(line);
        if (rows++ < probeRows) await probe.write(line);
      }
    }
    await train.commit();
    await probe.commit();
  } finally {
    await train.discard();
    await probe.discard();
  }
  return rows;
}

/** A row as a conversation. */
export function toMessages(
  { instruction, input, output }: Pick<Example, "instruction" | "input" | "output">,
  template: TrainingRecipe["template"],
): { prompt: { role: string; content: string }[]; completion: { role: string; content: string }[] } {
  return {
    prompt: [{ role: "user", content: userMessage({ instruction, input }, template) }],
    completion: [{ role: "assistant", content: output }],
  };
}

/** Writes everything but the data. */
export async function writeTrainingFolder(
  folder: TrainingFolder,
  plan: TrainingPlan,
  base: string,
  trainingHash: string,
): Promise<void> {
  await mkdir(folder.folder, { recursive: true });
  const { settings } = plan;
  const chatTemplate = settings.template === "alpaca" ? "chat_template.jinja" : null;
  for (const name of ["requirements.txt", "rows.py", "check.py"])
    await copyFile(join(pythonFolder, name), join(folder.folder, name));
  if (chatTemplate) await copyFile(join(pythonFolder, "alpaca.jinja"), join(folder.folder, chatTemplate));
  await writeFile(join(folder.folder, "sft.yaml"), toYaml(trlSettings(plan, base, chatTemplate)));
  await writeFile(join(folder.folder, "accelerate.yaml"), toYaml(accelerateSettings(plan)));
  await writeFile(
    folder.settings,
    `${JSON.stringify(
      {
        base,
        chatTemplate,
        method: settings.method,
        maxLength: settings.max_length,
        precision: settings.precision,
        quantisation: settings.quantisation ?? null,
        gpus: plan.gpus,
        hash: trainingHash,
      },
      null,
      2,
    )}\n`,
  );
  await writeFile(join(folder.folder, "run.sh"), runScript, { mode: 0o755 });
}

/** YAML as Python's reader takes it, to which a bare `no` is false. */
function toYaml(settings: object): string {
  return stringify(settings, { version: "1.1" });
}

/** `trl sft --config`: its settings by its names. */
function trlSettings(plan: TrainingPlan, base: string, chatTemplate: string | null): object {
  const { settings, deviceBatch, accumulation, steps, seed, gpus } = plan;
  const { lora, quantisation, precision, method } = settings;
  return {
    model_name_or_path: base,
    dataset_name: "data",
    output_dir: "output",
    ...(chatTemplate && { chat_template_path: chatTemplate }),
    completion_only_loss: true,
    max_length: settings.max_length,
    num_train_epochs: settings.epochs,
    per_device_train_batch_size: deviceBatch,
    gradient_accumulation_steps: accumulation,
    learning_rate: settings.learning_rate,
    lr_scheduler_type: settings.schedule,
    warmup_steps: settings.warmup, // a fraction below 1 is a share of the steps
    weight_decay: settings.weight_decay,
    bf16: precision === "bf16",
    fp16: precision === "fp16",
    dtype: method === "full" || precision === "fp32" ? "float32" : precision === "bf16" ? "bfloat16" : "float16",
    ...(gpus === 0 && { use_cpu: true, gradient_checkpointing: false }), // slower, and memory is not what lacks
    ...(lora && {
      use_peft: true,
      lora_r: lora.r,
      lora_alpha: lora.alpha,
      lora_dropout: lora.dropout,
      lora_target_modules: lora.targets,
    }),
    ...(quantisation && {
      load_in_4bit: true,
      bnb_4bit_quant_type: quantisation.type,
      use_bnb_nested_quant: quantisation.nested,
    }),
    logging_steps: 1,
    save_strategy: "steps",
    save_steps: Math.max(1, Math.ceil(steps / checkpoints)),
    save_total_limit: 1,
    eval_strategy: "steps",
    eval_steps: steps,
    per_device_eval_batch_size: 1,
    report_to: "none",
    seed,
  };
}

/** `accelerate`'s settings: how processes share the work. */
function accelerateSettings({ settings: { sharding, precision }, gpus, processes }: TrainingPlan): object {
  const isSharded = sharding === "fsdp" && processes > 1;
  return {
    compute_environment: "LOCAL_MACHINE",
    distributed_type: isSharded ? "FSDP" : processes > 1 ? (gpus > 0 ? "MULTI_GPU" : "MULTI_CPU") : "NO",
    ...(isSharded && {
      fsdp_config: {
        fsdp_version: 2,
        fsdp_auto_wrap_policy: "TRANSFORMER_BASED_WRAP",
        fsdp_state_dict_type: "FULL_STATE_DICT",
        fsdp_reshard_after_forward: true,
      },
    }),
    machine_rank: 0,
    num_machines: 1,
    num_processes: processes,
    mixed_precision: gpus === 0 || precision === "fp32" ? "no" : precision,
    ...(gpus === 0 && { use_cpu: true }),
  };
}

const runScript = `#!/bin/sh
# Trains the model of this folder and checks it. Needs uv (https://docs.astral.sh/uv/).
# Run it again after an interruption: it goes on from the last checkpoint.
set -eu
cd "$(dirname "$0")"

# Started by alpagasus, it ends when alpagasus does: its standard input closes then.
if [ -n "\${ALPAGASUS_WATCHED:-}" ]; then
  exec 3<&0
  (cat <&3 >/dev/null; kill -TERM -$$ 2>/dev/null) &
fi

with_parts() {
  uv run --quiet --no-project --python 3.11 --with-requirements requirements.txt -- "$@"
}

last=$(ls -d output/checkpoint-*/trainer_state.json 2>/dev/null | sort -t- -k2 -n | tail -n 1)
echo "alpagasus: counting tokens"
with_parts python rows.py
echo "alpagasus: training"
if [ -n "$last" ]; then
  with_parts trl sft --config sft.yaml --accelerate_config accelerate.yaml --resume_from_checkpoint "\${last%/trainer_state.json}"
else
  with_parts trl sft --config sft.yaml --accelerate_config accelerate.yaml
fi
echo "alpagasus: checking"
with_parts python check.py
echo "alpagasus: done"
`;
