import type { Example } from "../../dataset/example.ts";
import type { TrainingPlan } from "../plan-training.ts";
import type { TrainingRecipe } from "../recipe.ts";
import { userMessage } from "../user-message.ts";

/** What one trainer wants of a training folder: the seam that every trainer implements. */
export interface TrainerFormat {
  readonly name: TrainerName;
  /** The file of `python/` that becomes the folder's `requirements.txt`. */
  readonly requirements: string;
  /** Scripts of `python/` that its commands run. */
  readonly scripts: readonly string[];
  /** A line of `data/train.jsonl`. */
  row(example: Fields, template: TrainingRecipe["template"]): object;
  /** Settings by file name. @throws UsageError when it cannot train as planned */
  files(plan: TrainingPlan, base: string): Readonly<Record<string, string>>;
  /** The folder's chat template, made of the Alpaca prompt's; left out where it has none of ours. */
  readonly chatTemplate?: (alpaca: string) => string;
  /** The lines of `run.sh` that train: `with_parts COMMAND`; `echo "alpagasus: …"` tells what is being done. */
  readonly commands: string;
  /** Where it does otherwise than the recipe says, a line each. */
  departures(plan: TrainingPlan): readonly string[];
}

export type Fields = Pick<Example, "instruction" | "input" | "output">;

export const trainerNames = ["trl", "axolotl", "llama-factory"] as const;
export type TrainerName = (typeof trainerNames)[number];

/** The chat template's file in the folder, where it is not the base's own. */
export const chatTemplateFile = "chat_template.jinja";

/** A row as a conversation. */
export function toMessages(
  { instruction, input, output }: Fields,
  template: TrainingRecipe["template"],
): { prompt: { role: string; content: string }[]; completion: { role: string; content: string }[] } {
  return {
    prompt: [{ role: "user", content: userMessage({ instruction, input }, template) }],
    completion: [{ role: "assistant", content: output }],
  };
}

/** Counts the tokens of rows that are messages, and lets the template begin as the tokenizer does. */
export const countTokens = `echo "alpagasus: counting tokens"
with_parts python rows.py
echo "alpagasus: training"`;

/** How often a checkpoint is kept: ten times over the whole training. */
export function saveSteps({ steps }: TrainingPlan): number {
  return Math.max(1, Math.ceil(steps / 10));
}

/** The type that weights are held in. */
export function weightType({ settings: { method, precision } }: TrainingPlan): "float32" | "bfloat16" | "float16" {
  return method === "full" || precision === "fp32" ? "float32" : precision === "bf16" ? "bfloat16" : "float16";
}
