import type { MessageFields } from "../../dataset/messages.ts";
import { stringify } from "yaml";
import type { TrainingPlan } from "../plan-training.ts";
import { userMessage } from "../../dataset/user-message.ts";
import { lossOf } from "../recipe.ts";
import { accelerateSettings } from "./accelerate.ts";
import { type ChatTurn, isOneQuestion } from "../../dataset/conversation.ts";
import { UsageError } from "../../errors.ts";
import { chatTemplateFile, isApart, moreRequirements, saveSettings, saveSteps, type TrainerFormat } from "./format.ts";

const opening = "Below is an instruction that describes a task";
const request = "Write a response that appropriately completes the request.\n\n";

/** LLaMA-Factory (hiyouga/LLaMA-Factory). It has its own templates; its Alpaca one differs slightly from the paper's prompt. */
export const llamaFactory: TrainerFormat = {
  name: "llama-factory",
  requirements: "requirements-llama-factory.txt",
  scripts: [],
  carriesTools: false, // it writes them in a format of its own, not as the chat template does
  masksTurns: false,
  takesTokens: false,
  row: (example, template) =>
    template === "alpaca"
      ? {
          instruction: userMessage(example, template),
          output: example.conversation?.answer.written ?? example.output,
          system: `${opening}${example.input === "" ? "" : ", paired with an input that provides further context"}. ${request}`,
        }
      : chatRow(example),
  takes: ({ turns, answer }, template) =>
    template === "alpaca" || (isAsked(turns) && ![...turns, answer].some(isApart)),
  files: (plan, base) => ({
    "sft.yaml": stringify(settings(plan, base), { version: "1.1" }),
    "accelerate.yaml": accelerateSettings(plan),
    "data/dataset_info.json": `${JSON.stringify(datasetInfo(plan), null, 2)}\n`,
  }),
  moreRequirements,
  chatTemplate: (alpaca) => alpaca.replace("### Response:'", String.raw`### Response:\n'`), // as in its own template
  commands: `echo "alpagasus: training"
with_parts accelerate launch --config_file accelerate.yaml --module llamafactory.launcher sft.yaml
if [ -f ${chatTemplateFile} ]; then cp ${chatTemplateFile} output/; fi # LLaMA-Factory's saved template has only one of the two openings
touch done`,
  departures: ({ settings: { template } }) => [
    ...(template === "alpaca"
      ? [
          'its Alpaca template has a line feed after "### Response:", two after the end of an answer, and no token at the beginning',
        ]
      : ["LLaMA-Factory reads the base's chat template with its own parser"]),
    "of a row over the length it cuts the longer of prompt and answer, or both by their shares; the other trainers cut its end",
    "alpagasus does not check the model that it saves",
  ],
};

/** Whether the user and the assistant speak in turn, after a system text or without one. */
function isAsked(turns: readonly ChatTurn[]): boolean {
  const first = turns.findIndex(({ role }) => role !== "system");
  const others = turns.slice(first);
  return (
    first >= 0 &&
    others.length % 2 === 1 &&
    others.every(({ role }, i) => role === (i % 2 === 0 ? "user" : "assistant"))
  );
}

/** Its columns for a chat that it takes. */
function chatRow({ instruction, input, output, conversation }: MessageFields): object {
  if (!conversation || isOneQuestion(conversation)) {
    const answered = conversation?.answer.written ?? output;
    return { instruction: userMessage({ instruction, input }, "chat"), output: answered, system: "", history: [] };
  }
  const { turns, answer } = conversation;
  const system = turns.filter(({ role }) => role === "system").map(({ text }) => text);
  const others = turns
    .filter(({ role }) => role !== "system")
    .map(({ role, text, written }) => ({ role, text: written ?? text }));
  const history = Array.from({ length: (others.length - 1) / 2 }, (_, i) => [
    others[2 * i]!.text,
    others[2 * i + 1]!.text,
  ]);
  return {
    instruction: others.at(-1)!.text,
    output: answer.written ?? answer.text,
    system: system.join("\n\n"),
    history,
  };
}

/** `data/dataset_info.json`, which registers the rows. */
function datasetInfo({ heldOut, settings: { template } }: TrainingPlan): object {
  const columns = {
    prompt: "instruction",
    response: "output",
    system: "system",
    ...(template === "chat" && { history: "history" }),
  };
  const entry = (name: string) => ({ file_name: `${name}.jsonl`, formatting: "alpaca", columns });
  return { train: entry("train"), ...(heldOut > 0 && { validation: entry("validation") }) };
}

/** Its names for ways to compute attention. */
const attentionOf = { eager: "disabled", sdpa: "sdpa", flash_attention_2: "fa2", flash_attention_3: "fa3" } as const;

/** Its training settings, under its own names. */
function settings(plan: TrainingPlan, base: string): object {
  const { settings: recipe, heldOut, deviceBatch, accumulation, seed, gpus } = plan;
  const { lora, quantisation, precision, attention } = recipe;
  if (attention === "flex_attention")
    throw new UsageError(
      `--trainer llama-factory: expected --attention ${Object.keys(attentionOf).join(", ")}, got flex_attention`,
    );
  return {
    stage: "sft",
    do_train: true,
    model_name_or_path: base,
    dataset: "train",
    dataset_dir: "data",
    ...(recipe.template === "alpaca" && { template: "alpaca" }), // without one, it uses the base's
    cutoff_len: recipe.max_length,
    mask_history: lossOf(recipe) === "last", // of several turns only the last is learnt
    packing: recipe.packing ?? false, // else one row per sequence
    ...(recipe.packing && { neat_packing: true }), // each row attends to itself alone
    ...(attention && { flash_attn: attentionOf[attention] }),
    ...(recipe.liger && { enable_liger_kernel: true }),
    ...(recipe.group_by_length && { train_sampling_strategy: "group_by_length" }),
    ...(recipe.gradient_checkpointing === false && { disable_gradient_checkpointing: true }),
    ...(heldOut > 0 && {
      eval_dataset: "validation",
      eval_strategy: "steps",
      eval_steps: saveSteps(plan),
      per_device_eval_batch_size: 1,
    }),
    output_dir: "output",
    finetuning_type: lora ? "lora" : "full",
    ...(lora && {
      lora_rank: lora.r,
      lora_alpha: lora.alpha,
      lora_dropout: lora.dropout,
      lora_target: lora.targets.join(","),
    }),
    ...(quantisation && {
      quantization_bit: 4,
      quantization_method: "bnb",
      quantization_type: quantisation.type,
      double_quantization: quantisation.nested,
    }),
    num_train_epochs: recipe.epochs,
    per_device_train_batch_size: deviceBatch,
    gradient_accumulation_steps: accumulation,
    learning_rate: recipe.learning_rate,
    lr_scheduler_type: recipe.schedule,
    warmup_steps: recipe.warmup, // a fraction below 1 is a share of the steps
    weight_decay: recipe.weight_decay,
    bf16: precision === "bf16",
    fp16: precision === "fp16",
    ...(gpus === 0 && { use_cpu: true }),
    logging_steps: 1,
    ...saveSettings(plan),
    report_to: "none",
    seed,
  };
}
