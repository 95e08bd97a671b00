import { hash } from "node:crypto";
import type { ExampleFields } from "../dataset/example.ts";
import type { Message } from "../llm/request.ts";
import type { PairRubric, Rubric } from "./rubric.ts";

export interface RenderedPrompt {
  readonly messages: readonly Message[];
  /**
   * Lines of the rubric's own text that a field of the example contains, such as the heading after the field. The judge may
   * take what follows for the rubric's words. Empty for almost all examples.
   */
  readonly intrusions: readonly string[];
}

/** Writes a rubric's prompt for an example. */
export type RenderPrompt = (example: ExampleFields) => RenderedPrompt;

/** Two answers to one prompt, in the order in which they are shown. */
export interface ShownPair {
  readonly instruction: string;
  readonly input: string;
  readonly category?: string | undefined;
  readonly answers: readonly [first: string, second: string];
}

export function createRenderer({ templates }: Pick<Rubric, "templates">): RenderPrompt {
  const render = createFieldRenderer(templates, ["instruction", "input", "output", "category"]);
  return ({ instruction, input, output, category }) =>
    render({
      instruction,
      input,
      output,
      category: category ?? "",
      boundary: boundaryOf(instruction, input, output, category ?? ""),
    });
}

/** Writes the prompt of a pair rubric. Both orders of a pair have the same boundary. */
export function createPairRenderer({ templates }: Pick<PairRubric, "templates">): (pair: ShownPair) => RenderedPrompt {
  const render = createFieldRenderer(templates, [
    "question",
    "instruction",
    "input",
    "answer_1",
    "answer_2",
    "category",
  ]);
  return ({ instruction, input, category, answers: [first, second] }) =>
    render({
      question: input === "" ? instruction : `${instruction} Input: ${input}`,
      instruction,
      input,
      answer_1: first,
      answer_2: second,
      category: category ?? "",
      boundary: boundaryOf(instruction, input, category ?? "", ...[first, second].toSorted()),
    });
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
const shortestDelimiter = 4; // characters; shorter lines occur in any text
const mark = "\u{f0000}"; // a private-use character

/** A line of the rubric's own text, and its normalised form for searching. */
interface Delimiter {
  readonly line: string;
  readonly normal: string;
}

/** A mark that no field contains. It is a hash of the fields, so writing it into a field would change it. */
function boundaryOf(...fields: readonly string[]): string {
  return hash("sha256", ["boundary", ...fields].join("\0")).slice(0, 12);
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
  }
  return [...found]
    .map((line) => ({ line, normal: normalise(line) }))
    .filter(({ line, normal }) => normal.length >= shortestDelimiter && !line.includes(values["boundary"]!));
}

function findIntrusions(values: Values, fields: readonly string[], delimiters: readonly Delimiter[]): string[] {
  const found = new Set<string>();
  if (delimiters.length === 0) return [];
  for (const field of fields) {
    const text = values[field]!;
    if (text.length < shortestDelimiter) continue;
    const normalised = normalise(text);
    for (const { line, normal } of delimiters)
      if (normalised.includes(normal)) found.add(line.slice(0, shownDelimiter));
  }
  return [...found];
}

/** Removes what a reader ignores: case, spaces, invisible characters, how often a heading's mark is repeated. */
function normalise(text: string): string {
  const plain = /^[\x20-\x7e\s]*$/.test(text) ? text : text.normalize("NFKC").replace(/\p{Cf}+/gu, "");
  return plain
    .toLowerCase()
    .replace(/\s+/g, "")
    .replace(/([#=*_-])\1+/g, "$1");
}
