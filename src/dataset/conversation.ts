/*
 * A row that is more than an instruction, an input and an answer: several turns, a system text, tools, reasoning.
 */

/** A call of a tool by the model. */
export interface ToolCall {
  readonly name: string;
  /** As the data has them: an object, or JSON text. */
  readonly arguments: unknown;
  readonly id?: string | undefined;
}

export interface ChatTurn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
  /** What the model wrote before its answer, where the data has it apart. */
  readonly reasoning?: string | undefined;
  /** The whole text, where the reasoning stood in it. */
  readonly written?: string | undefined;
  /** The reasoning of its own field, where some stood in the text too. */
  readonly apart?: string | undefined;
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** Of a tool's turn: which call it answers. */
  readonly toolCallId?: string | undefined;
  /** The tool's, or the speaker's own. */
  readonly name?: string | undefined;
  /** Of a turn that a training must not learn, as OpenAI's format marks it. */
  readonly weight?: 0 | undefined;
}

export interface Conversation {
  /** Everything before the answer, in order. */
  readonly turns: readonly ChatTurn[];
  /** The turn that is judged and learnt: the last of the assistant's. */
  readonly answer: ChatTurn;
  /** The tools that the model could call, as the data describes them. */
  readonly tools: readonly unknown[];
  /** Options of the chat template that the row names (`chat_template_kwargs`), such as `enable_thinking`. */
  readonly templateOptions?: Readonly<Record<string, unknown>> | undefined;
}

const speaker = { system: "System", user: "User", assistant: "Assistant", tool: "Tool" } as const;

/** Whether instruction and answer alone hold all of it. */
export function isPlain({ turns, answer, tools, templateOptions }: Conversation): boolean {
  const isSimple =
    answer.toolCalls === undefined &&
    answer.reasoning === undefined &&
    answer.weight === undefined &&
    templateOptions === undefined;
  return isSimple && isOneQuestion({ turns, tools });
}

/** Whether one question of the user is all that comes before the answer. */
export function isOneQuestion({ turns, tools }: Pick<Conversation, "turns" | "tools">): boolean {
  return turns.length === 1 && turns[0]!.role === "user" && tools.length === 0;
}

/** Whether somebody spoke before the last question; a system text counts for nobody. */
export function hasSeveralTurns({ conversation }: { readonly conversation?: Conversation | undefined }): boolean {
  return (conversation?.turns.filter(({ role }) => role !== "system").length ?? 0) > 1;
}

/** What comes before the answer, as one text: the user's words alone, else turn by turn after each speaker's name. */
export function renderBefore({ turns, tools }: Pick<Conversation, "turns" | "tools">): string {
  if (isOneQuestion({ turns, tools })) return turns[0]!.text;
  const offered = tools.length > 0 ? [`Tools: ${JSON.stringify(tools)}`] : [];
  return [...offered, ...turns.map(renderSpoken)].join("\n\n");
}

/** A turn after its speaker's name. */
export function renderSpoken(turn: ChatTurn): string {
  return `${speaker[turn.role]}: ${renderTurn(turn)}`;
}

/** A turn's text and its calls of tools, as judges read them; its reasoning is left out. */
export function renderTurn({ text, toolCalls = [] }: ChatTurn): string {
  const calls = toolCalls.map(
    ({ name, arguments: given }) => `[calls ${name} with ${typeof given === "string" ? given : JSON.stringify(given)}]`,
  );
  return [...(text === "" && calls.length > 0 ? [] : [text]), ...calls].join("\n");
}

const closing = "</think>";

/** Where reasoning ends that has its closing tag alone, on a line of its own: some chat templates put the opening one in the prompt. 0 where there is none. */
function endOfUnopened(text: string): number {
  const at = text.indexOf(closing);
  if (at < 0 || text.lastIndexOf(closing) !== at) return 0;
  const [before, after] = [text.slice(0, at), text.slice(at + closing.length)];
  const isInBlock = before.split("```").length % 2 === 0; // of code, which the answer shows
  if (isInBlock || before.includes("<think>") || !/(?:^|\n)[ \t]*$/.test(before.slice(-200))) return 0;
  const [gap] = /^[ \t]*\r?\n\s*/.exec(after) ?? [];
  return gap === undefined ? 0 : at + closing.length + gap.length;
}

const thought = /\s*<think>(.*?)<\/think>\s*/sy;

/** Takes reasoning that stands at the head of an answer, between `<think>` and `</think>`, out of its text; also beside reasoning of its own field. */
export function splitReasoning(turn: ChatTurn): ChatTurn {
  if (turn.role !== "assistant") return turn;
  const thoughts: string[] = [];
  let end = 0;
  for (;;) {
    thought.lastIndex = end;
    const found = thought.exec(turn.text);
    if (!found) break;
    thoughts.push(found[1]!.trim());
    end = thought.lastIndex;
  }
  if (thoughts.length === 0) {
    end = endOfUnopened(turn.text);
    if (end === 0) return turn;
    thoughts.push(turn.text.slice(0, turn.text.indexOf(closing)).trim());
  }
  const { reasoning: apart } = turn;
  return {
    ...turn,
    text: turn.text.slice(end),
    reasoning: [...(apart === undefined ? [] : [apart]), ...thoughts].filter((one) => one !== "").join("\n\n"),
    written: turn.text,
    ...(apart !== undefined && { apart }),
  };
}

/** A turn as chat templates and servers take it: with its reasoning where the data has it, in the text or apart. */
export function toChatMessage({
  role,
  text,
  reasoning,
  written,
  apart = written === undefined ? reasoning : undefined,
  toolCalls,
  toolCallId,
  name,
}: ChatTurn): Record<string, unknown> & { readonly role: string; readonly content: string } {
  return {
    role,
    content: written ?? text,
    ...(apart !== undefined && { reasoning_content: apart }),
    ...(toolCalls && {
      tool_calls: toolCalls.map(({ id, name: called, arguments: given }) => ({
        ...(id !== undefined && { id }),
        type: "function",
        function: { name: called, arguments: given },
      })),
    }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
    ...(role === "tool" && name !== undefined && { name }),
  };
}
