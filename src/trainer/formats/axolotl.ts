import { toMessages } from "../../dataset/messages.ts";
import { stringify } from "yaml";
import { UsageError } from "../../errors.ts";
import type { TrainingPlan } from "../plan-training.ts";
import { chatTemplateFile, countTokens, saveSettings, saveSteps, type TrainerFormat } from "./format.ts";

/** Axolotl (axolotl-ai-cloud/axolotl). It uses the same chat template as TRL, so that rows give the same tokens. */
export const axolotl: TrainerFormat = {
  name: "axolotl",
  requirements: "requirements-axolotl.txt",
  scripts: ["rows.py"],
  carriesTools: true,
  masksTurns: true,
  takesTokens: false,
  row(example, template, loss = "last") {
    const { prompt: turns, completion: answer, tools } = toMessages(example, template);
    const [prompt, completion] = [turns.map(withTextArguments), answer.map(withTextArguments)];
    const offered = tools && { tools: JSON.stringify(tools) };
    const messages = [...prompt, ...completion];
    if (loss === "all") {
      const isMarked = messages.some(({ train }) => train === false);
      return {
        messages: isMarked ? messages.map((one) => ({ train: one["role"] === "assistant", ...one })) : messages,
        ...offered,
      };
    }
    const isMarked = messages.some(
      ({ role, train }, i) => train === false || (role === "assistant" && i < prompt.length),
    ); // else only the last of the assistant's turns is learnt anyway
    const mark = (train: boolean) => (message: object) => (isMarked ? { train, ...message } : message);
    return { messages: [...prompt.map(mark(false)), ...completion.map(mark(true))], ...offered };
  },
  files: (plan, base) => ({ "axolotl.yaml": stringify(axolotlSettings(plan, base), { version: "1.1" }) }),
  chatTemplate: (alpaca) => alpaca,
  commands: `${countTokens}
with_parts axolotl train axolotl.yaml
touch done`,
  departures: ({ processes, settings: { method, precision } }) => [
    `axolotl starts the processes itself: give it the ${processes} ${processes === 1 ? "GPU" : "GPUs"} of the plan (CUDA_VISIBLE_DEVICES)`,
    ...(method === "full" && precision === "bf16" ? ["it keeps the weights in bf16, not in fp32"] : []),
    "alpagasus does not check the model that it saves",
  ],
};

/**
 * A message whose calls of tools have their arguments as JSON text: as objects, the reader of JSON would give each call the arguments of
 * all others, as nulls. Axolotl reads the text, as it does the tools'.
 */
function withTextArguments(message: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const calls = message["tool_calls"] as readonly { readonly function: { readonly arguments: unknown } }[] | undefined; // by toMessages
  if (!calls) return message;
  return {
    ...message,
    tool_calls: calls.map((call) => ({
      ...call,
      function: { ...call.function, arguments: JSON.stringify(call.function.arguments) },
    })),
  };
}

/** The settings of `axolotl train`, under its own names. @throws UsageError without a GPU */
function axolotlSettings(plan: TrainingPlan, base: string): object {
  const { settings, heldOut, deviceBatch, accumulation, processes, seed, gpus } = plan;
  const { lora, quantisation, precision, attention, packing } = settings;
  if (packing && !(attention?.startsWith("flash") || attention === "flex_attention"))
    throw new UsageError(
      `--trainer axolotl: expected --attention flash_attention_2, flash_attention_3 or flex_attention with packing, got ${attention ?? "none"}`,
    );
  const rows = (path: string) => ({
    path,
    ds_type: "json",
    type: "chat_template",
    field_messages: "messages",
    roles_to_train: ["assistant"],
    message_field_training: "train",
    train_on_eos: "turn",
  });
  if (gpus === 0) throw new UsageError("--trainer axolotl: expected a GPU, got a plan for the CPU; give --gpus 1");
  return {
    base_model: base,
    datasets: [rows("data/train.jsonl")],
    ...(heldOut > 0 && {
      test_datasets: [{ ...rows("data/validation.jsonl"), split: "train" }],
      eval_steps: saveSteps(plan),
      eval_sample_packing: false,
    }),
    ...(settings.template === "alpaca"
      ? { chat_template: "jinja", chat_template_jinja: chatTemplateFile }
      : { chat_template: "tokenizer_default" }),
    dataset_prepared_path: "prepared",
    ...(heldOut === 0 && { val_set_size: 0 }),
    output_dir: "output",
    sequence_len: settings.max_length,
    excess_length_strategy: "truncate", // else it drops longer rows
    sample_packing: packing ?? false, // else one row per sequence
    ...(attention && { attn_implementation: attention }),
    ...(settings.liger && {
      plugins: ["axolotl.integrations.liger.LigerPlugin"],
      liger_rope: true,
      liger_rms_norm: true,
      liger_glu_activation: true,
      liger_fused_linear_cross_entropy: true,
    }),
    ...(settings.group_by_length && { group_by_length: true }),
    num_epochs: settings.epochs,
    micro_batch_size: deviceBatch,
    gradient_accumulation_steps: accumulation,
    optimizer: "adamw_torch",
    learning_rate: settings.learning_rate,
    lr_scheduler: settings.schedule,
    warmup_ratio: settings.warmup,
    weight_decay: settings.weight_decay,
    bf16: precision === "bf16",
    fp16: precision === "fp16",
    gradient_checkpointing: settings.gradient_checkpointing ?? true,
    ...(lora && {
      adapter: quantisation ? "qlora" : "lora",
      lora_r: lora.r,
      lora_alpha: lora.alpha,
      lora_dropout: lora.dropout,
      lora_target_modules: lora.targets,
    }),
    ...(quantisation && {
      load_in_4bit: true,
      bnb_config_kwargs: {
        bnb_4bit_quant_type: quantisation.type,
        bnb_4bit_use_double_quant: quantisation.nested,
      },
    }),
    ...(settings.sharding === "fsdp" &&
      processes > 1 && {
        fsdp_version: 2,
        fsdp_config: {
          auto_wrap_policy: "TRANSFORMER_BASED_WRAP",
          state_dict_type: "FULL_STATE_DICT",
          reshard_after_forward: true,
        },
      }),
    logging_steps: 1,
    ...saveSettings(plan),
    auto_resume_from_checkpoints: true,
    seed,
  };
}
