import { kindOf } from "../../errors.ts";
import type { ExampleFields, Row } from "../example.ts";
import { FieldError, optionalLabel, type Shape } from "../shape.ts";

interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
}

const roles: Record<string, Turn["role"]> = {
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
  tool: "tool",
  function: "tool",
  observation: "tool",
  function_call: "assistant",
};
const speaker = { system: "System", user: "User", assistant: "Assistant", tool: "Tool" } as const;

/**
 * A list of turns in one column, written `{from, value}` (ShareGPT) or `{role, content}` (chat messages).
 *
 * The last assistant turn is the output; everything before it is the instruction. A single user turn is taken as it is;
 * longer conversations are joined turn by turn, each after its speaker's name. Turns after the output are not rated.
 */
export function conversationShape(name: string, column: string, turnKeys: string): Shape {
  return {
    name,
    columns: `${column} (a list of ${turnKeys})`,
    matches: (row) => Array.isArray(row[column]),
    read: (row) => readConversation(row, column),
  };
}

function readConversation(row: Row, column: string): ExampleFields {
  const value = row[column];
  if (!Array.isArray(value))
    throw new FieldError(`expected ${JSON.stringify(column)} to be a list of turns, got ${kindOf(value)}`);
  const turns = value.map((turn, i) => readTurn(turn, `${column}[${i}]`));
  const last = turns.findLastIndex((turn) => turn.role === "assistant");
  if (last < 0)
    throw new FieldError(`expected an assistant turn in ${JSON.stringify(column)}, got none in ${turns.length} turns`);
  return {
    instruction: renderTurns(turns.slice(0, last)),
    input: "",
    output: turns[last]!.text,
    category: optionalLabel(row, "category"),
    id: optionalLabel(row, "id"),
  };
}

function renderTurns(turns: readonly Turn[]): string {
  if (turns.length === 1 && turns[0]!.role === "user") return turns[0]!.text;
  return turns.map((turn) => `${speaker[turn.role]}: ${turn.text}`).join("\n\n");
}

function readTurn(turn: unknown, place: string): Turn {
  if (typeof turn !== "object" || turn === null || Array.isArray(turn)) {
    throw new FieldError(`expected ${place} to be an object, got ${kindOf(turn)}`);
  }
  const fields = turn as Row; // an object read from JSON
  const name = fields["role"] ?? fields["from"];
  const role = typeof name === "string" ? roles[name.toLowerCase()] : undefined;
  if (!role)
    throw new FieldError(
      `expected ${place} to name its speaker (user, assistant, system or tool, as "role" or "from"), got ${JSON.stringify(name) ?? "nothing"}`,
    );
  return { role, text: readContent(fields["content"] ?? fields["value"], place) };
}

function readContent(content: unknown, place: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content))
    throw new FieldError(`expected ${place} to hold its text as "content" or "value", got ${kindOf(content)}`);
  return content
    .map((part: unknown) => {
      const text = typeof part === "object" && part !== null ? (part as Row)["text"] : undefined; // a message part read from JSON
      if (typeof text !== "string")
        throw new FieldError(`expected every part of ${place} to be text, got another kind (images cannot be rated)`);
      return text;
    })
    .join("\n");
}
