import type { Example } from "../dataset/example.ts";
import type { TrainingRecipe } from "./recipe.ts";

const separator = "\n\n### Input:\n"; // by which the Alpaca template finds the input in a message

/** The user's message, the same in training and when a prompt is answered. */
export function userMessage(
  { instruction, input }: Pick<Example, "instruction" | "input">,
  template: TrainingRecipe["template"],
): string {
  if (input === "") return instruction;
  return template === "alpaca" ? `${instruction}${separator}${input}` : `${instruction}\n\n${input}`;
}

/** Whether a chat template is the Alpaca prompt: it then contains the heading that it looks for. */
export function isAlpacaTemplate(chatTemplate: string): boolean {
  return chatTemplate.includes("### Input:");
}
