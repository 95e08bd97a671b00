import type { ChatTurn, Conversation } from "../dataset/conversation.ts";
import type { ConversationReport, PageText, TurnReport } from "./contract.ts";

/** A conversation as the page shows it. */
export function reportConversation({ turns, answer, tools }: Conversation): ConversationReport {
  return {
    ...(tools.length > 0 && { tools: { text: JSON.stringify(tools, null, 2) } }),
    turns: turns.map(reportTurn),
    answer: reportTurn(answer),
  };
}

function reportTurn({ role, text, reasoning, toolCalls }: ChatTurn): TurnReport {
  return {
    role,
    text: { text },
    ...(reasoning !== undefined && { reasoning: { text: reasoning } }),
    ...(toolCalls && {
      calls: toolCalls.map(({ name, arguments: given }) => ({
        name,
        given: { text: typeof given === "string" ? given : JSON.stringify(given, null, 2) },
      })),
    }),
  };
}

/** The same with every text through `change`, for example to cut it. */
export function mapTexts(
  { tools, turns, answer }: ConversationReport,
  change: (text: PageText) => PageText,
): ConversationReport {
  const changeTurn = ({ role, text, reasoning, calls }: TurnReport): TurnReport => ({
    role,
    text: change(text),
    ...(reasoning && { reasoning: change(reasoning) }),
    ...(calls && { calls: calls.map(({ name, given }) => ({ name, given: change(given) })) }),
  });
  return { ...(tools && { tools: change(tools) }), turns: turns.map(changeTurn), answer: changeTurn(answer) };
}
