import { join } from "node:path";
import { toMessages, type MessageFields } from "../dataset/messages.ts";
import { pythonFolder } from "../python/uv.ts";
import type { MeasureTemplate } from "./measure-name.ts";
import type { RowParts } from "./measure.ts";

/** The file of the chat template that a model is given in place of its own. */
export function templateFile(template: MeasureTemplate): string | undefined {
  return template === "alpaca" ? join(pythonFolder, "alpaca.jinja") : undefined;
}

/** A row's prompt and answer as the model that measures gets them. */
export function toParts(example: MessageFields, template: MeasureTemplate): RowParts {
  const { instruction, input, output } = example;
  if (template === "plain") return { prompt: `${instruction}\n${input === "" ? "" : `${input}\n`}`, answer: output };
  const { prompt, completion, tools, chat_template_kwargs: own } = toMessages(example, template);
  return {
    prompt,
    answer: completion[0]!,
    options: { ...(tools && { tools }), ...(own && { chat_template_kwargs: own }) },
  };
}
