import { kindOf } from "../../errors.ts";
import { parseToPassOn, tryParse } from "../../files/try-parse.ts";
import type { ToolCall } from "../conversation.ts";
import type { Row } from "../example.ts";
import { FieldError, optionalLabel } from "../shape.ts";

/*
 * What a turn holds: calls of tools, a content in parts, reasoning. Data has them in many forms, also as JSON text. What cannot be
 * read makes the row unreadable, and is never left out: a training would learn something else than the row says.
 */

/** OpenAI's `tool_calls`, or its older `function_call`; also as JSON text, or one without a list. @throws FieldError at others */
export function readCalls(fields: Row, place: string): readonly ToolCall[] | undefined {
  const calls = listCalls(fields["tool_calls"], `"tool_calls" of ${place}`);
  const older = calls.length > 0 ? [] : listCalls(fields["function_call"], `"function_call" of ${place}`);
  return calls.length + older.length > 0 ? [...calls, ...older].map((call) => readCall(call, place)) : undefined;
}

function listCalls(given: unknown, place: string): readonly unknown[] {
  if (given === undefined || given === null || given === false) return [];
  const value: unknown = typeof given === "string" ? readJson(given) : given;
  if (value === null) return [];
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value !== "object")
    throw new FieldError(`expected ${place} to be calls of tools, or JSON of them, got ${kindOf(given)}`);
  const isNone = Object.values(value).every((one) => one === null); // some libraries write nulls
  return isNone || (value as Row)["name"] === null ? [] : [value];
}

/** JSON; null where a text says that there is none. */
function readJson(text: string): unknown {
  return /^\s*(?:none|null)?\s*$/i.test(text) ? null : tryParse(text, parseToPassOn);
}

function readCall(call: unknown, place: string): ToolCall {
  const given: unknown = typeof call === "string" ? (readJson(call) ?? call) : call; // a list of JSON texts
  const entry = (typeof given === "object" && given !== null ? given : {}) as Row; // an object read from JSON
  const inner = entry["function"] ?? entry;
  const called = (typeof inner === "object" && inner !== null ? inner : {}) as Row; // likewise
  const { name, arguments: args, parameters } = called;
  if (typeof name !== "string")
    throw new FieldError(
      `expected each tool call of ${place} to be an object with a "name", got ${typeof given === "object" && given !== null ? Object.keys(called).join(", ") || "nothing in it" : kindOf(given)}`,
    );
  const id = optionalLabel(entry, "id");
  return { name, arguments: args ?? parameters ?? {}, ...(id !== undefined && { id }) };
}

/** The calls that a turn's text holds as JSON: one, or a list. @throws FieldError when it is something else */
export function readCallText(text: unknown, place: string): readonly ToolCall[] {
  const value: unknown = typeof text === "string" ? tryParse(text, parseToPassOn) : text;
  if (typeof value !== "object" || value === null || (Array.isArray(value) && value.length === 0))
    throw new FieldError(`expected ${place} to hold a tool call as JSON, got ${kindOf(text)}`);
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((call) => readCall(call, place));
}

/** Reasoning in a field of its own, the first that is not empty; a text, or texts in parts. @throws FieldError at others */
export function readReasoning(fields: Row, place: string): string {
  for (const name of ["reasoning_content", "reasoning", "thinking", "reasoning_details"]) {
    const value = fields[name];
    if (value === undefined || value === null || value === false || value === true) continue; // whether there was some
    const text = typeof value === "string" ? value : readReasoningParts(value, `"${name}" of ${place}`);
    if (text !== "") return text;
  }
  return "";
}

/** Texts or summaries of reasoning, in a list or alone; what a provider encrypted cannot be read by anyone. */
function readReasoningParts(value: unknown, place: string): string {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  return parts
    .map((part) => {
      if (typeof part === "string") return part;
      const fields = (typeof part === "object" && part !== null ? part : {}) as Row; // an object read from JSON
      const text =
        fields["text"] ?? fields["thinking"] ?? fields["reasoning"] ?? fields["summary"] ?? fields["content"];
      if (typeof text === "string") return text;
      if (Array.isArray(text) && text !== value) return readReasoningParts(text, place);
      const isNone = Object.values(fields).every((one) => one === null);
      if (isNone || /encrypted|redacted/.test(String(fields["type"]))) return "";
      throw new FieldError(`expected ${place} to be a text, or a list of texts, got ${kindOf(value)}`);
    })
    .filter((text) => text !== "")
    .join("\n");
}

/** A content's text: one, or in parts, which belong together as they are. Parts of reasoning stand apart. */
export function readContent(content: unknown, place: string): { readonly text: string; readonly reasoning: string } {
  if (typeof content === "string") return { text: content, reasoning: "" };
  if (!Array.isArray(content))
    throw new FieldError(`expected ${place} to hold its text as "content" or "value", got ${kindOf(content)}`);
  const texts: string[] = [];
  const reasonings: string[] = [];
  for (const part of content as unknown[]) {
    const fields = (typeof part === "object" && part !== null ? part : { text: part }) as Row; // a message part read from JSON
    const type = fields["type"];
    const isReasoning = type === "thinking" || type === "reasoning";
    const text = (isReasoning ? fields[type] : undefined) ?? fields["text"];
    if (typeof text !== "string" || !(isReasoning || isTextPart(fields)))
      throw new FieldError(
        `expected every part of ${place} to be text, got ${typeof type === "string" && !isReasoning && type !== "text" ? type : "another kind"} (images cannot be rated; calls belong into "tool_calls")`,
      );
    (isReasoning ? reasonings : texts).push(text);
  }
  return { text: texts.join(""), reasoning: reasonings.join("\n") };
}

/** Whether a part is text alone: tables that hold several kinds give an empty text to images and calls. */
function isTextPart({ type, text, ...others }: Row): boolean {
  if (type === "text" || type === "input_text" || type === "output_text") return true;
  const holdsMore = Object.values(others).some((one) => typeof one === "object" && one !== null);
  return !holdsMore && (text !== "" || type === undefined || type === null);
}
