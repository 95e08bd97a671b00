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
  if (given === undefined || given === null || given === false || given === 0) return [];
  const value: unknown = typeof given === "string" ? readJson(given) : given;
  if (value === null) return [];
  if (Array.isArray(value)) return value.filter((one) => !isNothing(one));
  if (typeof value !== "object")
    throw new FieldError(`expected ${place} to be calls of tools, or JSON of them, got ${kindOf(given)}`);
  if (isNothing(value) || (value as Row)["name"] === null) return []; // some libraries write nulls
  const lists = Object.entries(value);
  const first: unknown = lists[0]![1];
  if (!Array.isArray(first)) return [value];
  const areLists = lists.every(([, list]) => Array.isArray(list) && list.length === first.length);
  // a list of objects as `datasets` keeps it, an object of lists
  return areLists
    ? first.map((_, i) => Object.fromEntries(lists.map(([name, list]) => [name, (list as unknown[])[i]])))
    : [value];
}

/** Whether a value holds nothing: null, or an object or list of nothing else. */
function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === "") return true;
  return typeof value === "object" && Object.values(value).every(isNothing) && !("toJSON" in value);
}

/** JSON; null where a text says that there is none. */
function readJson(text: string): unknown {
  return /^\s*(?:none|null|nan)?\s*$/i.test(text) ? null : tryParse(text, parseToPassOn);
}

/** What a call without arguments may have; under any other name, arguments may stand that are not read. */
const besideName =
  /^(?:name|id|type|index|function|call_id|status|description|title|strict|results?|outputs?|response|error|(?:thought_)?signature|extra_content|server_label|tool_call_id|caller|cache_control|returns|created_at|timestamp|namespace)$/;

function readCall(call: unknown, place: string): ToolCall {
  const given: unknown = typeof call === "string" ? (readJson(call) ?? call) : call; // a list of JSON texts
  const entry = (typeof given === "object" && given !== null ? given : {}) as Row; // an object read from JSON
  const inner = entry["function"] ?? entry;
  const called = (typeof inner === "object" && inner !== null ? inner : {}) as Row; // likewise
  const { name } = called;
  if (typeof name !== "string")
    throw new FieldError(
      `expected each tool call of ${place} to be an object with a "name", got ${typeof given === "object" && given !== null ? Object.keys(called).join(", ") || "nothing in it" : kindOf(given)}`,
    );
  const args = ["arguments", "args", "parameters", "input"].map((key) => called[key]).find((one) => one != null);
  const other = Object.keys(called).find((key) => !besideName.test(inWords(key)) && !isNothing(called[key]));
  if (args === undefined && other !== undefined)
    throw new FieldError(
      `expected the tool call ${name} of ${place} to have its "arguments", got ${JSON.stringify(other)}`,
    );
  const id = optionalLabel(entry, "id");
  return { name, arguments: args ?? {}, ...(id !== undefined && { id }) };
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
    const isMark = typeof value === "boolean" || (typeof value === "string" && /^(true|false)$/i.test(value));
    if (isNothing(value) || isMark) continue; // it says whether there was some
    const text = typeof value === "string" ? value : readReasoningParts(value, `"${name}" of ${place}`);
    if (text !== "") return text;
  }
  return "";
}

/** Of a request for reasoning, or of a provider's own use: nothing that was thought. */
const notThought =
  /^(?:effort|max_tokens|exclude|enabled|budget_tokens|generate_summary|type|format|id|index|signature|data|status|encrypted_content)$/;

/** Texts or summaries of reasoning, in a list or alone; what a provider encrypted cannot be read by anyone. */
function readReasoningParts(value: unknown, place: string): string {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  return parts
    .map((part) => {
      if (typeof part === "string") return part;
      const fields = (typeof part === "object" && part !== null ? part : {}) as Row; // an object read from JSON
      const text = ["text", "thinking", "reasoning", "summary", "content"]
        .map((key) => fields[key])
        .find((one) => one != null);
      if (typeof text === "string") return text;
      if (Array.isArray(text) && text !== value) return readReasoningParts(text, place);
      if (isHidden(fields)) return "";
      if (Object.entries(fields).every(([key, one]) => isNothing(one) || notThought.test(key))) return "";
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
    if (isHidden(fields)) continue;
    if (type === "thinking" || type === "reasoning" || fields["thought"] === true) {
      reasonings.push(readReasoningParts(fields, `the reasoning of ${place}`));
      continue;
    }
    const { text } = fields;
    if (typeof text !== "string" || !isTextPart(fields))
      throw new FieldError(
        `expected every part of ${place} to be text, got ${typeof type === "string" && type !== "text" ? type : "another kind"} (images cannot be rated; calls belong into "tool_calls")`,
      );
    texts.push(text);
  }
  return { text: texts.join(""), reasoning: reasonings.filter((one) => one !== "").join("\n") };
}

/** Whether a part is reasoning that a provider encrypted, which nobody can read. */
function isHidden({ type, text, data }: Row): boolean {
  if (typeof type !== "string" || !isNothing(text)) return false;
  return /redacted|encrypted/.test(type) && (/think|reason/.test(type) || typeof data === "string");
}

const textTypes = /^(?:(?:input|output|summary|plain|rich)_)?text$/;

/** A name as words: `imageUrl` and `image-url` are `image_url`. */
function inWords(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])|[-.]/g, "_").toLowerCase();
}

/** Whether a type or a field's name speaks of something else than text: `image_url`, `imageUrl`, `tool-call`. */
function isOtherKind(name: string): boolean {
  return /(?:^|_)(?:image|audio|video|file|document|tool|call)s?(?:_|$)/.test(inWords(name));
}

/** Whether a part is text alone: tables that hold several kinds give an empty text to images and calls. */
function isTextPart({ type, text, ...others }: Row): boolean {
  if (typeof type === "string" && textTypes.test(type)) return true;
  if (typeof type === "string" && isOtherKind(type) && !/^(?:file|document)_text$/.test(type)) return false;
  const more = Object.keys(others).filter((name) => !isNothing(others[name]));
  if (text === "" && typeof type === "string") return /^document_text$/.test(type) && more.length === 0;
  if (text === "") return more.every((name) => typeof others[name] === "number" && !isOtherKind(name));
  return !more.some(
    (name) => isOtherKind(name) && !/_index$|^(?:file|document|tool_call)_?(?:name|id)$/.test(inWords(name)),
  );
}
