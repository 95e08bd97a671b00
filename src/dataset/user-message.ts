import type { Example } from "./example.ts";

const separator = "\n\n### Input:\n"; // by which the Alpaca template finds the input in a message

/** `alpaca`: the paper's prompt. `chat`: the model's own chat template. */
export type PromptTemplate = "alpaca" | "chat";

/** The user's message, the same in training and when a prompt is answered. */
export function userMessage(
  { instruction, input }: Pick<Example, "instruction" | "input">,
  template: PromptTemplate,
): string {
  if (input === "") return instruction;
  return template === "alpaca" ? `${instruction}${separator}${input}` : `${instruction}\n\n${input}`;
}

/** Whether a chat template is the Alpaca prompt: it then contains the heading that it looks for. */
export function isAlpacaTemplate(chatTemplate: string): boolean {
  return chatTemplate.includes("### Input:");
}
