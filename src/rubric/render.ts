import { escapePattern } from "../escape-pattern.ts";
import { hash } from "node:crypto";
import type { ExampleFields } from "../dataset/example.ts";
import type { Message } from "../llm/request.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import { formatCount } from "../format.ts";
import { conversationNames, pairConversationNames, type PairRubric, type Rubric } from "./rubric.ts";
import { flattenDialogues, pairParts, questionOf, type ShownPair } from "./show-dialogues.ts";
import { conversationInstruction, conversationParts, middleTurns } from "./show-conversation.ts";
import { freeNames } from "./template-names.ts";

export interface RenderedPrompt {
  readonly messages: readonly Message[];
  /**
   * Lines of the rubric's own text that a field of the example contains, such as the heading after the field. The judge may
   * take what follows for the rubric's words. Empty for almost all examples.
   */
  readonly intrusions: readonly string[];
  /** How many turns in the middle of the conversation are left out, because the prompt would be too long; absent for none. */
  readonly leftOut?: number | undefined;
}

/** Writes a rubric's prompt for an example. */
export type RenderPrompt = (example: ExampleFields) => RenderedPrompt;

/** @throws PromptTooLong when the prompt is over the rubric's limit without all turns that can be left out */
export function createRenderer({
  templates,
  max_prompt_tokens: limit,
}: Pick<Rubric, "templates"> & Partial<Pick<Rubric, "max_prompt_tokens">>): RenderPrompt {
  const used = [templates.user, ...(templates.system ? [templates.system] : [])].map(({ parsed }) => freeNames(parsed));
  const shown = conversationNames.filter((name) => used.some((names) => names.has(name)));
  const knowsTurns = shown.includes("turns");
  const render = createFieldRenderer(templates, ["instruction", "input", "output", "category", ...shown]);
  const renderWithout = (example: ExampleFields, leftOut: number): RenderedPrompt => {
    const { input, output, category } = example;
    const instruction = knowsTurns ? example.instruction : conversationInstruction(example, leftOut);
    const parts = shown.length > 0 ? conversationParts(example, leftOut) : undefined;
    const values = parts ? Object.fromEntries(shown.map((name) => [name, parts[name]])) : {};
    const boundary = boundaryOf(instruction, input, output, category ?? "", ...Object.values(values));
    return render({ instruction, input, output, category: category ?? "", ...values, boundary });
  };
  if (limit === undefined) return (example) => renderWithout(example, 0);
  return (example) => {
    const fitting = (leftOut: number): RenderedPrompt | undefined => {
      const prompt = renderWithout(example, leftOut);
      const tokens = prompt.messages.reduce((sum, { text }) => sum + estimateTokens(text), 0);
      return tokens <= limit ? prompt : undefined;
    };
    const whole = fitting(0);
    if (whole) return whole;
    let [few, many] = [0, example.conversation ? middleTurns(example.conversation) : 0];
    let best = many > 0 ? fitting(many) : undefined;
    if (!best) throw new PromptTooLong(limit);
    while (many - few > 1) {
      const between = Math.floor((few + many) / 2);
      const prompt = fitting(between);
      if (prompt) [many, best] = [between, prompt];
      else few = between;
    }
    return { ...best, leftOut: many };
  };
}

/** A prompt that cannot be made short enough. */
export class PromptTooLong extends Error {
  constructor(limit: number) {
    super(
      `the prompt has over ${formatCount(limit)} tokens, also without the turns in the middle (--max-prompt-tokens)`,
    );
  }
}

/** Writes the prompt of a pair rubric. Both orders of a pair have the same boundary. */
export function createPairRenderer({ templates }: Pick<PairRubric, "templates">): (pair: ShownPair) => RenderedPrompt {
  const used = [templates.user, ...(templates.system ? [templates.system] : [])].map(({ parsed }) => freeNames(parsed));
  const shown = pairConversationNames.filter((name) => used.some((names) => names.has(name)));
  const render = createFieldRenderer(templates, [
    "question",
    "instruction",
    "input",
    "answer_1",
    "answer_2",
    "category",
    ...shown,
  ]);
  return (pair) => {
    const { instruction, input, category, answers, question } = shown.includes("conversation_1")
      ? { ...pair, question: questionOf(pair) }
      : flattenDialogues(pair);
    const [first, second] = answers;
    const parts: Values = shown.length > 0 ? pairParts(pair) : {};
    const values = Object.fromEntries(shown.map((name) => [name, parts[name]!]));
    const fixed = Object.values(values).toSorted(); // the same in both orders, but for the letters of the answers
    return render({
      question,
      instruction,
      input,
      answer_1: first,
      answer_2: second,
      category: category ?? "",
      ...values,
      boundary: boundaryOf(instruction, input, category ?? "", ...[first, second].toSorted(), ...fixed),
    });
  };
}

type Values = Readonly<Record<string, string>>;

/** @param fields the names of the values that come from data */
function createFieldRenderer(
  { system, user }: Rubric["templates"],
  fields: readonly string[],
): (values: Values) => RenderedPrompt {
  const delimiters = new Map<string, readonly Delimiter[]>();
  return (values) => {
    const form = Object.values(values)
      .map((value) => (value === "" ? "0" : "1"))
      .join(""); // templates may leave out empty fields, so the delimiters depend on which are empty
    let known = delimiters.get(form);
    if (!known) {
      known = findDelimiters((marks) => user.render({ ...values, ...marks }), values, fields);
      delimiters.set(form, known);
    }
    return {
      messages: [
        ...(system ? [{ role: "system", text: system.render(values) } as const] : []),
        { role: "user", text: user.render(values) },
      ],
      intrusions: findIntrusions(values, fields, known),
    };
  };
}

const shownDelimiter = 60;
const longestHeading = 60; // characters
const shortestBoundary = 6; // hexadecimal digits that look like one
const shortestDelimiter = 4; // characters; shorter lines occur in any text
const mark = "\u{f0000}"; // a private-use character

/** A line of the rubric's own text, and how it is found in a row: its normalised form, or a pattern for one with the boundary. */
interface Delimiter {
  readonly line: string;
  readonly normal: string;
  readonly pattern?: RegExp | undefined;
}

/** A mark that no field contains. It is a hash of the fields, so writing it into a field would change it. */
function boundaryOf(...fields: readonly string[]): string {
  return hash("sha256", ["boundary", ...fields].join("\0")).slice(0, 32); // 128 bits
}

/** The rubric's lines next to each field, which a reader takes for the field's end or the next one's beginning. */
function findDelimiters(
  render: (marks: Record<string, string>) => string,
  values: Values,
  fields: readonly string[],
): Delimiter[] {
  const marks = Object.fromEntries(
    fields.filter((field) => values[field] !== "").map((field) => [field, `${mark}${field}${mark}`]),
  );
  const pieces = render(marks).split(new RegExp(`${mark}[a-z0-9_]+${mark}`, "u"));
  const found = new Set<string>();
  for (const [i, piece] of pieces.entries()) {
    const lines = piece
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
    if (i > 0 && lines[0]) found.add(lines[0]);
    if (i < pieces.length - 1 && lines.length > 0) found.add(lines.at(-1)!);
    for (const line of lines) if (isHeading(line)) found.add(line);
  }
  const boundary = values["boundary"]!;
  return [...found]
    .map((line) => toDelimiter(line, boundary))
    .filter(({ normal }) => normal.length >= shortestDelimiter);
}

/** A line such as `[System]`, `### Response:` or `User Prompt:`, which stands before words that the judge obeys. */
function isHeading(line: string): boolean {
  return line.length <= longestHeading && /^(\[[^\]]+\]|#{1,6}\s.*|[\p{L} ]+:)$/u.test(line);
}

/** A line with the boundary is found with any other in its place: a row cannot hold its own, but a judge may not look closely. */
function toDelimiter(line: string, boundary: string): Delimiter {
  if (!line.includes(boundary)) return { line, normal: normalise(line) };
  const parts = line.split(boundary).map((part) => escapePattern(normalise(part)));
  return {
    line: line.replaceAll(boundary, "…"),
    normal: normalise(line),
    pattern: new RegExp(parts.join(`[0-9a-f]{${shortestBoundary},}`), "u"),
  };
}

function findIntrusions(values: Values, fields: readonly string[], delimiters: readonly Delimiter[]): string[] {
  const found = new Set<string>();
  if (delimiters.length === 0) return [];
  for (const field of fields) {
    const text = values[field]!;
    if (text.length < shortestDelimiter) continue;
    const normalised = normalise(text);
    for (const { line, normal, pattern } of delimiters)
      if (pattern ? pattern.test(normalised) : normalised.includes(normal)) found.add(line.slice(0, shownDelimiter));
  }
  return [...found];
}

/**
 * Removes what a reader ignores: case, spaces, invisible characters, accents, the form of quotes and dashes, letters of other
 * alphabets that look like Latin ones, and how often a heading's mark is repeated.
 */
function normalise(text: string): string {
  return (/^[\x20-\x7e\s]*$/.test(text) ? text : toLatin(text))
    .toLowerCase()
    .replace(/\s+/g, "")
    .replace(/([#=*_-])\1+/g, "$1");
}

/** Letters, by code points, that look like the Latin ones below them: of the Cyrillic, Greek and Armenian alphabets. */
const lookAlikes =
  "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u03bf\u03b1\u03bd\u03c1\u03b9\u03ba\u03c4\u03c5\u0578\u057d\u0570\u0261\u0131\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406\u0408\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7";
const latin = "aeopcyxijsdqwhoavpiktunuhgiABEKMHOPCTXSIJABEZHIKMNOPTYX";
const toLookedLike = new Map(Array.from(lookAlikes, (letter, i) => [letter, latin[i]!]));

function toLatin(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/[\p{Cf}\p{Mn}\u115f\u1160\u2800\u3164\uffa0]+/gu, "")
    .replace(/[\u2018-\u201b\u2032\u00b4\u02bc]/g, "'")
    .replace(/[\u201c-\u201f\u2033\u00ab\u00bb]/g, '"')
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/[\u0131-\u0589]/g, (letter) => toLookedLike.get(letter) ?? letter);
}
