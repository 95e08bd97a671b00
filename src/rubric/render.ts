import { hash } from "node:crypto";
import type { ExampleFields } from "../dataset/example.ts";
import type { Message } from "../llm/request.ts";
import type { Rubric } from "./rubric.ts";

export interface RenderedPrompt {
  readonly messages: readonly Message[];
  /**
   * Parts of the rubric's own text that a field of the example contains, such as a heading that ends the field: the judge
   * may take what follows for the rubric's words. Empty for almost all examples.
   */
  readonly intrusions: readonly string[];
}

/** Writes a rubric's prompt for an example. */
export type RenderPrompt = (example: ExampleFields) => RenderedPrompt;

const fields = ["instruction", "input", "output"] as const;
const shownDelimiter = 60;
const mark = "\u{f0000}"; // for private use

export function createRenderer({ templates: { system, user } }: Rubric): RenderPrompt {
  const delimiters = new Map<string, readonly string[]>();
  return (example) => {
    const values = {
      instruction: example.instruction,
      input: example.input,
      output: example.output,
      category: example.category ?? "",
      boundary: boundaryOf(example),
    };
    const form = `${example.input === ""}${example.category === undefined}`; // templates may leave out what is empty
    let known = delimiters.get(form);
    if (!known) {
      known = findDelimiters((marks) => user.render({ ...values, ...marks }), values);
      delimiters.set(form, known);
    }
    return {
      messages: [
        ...(system ? [{ role: "system", text: system.render(values) } as const] : []),
        { role: "user", text: user.render(values) },
      ],
      intrusions: findIntrusions(values, known),
    };
  };
}

/** A mark that the example does not contain: who wants to write it into a field changes it by doing so. */
function boundaryOf({ instruction, input, output }: ExampleFields): string {
  return hash("sha256", `boundary\0${instruction}\0${input}\0${output}`).slice(0, 12);
}

/** The lines of the rubric's own text next to each field: what a reader takes for the field's end, or another's beginning. */
function findDelimiters(render: (marks: Record<string, string>) => string, values: Record<string, string>): string[] {
  const marks = Object.fromEntries(
    fields.filter((field) => values[field] !== "").map((field) => [field, `${mark}${field}${mark}`]),
  );
  const pieces = render(marks).split(new RegExp(`${mark}[a-z]+${mark}`));
  const found = new Set<string>();
  for (const [i, piece] of pieces.entries()) {
    const lines = piece.split("\n").map(normalise).filter(Boolean);
    if (i > 0 && lines[0]) found.add(lines[0]);
    if (i < pieces.length - 1 && lines.length > 0) found.add(lines.at(-1)!);
  }
  return [...found].filter((line) => line.length >= 4 && !line.includes(values["boundary"]!));
}

function findIntrusions(values: Record<string, string>, delimiters: readonly string[]): string[] {
  const found = new Set<string>();
  for (const field of fields) {
    const text = values[field]!;
    if (text.length < 4) continue;
    const normalised = normalise(text);
    for (const delimiter of delimiters)
      if (normalised.includes(delimiter)) found.add(delimiter.slice(0, shownDelimiter));
  }
  return [...found];
}

/** Case, and how much space there is, do not matter to a reader. */
function normalise(text: string): string {
  return text.toLowerCase().replace(/\s+/g, " ").trim();
}
