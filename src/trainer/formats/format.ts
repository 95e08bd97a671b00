import { isOneQuestion, toChatMessage } from "../../dataset/conversation.ts";
import type { Example } from "../../dataset/example.ts";
import type { TrainingPlan } from "../plan-training.ts";
import type { TrainingRecipe } from "../recipe.ts";
import { userMessage } from "../user-message.ts";

/** How a training folder is written for one trainer. Every trainer implements this interface. */
export interface TrainerFormat {
  readonly name: TrainerName;
  /** The file of `python/` that becomes the folder's `requirements.txt`. */
  readonly requirements: string;
  /** Scripts of `python/` that its commands run. */
  readonly scripts: readonly string[];
  /** A line of `data/train.jsonl`. */
  row(example: Fields, template: TrainingRecipe["template"]): object;
  /** The texts of its settings files, by name. @throws UsageError when it cannot train as planned */
  files(plan: TrainingPlan, base: string): Readonly<Record<string, string>>;
  /** Makes the folder's chat template from the Alpaca one; absent when the trainer uses none of ours. */
  readonly chatTemplate?: ((alpaca: string) => string) | undefined;
  /** The lines of `run.sh` that train, with `with_parts COMMAND`. `echo "alpagasus: …"` reports the phase. */
  readonly commands: string;
  /** How its training departs from the recipe, one line each. */
  departures(plan: TrainingPlan): readonly string[];
}

export type Fields = Pick<Example, "instruction" | "input" | "output" | "conversation">;

export const trainerNames = ["trl", "axolotl", "llama-factory"] as const;
export type TrainerName = (typeof trainerNames)[number];

/** The chat template's file in the folder, written when the base's own template is not used. */
export const chatTemplateFile = "chat_template.jinja";

/** A row as a conversation. */
export function toMessages(
  { instruction, input, output, conversation }: Fields,
  template: TrainingRecipe["template"],
): { prompt: { role: string; content: string }[]; completion: { role: string; content: string }[] } {
  if (conversation && !isOneQuestion(conversation))
    return { prompt: conversation.turns.map(toChatMessage), completion: [toChatMessage(conversation.answer)] };
  return {
    prompt: [{ role: "user", content: userMessage({ instruction, input }, template) }],
    completion: [conversation ? toChatMessage(conversation.answer) : { role: "assistant", content: output }],
  };
}

/** Commands that count the tokens of rows with messages, and add the tokenizer's BOS token, if any, to the chat template. */
export const countTokens = `echo "alpagasus: counting tokens"
with_parts python rows.py
echo "alpagasus: training"`;

/** Steps between checkpoints, so that there are about ten in the whole training. */
export function saveSteps({ steps }: TrainingPlan): number {
  return Math.max(1, Math.ceil(steps / 10));
}

/** The data type of the weights in memory. */
export function weightType({ settings: { method, precision } }: TrainingPlan): "float32" | "bfloat16" | "float16" {
  return method === "full" || precision === "fp32" ? "float32" : precision === "bf16" ? "bfloat16" : "float16";
}
