import { toMessages } from "../../dataset/messages.ts";
import { stringify } from "yaml";
import {
  chatTemplateFile,
  countTokens,
  moreRequirements,
  saveSettings,
  saveSteps,
  weightType,
  type TrainerFormat,
} from "./format.ts";
import type { TrainingPlan } from "../plan-training.ts";

/** TRL, Hugging Face's trainer: the one that this package runs. */
export const trl: TrainerFormat = {
  name: "trl",
  requirements: "requirements.txt",
  scripts: ["rows.py", "check.py", "launch.py", "train.py", "ray_train.py"],
  startsOnSeveralMachines: true,
  carriesTools: true,
  masksTurns: true,
  takesTokens: true,
  row: toMessages,
  files: (plan, base, areTokens) => ({
    "sft.yaml": stringify(trlSettings(plan, base, areTokens), { version: "1.1" }), // YAML 1.1, as in Python: a bare `no` is false
  }),
  chatTemplate: (alpaca) => alpaca,
  moreRequirements,
  commands: `${countTokens}
with_parts python launch.py
echo "alpagasus: checking"
with_parts python check.py`,
  tellsTrackers: true,
  departures: () => [],
};

/** The settings of `trl sft --config`, under its own names. */
function trlSettings(plan: TrainingPlan, base: string, areTokens: boolean): object {
  const { settings, heldOut, deviceBatch, accumulation, steps, seed, gpus, processes } = plan;
  const { lora, quantisation, precision } = settings;
  return {
    model_name_or_path: base,
    dataset_name: areTokens ? "tokens" : "data",
    output_dir: "output",
    ...(settings.template === "alpaca" && { chat_template_path: chatTemplateFile }),
    completion_only_loss: true,
    ...(settings.packing && { packing: true, eval_packing: false }),
    ...(settings.attention && { attn_implementation: settings.attention }),
    ...(settings.liger && { use_liger_kernel: true }),
    ...(settings.group_by_length && { train_sampling_strategy: "group_by_length" }),
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
    dtype: weightType(plan),
    ...(gpus === 0 && { use_cpu: true }),
    ...(settings.sharding === "fsdp" && processes > 1 && { fsdp: true, fsdp_config: fsdpSettings(settings) }),
    gradient_checkpointing: settings.gradient_checkpointing ?? gpus > 0, // slower, and on a CPU memory is not the limit
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
    ...saveSettings(plan),
    eval_strategy: "steps",
    eval_steps: heldOut > 0 ? saveSteps(plan) : steps, // and always at the end
    ...(heldOut > 0 && { dataset_test_split: "validation" }),
    per_device_eval_batch_size: 1,
    report_to: "none",
    seed,
  };
}

function fsdpSettings({ sharded_checkpoints: inParts }: TrainingPlan["settings"]): object {
  return {
    version: 2,
    auto_wrap_policy: "TRANSFORMER_BASED_WRAP",
    reshard_after_forward: true,
    state_dict_type: inParts ? "SHARDED_STATE_DICT" : "FULL_STATE_DICT",
  };
}
