import { kindOf } from "../../errors.ts";
import { parseToPassOn, tryParse } from "../../files/try-parse.ts";
import { splitReasoning, type ChatTurn, type Conversation } from "../conversation.ts";
import { isTooDeep, maxDepth } from "../depth.ts";
import type { ExampleFields, Row } from "../example.ts";
import { FieldError, optionalLabel, optionalText } from "../shape.ts";

/*
 * What stands in columns of its own beside a question or a conversation: a system text, earlier turns, tools, options of the chat template.
 * A column of such a name may mean something else (a text `history`, a number `tools`): it is then passed over, and told as one that is not
 * shown. What is nearly right makes the row unreadable.
 */

const rename = "rename the column if it holds something else";

/** The columns of a row that have one of these names and another meaning; of rows whose fields have columns. */
export function otherMeanings(row: Row): string[] {
  return [
    ...(["system", "system_prompt"] as const).filter((name) => isOtherText(row[name])),
    ...(isOtherHistory(row["history"]) ? ["history"] : []),
    ...(["tools", "functions"] as const).filter((name) => isOtherTools(row[name])),
    ...(isOtherOptions(row["chat_template_kwargs"]) ? ["chat_template_kwargs"] : []),
  ];
}

function isOtherText(value: unknown): boolean {
  return typeof value === "number" || value === true;
}

/** Not where a text begins like a list of turns, which is one that cannot be read. */
function isOtherHistory(value: unknown): boolean {
  if (isNothing(value) || Array.isArray(value)) return false;
  return typeof value !== "string" || !/^\s*\[\s*(?:[[{"']|\])/.test(value);
}

/** Not where there is a tool, or a text that begins like one: these are tools, or nearly. */
function isOtherTools(value: unknown): boolean {
  if (isNothing(value) || isNoTool(value)) return false;
  if (typeof value === "string") return !/^\s*(?:\[\s*)?\{/.test(value);
  if (Array.isArray(value))
    return !value.some((one) => isTool(one) || (typeof one === "string" && isTool(tryParse(one))));
  return !isTool(value) && !(typeof value === "object" && Object.values(value!).some((one) => typeof one === "object"));
}

function isOtherOptions(value: unknown): boolean {
  const read: unknown = typeof value === "string" ? (tryParse(value) ?? value) : value;
  return !isNothing(value) && (typeof read !== "object" || Array.isArray(read));
}

/** A row without what has another meaning. */
export function withoutOtherMeanings(row: Row): Row {
  const others = new Set(otherMeanings(row));
  return others.size === 0 ? row : Object.fromEntries(Object.entries(row).filter(([name]) => !others.has(name)));
}

/** A system text in a column of its own: in the one that is named, or in `system` or `system_prompt`. @throws FieldError when it is no text */
export function readSystem(row: Row, column?: string): ChatTurn[] {
  const isNone = (value: unknown) => isNothing(value) || isOtherText(value);
  const [system, prompt] = [row["system"], row["system_prompt"]];
  if (column === undefined && !isNone(system) && !isNone(prompt) && textOf(system) !== textOf(prompt))
    throw new FieldError(
      'expected a system text in "system" or in "system_prompt", got others in both; leave out one column',
    );
  const name = column ?? (isNone(system) ? "system_prompt" : "system");
  const text = row[name];
  if (isNothing(text) || (column === undefined && isOtherText(text))) return [];
  if (typeof text !== "string")
    throw new FieldError(`expected ${JSON.stringify(name)} to be a text, got ${kindOf(text)}; ${rename}`);
  return [{ role: "system", text }];
}

function textOf(value: unknown): unknown {
  return typeof value === "string" ? value.trim() : value;
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === false || (typeof value === "string" && value.trim() === "");
}

/** Earlier turns, as a list of pairs of the user's and the assistant's words, or of messages. @throws FieldError when it is something else */
export function readHistory(row: Row, column: string, readMessages: (list: unknown[]) => ChatTurn[]): ChatTurn[] {
  const given = row[column];
  if (isNothing(given)) return [];
  const value: unknown = typeof given === "string" ? tryParse(given) : given; // as CSV holds it
  const wrong = () => new FieldError(`expected ${JSON.stringify(column)} to be a list of pairs of texts; ${rename}`);
  if (!Array.isArray(value)) throw wrong();
  const isMessage = (turn: unknown) => typeof turn === "object" && turn !== null && ("role" in turn || "from" in turn);
  if (value.length > 0 && value.every(isMessage)) return readMessages(value).map(splitReasoning);
  return value.flatMap((pair: unknown) => {
    const [asked, answered, ...more] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof asked !== "string" || typeof answered !== "string" || more.length > 0) throw wrong();
    return [{ role: "user", text: asked }, splitReasoning({ role: "assistant", text: answered })] satisfies ChatTurn[];
  });
}

/** The tools that are offered, in `tools` or in `functions`. @throws FieldError when they are no tools, or in both and not the same */
export function readTools(row: Row): readonly unknown[] {
  const [tools, functions] = [readToolsOf(row, "tools"), readToolsOf(row, "functions")];
  if (tools.length === 0 || functions.length === 0) return [...tools, ...functions];
  if (plain(tools) !== plain(functions))
    throw new FieldError('expected tools in "tools" or in "functions", got others in both; leave out one column');
  return tools;
}

/** Tools as text, to be compared: with their numbers as numbers. */
function plain(tools: readonly unknown[]): string {
  return JSON.stringify(JSON.parse(JSON.stringify(tools.map(bare))));
}

/** A tool without the object around it that OpenAI has. */
function bare(tool: unknown): unknown {
  const inner = typeof tool === "object" && tool !== null ? (tool as Row)["function"] : undefined;
  return inner ?? tool;
}

/** Tools as a list, as one alone, or as JSON text of these. @throws FieldError when it is something else */
function readToolsOf(row: Row, column: "tools" | "functions"): readonly unknown[] {
  const given = row[column];
  if (given === undefined || given === null || given === "") return [];
  const value: unknown = typeof given === "string" ? tryParse(given, parseToPassOn) : given;
  if (isTooDeep(value))
    throw new FieldError(`expected "${column}" of at most ${maxDepth} objects and lists inside each other, got more`);
  if (isNoTool(value) || isNoTool(given)) return [];
  if (Array.isArray(value))
    return value.map((one: unknown) =>
      typeof one === "string" && one.trimStart().startsWith("{") ? (tryParse(one, parseToPassOn) ?? one) : one,
    ); // a list of JSON texts
  if (isTool(value)) return [value];
  throw new FieldError(
    `expected "${column}" to be a list of tools, or JSON of one, got ${typeof given === "string" ? "other text" : kindOf(value)}; write [{…}] in place of {"name": {…}}, and ${rename}`,
  );
}

/** Whether a value says that there are no tools, also in the words that writers of tables have for it. */
function isNoTool(value: unknown): boolean {
  if (typeof value === "string") return /^\s*(none|null|\[\s*\]|\{\s*\})?\s*$/i.test(value);
  if (value === null || value === false || value === 0) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function isTool(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { name, type, function: called } = value as Row; // an object read from JSON
  const isBuiltIn = typeof type === "string" && type !== "function"; // OpenAI's: {"type": "web_search"}
  return isBuiltIn || typeof name === "string" || (typeof called === "object" && called !== null);
}

/** Options of the chat template; those that are null are not given. */
export function readTemplateOptions(row: Row): Pick<Conversation, "templateOptions"> {
  const kwargs = row["chat_template_kwargs"];
  const value: unknown = typeof kwargs === "string" ? tryParse(kwargs) : kwargs; // as CSV holds it
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  const given = Object.entries(value).filter(([, option]) => option !== null);
  return given.length > 0 ? { templateOptions: Object.fromEntries(given) } : {};
}

/** A reference answer, from the column that was named or from `reference` and `reference_answer`, where they hold text or a number. */
export function readReference(row: Row, column?: string): Pick<ExampleFields, "reference"> {
  if (column !== undefined) return { reference: optionalLabel(row, column) ?? optionalText(row, column) };
  const reference = optionalLabel(row, "reference") ?? optionalLabel(row, "reference_answer");
  return reference === undefined ? {} : { reference };
}
