import { LineCounter, parseDocument, type Document } from "yaml";
import type * as z from "zod";
import { DataError } from "../errors.ts";
import { describeIssue } from "./describe-issue.ts";

/** A YAML file that fits its schema, and the lines of its fields. */
export interface YamlFile<File> {
  readonly file: File;
  /** `my.yaml:7`: the line of a field, or of its nearest parent that exists. */
  readonly at: (field: readonly PropertyKey[]) => string;
}

const longestYaml = 512 * 1024; // characters; keys are compared with each other

/**
 * Parses a YAML text and checks it against a schema.
 *
 * @param path for error messages
 * @param whole what the file is: `a recipe`
 * @throws DataError with the line and the field
 */
export function parseYaml<File>(text: string, path: string, schema: z.ZodType<File>, whole: string): YamlFile<File> {
  if (text.length > longestYaml)
    throw new DataError(
      `${path}: expected YAML of at most ${longestYaml / 1024} KB, got ${Math.ceil(text.length / 1024)} KB`,
    );
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const lineOf = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const at = (field: readonly PropertyKey[]) => lineOf(offsetOf(document, field));
  const [broken] = document.errors;
  if (broken) {
    const isDeep = /call stack/i.test(broken.message); // the parser's own words for it
    const problem = isDeep
      ? "expected fewer lists and maps inside each other, got more than can be read"
      : `expected YAML, got an error: ${broken.message}`;
    throw new DataError(`${lineOf(broken.pos[0])}: ${problem}`);
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (cause) {
    const problem =
      cause instanceof RangeError
        ? "lists and maps inside each other, too many to read"
        : "aliases that repeat each other too often"; // a bomb
    throw new DataError(`${path}: expected plain YAML, got ${problem}`, { cause });
  }
  const lost = findLostName(value);
  if (lost) throw new DataError(`${at(lost)}: expected another name than __proto__, which would be lost`);
  const found = schema.safeParse(value);
  if (found.success) return { file: found.data, at };
  const { issues } = found.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!; // a mistyped name explains a missing one
  const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  throw new DataError(`${at([...issue.path, ...unknown])}: ${describeIssue(issue, schema, value, whole)}`);
}

/** The path to a field named __proto__, which a schema leaves out without a word. */
function findLostName(value: unknown, seen: Set<unknown> = new Set()): PropertyKey[] | undefined {
  if (typeof value !== "object" || value === null || seen.has(value)) return undefined;
  seen.add(value); // an alias is the same object again
  if (Object.hasOwn(value, "__proto__")) return ["__proto__"];
  for (const [name, inner] of Object.entries(value)) {
    const path = findLostName(inner, seen);
    if (path) return [name, ...path];
  }
  return undefined;
}

/** The offset of a field, or of its nearest parent that exists. */
function offsetOf(document: Document, field: readonly PropertyKey[]): number {
  for (let depth = field.length; depth > 0; depth--) {
    const pair = findPair(document, field.slice(0, depth));
    if (pair !== undefined) return pair;
  }
  return document.range?.[0] ?? 0;
}

/** The offset of a value's key. */
function findPair(document: Document, path: readonly PropertyKey[]): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const items = typeof parent === "object" && parent !== null && "items" in parent ? parent.items : undefined;
  if (!Array.isArray(items)) return undefined;
  const name = String(path.at(-1));
  for (const item of items as { key?: { value?: unknown; range?: number[] } }[]) {
    if (String(item.key?.value) === name) return item.key?.range?.[0];
  }
  return undefined;
}
