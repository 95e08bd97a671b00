import type { ChatTurn, Conversation } from "../../dataset/conversation.ts";
import type { MessageFields } from "../../dataset/messages.ts";
import type { TrainingPlan } from "../plan-training.ts";
import type { TrainingRecipe } from "../recipe.ts";

/** How a training folder is written for one trainer. Every trainer implements this interface. */
export interface TrainerFormat {
  readonly name: TrainerName;
  /** The file of `python/` that becomes the folder's `requirements.txt`. */
  readonly requirements: string;
  /** Scripts of `python/` that its commands run. */
  readonly scripts: readonly string[];
  /** Whether `run.sh` can be started on several machines, which then train together. */
  readonly startsOnSeveralMachines?: boolean | undefined;
  /** Whether rows may offer and call tools. */
  readonly carriesTools: boolean;
  /** Whether single turns may be marked not to be learnt. */
  readonly masksTurns: boolean;
  /** Whether it takes rows as tokens, which `rows.py` makes where the trainer itself would not make what is meant. */
  readonly takesTokens: boolean;
  /** Whether it can hold a row's turns as they are; absent where it can hold any. */
  takes?(conversation: Conversation, template: TrainingRecipe["template"]): boolean;
  /** A line of `data/train.jsonl`. @param loss which of the assistant's turns are learnt */
  row(example: MessageFields, template: TrainingRecipe["template"], loss?: "last" | "all"): object;
  /**
   * The texts of its settings files, by name. @param areTokens whether `rows.py` makes the tokens and labels itself
   *
   * @throws UsageError when it cannot train as planned
   */
  files(plan: TrainingPlan, base: string, areTokens: boolean): Readonly<Record<string, string>>;
  /** Makes the folder's chat template from the Alpaca one; absent when the trainer uses none of ours. */
  readonly chatTemplate?: ((alpaca: string) => string) | undefined;
  /** Lines of `requirements.txt` beside those of the file. */
  readonly moreRequirements?: ((plan: TrainingPlan) => readonly string[]) | undefined;
  /** The lines of `run.sh` that train, with `with_parts COMMAND`. `echo "alpagasus: …"` reports the phase. */
  readonly commands: string;
  /** Whether its loss curve can go to trackers (`REPORT_TO`). */
  readonly tellsTrackers?: boolean | undefined;
  /** How its training departs from the recipe, one line each. */
  departures(plan: TrainingPlan): readonly string[];
}

export const trainerNames = ["trl", "axolotl", "llama-factory"] as const;
export type TrainerName = (typeof trainerNames)[number];

/** The chat template's file in the folder, written when the base's own template is not used. */
export const chatTemplateFile = "chat_template.jinja";

/** Whether TRL cannot be left to make the tokens: rows with tools, which its reader of JSON would change, options of the template, turns that are not to be learnt, or several to learn. */
export function needsTokens({ conversation }: MessageFields, loss: "last" | "all"): boolean {
  if (!conversation) return false;
  const { turns, answer, tools, templateOptions } = conversation;
  return (
    tools.length > 0 ||
    templateOptions !== undefined ||
    hasUnlearnt(conversation, loss) ||
    [...turns, answer].some(({ role, toolCalls }) => role === "tool" || toolCalls !== undefined) ||
    (loss === "all" && turns.some(({ role }) => role === "assistant"))
  );
}

/** Whether the reasoning stands in a field of its own. */
export function isApart({ reasoning, written, apart }: ChatTurn): boolean {
  return apart !== undefined || (reasoning !== undefined && written === undefined);
}

/** Whether turns that would be learnt are marked not to be. */
export function hasUnlearnt({ turns, answer }: Conversation, loss: "last" | "all"): boolean {
  return answer.weight === 0 || (loss === "all" && turns.some(({ weight }) => weight === 0));
}

/** Commands that count the tokens of rows with messages, and add the tokenizer's BOS token, if any, to the chat template. */
export const countTokens = `echo "alpagasus: counting tokens"
with_parts python rows.py
echo "alpagasus: training"`;

/** Settings of Hugging Face's trainer for checkpoints: about ten in the whole training of which the last is kept, or one for each epoch. */
export function saveSettings(plan: TrainingPlan): object {
  return plan.settings.keep === "epochs"
    ? { save_strategy: "epoch" }
    : { save_strategy: "steps", save_steps: saveSteps(plan), save_total_limit: 1 };
}

/** Liger's kernels, as a requirement. */
export const liger = "liger-kernel==0.8.5";

/** Packages beside the trainer's own that a plan needs, as lines of `requirements.txt`. */
export function moreRequirements({ settings: { attention, liger: isLiger } }: TrainingPlan): readonly string[] {
  return [
    ...(isLiger ? [liger] : []),
    ...(attention?.startsWith("flash") ? ["kernels>=0.18.2,<0.19 # FlashAttention, built already"] : []),
  ];
}

/** Steps between checkpoints, so that there are about ten in the whole training. */
export function saveSteps({ steps, settings: { packing } }: TrainingPlan): number {
  return packing ? 0.1 : Math.max(1, Math.ceil(steps / 10)); // below 1: a share of the steps, whose number packing changes
}

/** The data type of the weights in memory. */
export function weightType({ settings: { method, precision } }: TrainingPlan): "float32" | "bfloat16" | "float16" {
  return method === "full" || precision === "fp32" ? "float32" : precision === "bf16" ? "bfloat16" : "float16";
}
