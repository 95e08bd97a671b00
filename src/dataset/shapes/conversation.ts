import { kindOf } from "../../errors.ts";
import { parseExactly, tryParse } from "../../files/try-parse.ts";
import {
  isPlain,
  renderBefore,
  renderTurn,
  splitReasoning,
  type ChatTurn,
  type Conversation,
} from "../conversation.ts";
import type { ExampleFields, Row } from "../example.ts";
import { otherMeanings, readReference, readSystem, readTemplateOptions, readTools } from "./beside.ts";
import { FieldError, optionalLabel, type Shape } from "../shape.ts";
import { readCalls, readCallText, readContent, readReasoning } from "./turn-parts.ts";

const roles: Record<string, ChatTurn["role"]> = {
  system: "system",
  developer: "system",
  user: "user",
  human: "user",
  prompter: "user",
  assistant: "assistant",
  gpt: "assistant",
  chatgpt: "assistant",
  model: "assistant",
  bing: "assistant",
  bard: "assistant",
  function_call: "assistant",
  tool_call: "assistant",
  tool: "tool",
  tool_response: "tool",
  tool_result: "tool",
  function: "tool",
  observation: "tool",
  ipython: "tool",
};
/** Speakers whose text is a call of a tool, as JSON. */
const callers: ReadonlySet<string> = new Set(["function_call", "tool_call"]);

/**
 * A list of turns in one column, written `{from, value}` (ShareGPT), `{role, content}` (chat messages) or as pairs
 * `{input, output}` (Capybara). Columns `system` and `tools` beside it belong to the conversation.
 *
 * The last assistant turn is the output; everything before it is the instruction. A single user turn is taken as it is;
 * longer conversations are joined turn by turn, each after its speaker's name. Turns after the output are not rated.
 */
export function conversationShape(name: string, column: string, turnKeys: string, beside: ColumnsBeside = {}): Shape {
  return {
    name,
    columns: `${column} (a list of ${turnKeys})`,
    matches: (row) => Array.isArray(listOf(row[column])),
    read: (row) => readConversation(row, column, beside),
    passesOver: (row) =>
      otherMeanings(row).filter((other) => /^(?:system|chat)/.test(other) && other !== beside.system),
  };
}

/** Columns beside the turns, where the user named them. */
export interface ColumnsBeside {
  readonly system?: string | undefined;
  readonly reference?: string | undefined;
  readonly category?: string | undefined;
  readonly id?: string | undefined;
}

function readConversation(row: Row, column: string, beside: ColumnsBeside): ExampleFields {
  return conversationFields(readTurns(row[column], column), { row, place: JSON.stringify(column), beside });
}

/** The list that a column holds, also as JSON text, as tables have it. */
export function listOf(value: unknown): unknown {
  return typeof value === "string" && value.trimStart().startsWith("[")
    ? (tryParse(value, parseExactly) ?? value)
    : value;
}

/** The turns of a column. @throws FieldError when they are not turns */
export function readTurns(given: unknown, column: string): ChatTurn[] {
  const value = listOf(given);
  if (!Array.isArray(value))
    throw new FieldError(`expected ${JSON.stringify(column)} to be a list of turns, got ${kindOf(value)}`);
  const turns = value.flatMap((turn, i) => readTurn(turn, `${column}[${i}]`));
  const isPairs = value.every((turn) => typeof (turn as Row)["input"] === "string"); // XTuner's, with the system text in each
  const [first] = turns;
  return isPairs
    ? turns.filter((turn) => turn === first || turn.role !== "system" || turn.text !== first?.text)
    : turns;
}

/** A conversation's fields from its turns, and from the columns beside them. @throws FieldError when no assistant turn is among them */
export function conversationFields(
  listed: readonly ChatTurn[],
  { row, place, beside = {} }: { readonly row: Row; readonly place: string; readonly beside?: ColumnsBeside },
): ExampleFields {
  const system = readSystem(row, beside.system).filter(
    ({ text }) => !listed.some((turn) => turn.role === "system" && turn.text === text),
  );
  const turns = [...system, ...listed];
  const last = turns.findLastIndex((turn) => turn.role === "assistant");
  if (last < 0)
    throw new FieldError(
      `expected an assistant turn in ${place}, got none in ${turns.length} ${turns.length === 1 ? "turn" : "turns"}`,
    );
  const conversation: Conversation = {
    turns: turns.slice(0, last).map(splitReasoning),
    answer: splitReasoning(turns[last]!),
    tools: readTools(row),
    ...readTemplateOptions(row),
  };
  return {
    instruction: renderBefore(conversation),
    input: "",
    output: renderTurn(conversation.answer),
    category: optionalLabel(row, beside.category ?? "category"),
    id: optionalLabel(row, beside.id ?? "id"),
    ...readReference(row, beside.reference),
    ...(!isPlain(conversation) && { conversation }),
    ...(last < turns.length - 1 && { turnsAfter: turns.length - 1 - last }),
  };
}

function readTurn(turn: unknown, place: string): ChatTurn[] {
  if (typeof turn !== "object" || turn === null || Array.isArray(turn)) {
    throw new FieldError(`expected ${place} to be an object, got ${kindOf(turn)}`);
  }
  const fields = turn as Row; // an object read from JSON
  const named = fields["role"] ?? fields["from"] ?? fields["speaker"];
  if (
    named === undefined &&
    fields["instruction"] === undefined &&
    typeof fields["input"] === "string" &&
    typeof fields["output"] === "string"
  )
    return [
      ...readSystem({ system: fields["system"] }, "system"), // XTuner's
      { role: "user", text: fields["input"] },
      { role: "assistant", text: fields["output"] },
    ];
  const name = typeof named === "string" ? named.toLowerCase() : "";
  const role = Object.hasOwn(roles, name) ? roles[name] : undefined;
  if (!role)
    throw new FieldError(
      `expected ${place} to name its speaker (user, assistant, system or tool, as "role" or "from"), got ${JSON.stringify(named) ?? "nothing"}`,
    );
  const key = ["content", "value", "text"].find((candidate) => fields[candidate] !== undefined) ?? "content";
  const content = fields[key];
  if (callers.has(name)) return [{ role, text: "", toolCalls: readCallText(content, place) }];
  const toolCalls = readCalls(fields, place);
  const { refusal } = fields;
  if (
    (content === null || content === undefined || content === "") &&
    typeof refusal === "string" &&
    refusal.trim() !== ""
  )
    throw new FieldError(
      `expected the text of ${place} in "${key}", got it in "refusal"; move it there, or leave out the row`,
    );
  const said =
    (content === null || content === undefined) && toolCalls
      ? { text: "", reasoning: "" }
      : readContent(content, place);
  const reasoning = readReasoning(fields, place) || said.reasoning;
  return [
    {
      role,
      text: said.text,
      ...(reasoning !== "" && { reasoning }),
      ...(toolCalls && { toolCalls }),
      ...(role === "tool" && { toolCallId: optionalLabel(fields, "tool_call_id") }),
      ...(typeof fields["name"] === "string" && { name: fields["name"] }),
      ...(role === "assistant" && readWeight(fields, place)),
    },
  ];
}

/** Whether a training learns the turn: OpenAI's `weight`, or `train` as axolotl's data has it. */
function readWeight({ weight, train }: Row, place: string): Pick<ChatTurn, "weight"> {
  const read = (name: string, value: unknown): boolean => {
    if (value === null || value === undefined) return true;
    const said = (typeof value === "string" ? value : JSON.stringify(value)).toLowerCase();
    if (/^(1(\.0*)?|true)$/.test(said)) return true;
    if (/^(0(\.0*)?|false)$/.test(said)) return false;
    throw new FieldError(`expected "${name}" of ${place} to be 0 or 1, or true or false, got ${JSON.stringify(value)}`);
  };
  return read("weight", weight) && read("train", train) ? {} : { weight: 0 };
}
