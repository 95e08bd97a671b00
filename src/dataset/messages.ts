import { isOneQuestion, toChatMessage, type ChatTurn } from "./conversation.ts";
import type { Example } from "./example.ts";
import { parseToPassOn, tryParse } from "../files/try-parse.ts";
import { userMessage, type PromptTemplate } from "./user-message.ts";

/** What a row's messages are made of. */
export type MessageFields = Pick<Example, "instruction" | "input" | "output" | "conversation">;

/** A row as a conversation. */
export function toMessages(
  { instruction, input, output, conversation }: MessageFields,
  template: PromptTemplate,
): { prompt: Message[]; completion: Message[]; tools?: readonly unknown[]; chat_template_kwargs?: object } {
  const options = conversation?.templateOptions && { chat_template_kwargs: conversation.templateOptions };
  if (conversation && !isOneQuestion(conversation))
    return {
      prompt: conversation.turns.map(toTemplateMessage),
      completion: [toTemplateMessage(conversation.answer)],
      ...(conversation.tools.length > 0 && { tools: conversation.tools }),
      ...options,
    };
  return {
    ...options,
    prompt: [{ role: "user", content: userMessage({ instruction, input }, template) }],
    completion: [conversation ? toTemplateMessage(conversation.answer) : { role: "assistant", content: output }],
  };
}

type Message = Record<string, unknown> & { readonly role: string; readonly content: string };

/** A turn as chat templates take it: a call's arguments are an object, not JSON text. `train: false` marks what is not learnt. */
function toTemplateMessage({ toolCalls, ...turn }: ChatTurn): Message {
  const calls = toolCalls?.map(({ arguments: given, ...call }) => ({
    ...call,
    arguments: typeof given === "string" ? (tryParse(given, parseToPassOn) ?? given) : given,
  }));
  const message = toChatMessage(calls ? { ...turn, toolCalls: calls } : turn);
  return turn.weight === 0 ? { ...message, train: false } : message;
}
