import { kindOf } from "../../errors.ts";
import { parseToPassOn, tryParse } from "../../files/try-parse.ts";
import { splitReasoning, type ChatTurn, type Conversation } from "../conversation.ts";
import { isTooDeep, maxDepth } from "../depth.ts";
import type { Row } from "../example.ts";
import { FieldError } from "../shape.ts";

/*
 * What stands in columns of its own beside a question or a conversation: a system text, earlier turns, tools, options of the chat template.
 * Where such a column holds something else, the row is unreadable: nothing is lost in silence.
 */

const rename = "rename the column if it holds something else";

/** A system text in a column of its own: in the one that is named, or in `system` or `system_prompt`. @throws FieldError when it is no text */
export function readSystem(row: Row, column?: string): ChatTurn[] {
  const name = column ?? (isNothing(row["system"]) ? "system_prompt" : "system");
  const text = row[name];
  if (isNothing(text)) return [];
  if (typeof text !== "string")
    throw new FieldError(`expected ${JSON.stringify(name)} to be a text, got ${kindOf(text)}; ${rename}`);
  return [{ role: "system", text }];
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === false || (typeof value === "string" && value.trim() === "");
}

/** Earlier turns, as a list of pairs of the user's and the assistant's words. @throws FieldError when it is something else */
export function readHistory(row: Row, column: string): ChatTurn[] {
  const given = row[column];
  if (isNothing(given) || isOtherHistory(given)) return [];
  const value: unknown = typeof given === "string" ? tryParse(given) : given; // as CSV holds it
  const wrong = () => new FieldError(`expected ${JSON.stringify(column)} to be a list of pairs of texts; ${rename}`);
  if (!Array.isArray(value)) throw wrong();
  return value.flatMap((pair: unknown) => {
    const [asked, answered, ...more] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof asked !== "string" || typeof answered !== "string" || more.length > 0) throw wrong();
    return [{ role: "user", text: asked }, splitReasoning({ role: "assistant", text: answered })] satisfies ChatTurn[];
  });
}

/** Whether a column `history` has another meaning: a text that is no list, such as a subject of school. */
export function isOtherHistory(value: unknown): boolean {
  return typeof value === "string" && !value.trimStart().startsWith("[");
}

/** The tools that are offered, in `tools` or in `functions`. @throws FieldError when they are no tools, or in both and not the same */
export function readTools(row: Row): readonly unknown[] {
  const [tools, functions] = [readToolsOf(row, "tools"), readToolsOf(row, "functions")];
  if (tools.length === 0 || functions.length === 0) return [...tools, ...functions];
  if (JSON.stringify(tools.map(bare)) !== JSON.stringify(functions.map(bare)))
    throw new FieldError('expected tools in "tools" or in "functions", got others in both; leave out one column');
  return tools;
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
  const isNone =
    value === null || value === false || value === 0 || (typeof value === "object" && Object.keys(value).length === 0);
  if (isNone || (typeof given === "string" && /^\s*(none|null)?\s*$/i.test(given))) return []; // also in the words that writers of tables have for it
  if (Array.isArray(value)) return value as unknown[];
  if (isTool(value)) return [value];
  throw new FieldError(
    `expected "${column}" to be a list of tools, or JSON of one, got ${typeof given === "string" ? "other text" : kindOf(value)}; write [{…}] in place of {"name": {…}}, and ${rename}`,
  );
}

function isTool(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { name, function: called } = value as Row; // an object read from JSON
  return typeof name === "string" || (typeof called === "object" && called !== null);
}

/** Options of the chat template; those that are null are not given. */
export function readTemplateOptions(row: Row): Pick<Conversation, "templateOptions"> {
  const value = row["chat_template_kwargs"];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  const given = Object.entries(value).filter(([, option]) => option !== null);
  return given.length > 0 ? { templateOptions: Object.fromEntries(given) } : {};
}
