import { isOneQuestion, renderSpoken, type ChatTurn, type Conversation } from "../dataset/conversation.ts";
import type { ExampleFields } from "../dataset/example.ts";
import type { conversationNames } from "./rubric.ts";

/*
 * How a judge reads a conversation: the parts that a template can show, and the instruction of rubrics that know of none.
 */

type Parts = Readonly<Record<(typeof conversationNames)[number], string>>;

/** The parts of an example's conversation, as texts. A triple is a conversation of one question. */
export function conversationParts(example: ExampleFields, leftOut = 0): Parts {
  const { instruction, input, reference = "" } = example;
  const { turns, tools, answer } = example.conversation ?? {
    turns: [{ role: "user", text: input === "" ? instruction : `${instruction}\n\n${input}` } as const],
    tools: [],
    answer: undefined,
  };
  const spoken = turns.filter(({ role }) => role !== "system");
  return {
    system: turns
      .filter(({ role }) => role === "system")
      .map(({ text }) => text)
      .join("\n\n"),
    turns: joinTurns(spoken, leftOut),
    reasoning: answer?.reasoning ?? "",
    tools: tools.length > 0 ? JSON.stringify(tools) : "",
    reference,
  };
}

const whatItIs =
  "[The following is a conversation. The response to rate is the assistant's next turn, given everything said before it.]";

/** The instruction for a rubric that was written for single questions: it says that it is a conversation, and what is rated. */
export function conversationInstruction({ instruction, conversation }: ExampleFields, leftOut = 0): string {
  if (!conversation || isOneQuestion(conversation)) return instruction;
  const { turns, tools } = conversation;
  const offered = tools.length > 0 ? [`Tools: ${JSON.stringify(tools)}`] : [];
  return [whatItIs, ...offered, joinTurns(turns, leftOut)].join("\n\n");
}

/** The turns after their speakers' names, without `leftOut` of them in the middle: after the first question, the oldest first. */
function joinTurns(turns: readonly ChatTurn[], leftOut: number): string {
  const from = firstOfMiddle(turns);
  const mark = leftOut === 1 ? "[one turn is left out here]" : `[${leftOut} turns are left out here]`;
  return [
    ...turns.slice(0, from).map(renderSpoken),
    ...(leftOut > 0 ? [mark] : []),
    ...turns.slice(from + leftOut).map(renderSpoken),
  ].join("\n\n");
}

function firstOfMiddle(turns: readonly ChatTurn[]): number {
  return turns.findIndex(({ role }) => role === "user") + 1;
}

/** How many turns can be left out: those between the first question and the last turn before the answer. */
export function middleTurns({ turns }: Pick<Conversation, "turns">): number {
  return Math.max(0, turns.length - 1 - firstOfMiddle(turns));
}
