import { readdir, readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { LineCounter, parseDocument, type Document } from "yaml";
import * as z from "zod";
import { DataError, messageOf, UsageError } from "../errors.ts";
import { packageFolder } from "../package-folder.ts";
import { createRubric, parseTemplate, rubricSchema, templateNames, type Rubric } from "./rubric.ts";

const shippedFolder = join(packageFolder, "rubrics");

const defaultRubric = "alpagasus-accuracy";

/** The names of the rubrics that ship with the package. */
export async function listRubrics(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files.filter((file) => extname(file) === ".yaml").map((file) => basename(file, ".yaml"));
}

/**
 * The rubric of a shipped name, or in a YAML file.
 *
 * @throws UsageError when no rubric has that name
 * @throws DataError when the file is not a rubric, naming the line
 */
export async function openRubric(nameOrFile: string = defaultRubric): Promise<Rubric> {
  const isFile = /[./\\]/.test(nameOrFile);
  if (isFile) return readRubric(nameOrFile, nameOrFile);
  const names = await listRubrics();
  if (!names.includes(nameOrFile))
    throw new UsageError(
      `--rubric: expected ${names.join(", ")} or a file NAME.yaml, got ${JSON.stringify(nameOrFile)}`,
    );
  return readRubric(join(shippedFolder, `${nameOrFile}.yaml`), `${nameOrFile}.yaml`);
}

async function readRubric(path: string, shownAs: string): Promise<Rubric> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new DataError(`${shownAs}: expected a rubric, but it cannot be read: ${describe(cause)}`, { cause });
  }
  return parseRubric(text, shownAs);
}

function describe(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "no such file";
  return code === "EISDIR" ? "it is a folder" : messageOf(cause);
}

/** Reads a rubric's YAML. @param path for messages @throws DataError naming the line of the first thing that is wrong */
export function parseRubric(text: string, path: string): Rubric {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const [broken] = document.errors;
  if (broken) throw new DataError(`${at(broken.pos[0])}: expected YAML, got an error: ${broken.message}`);
  const found = rubricSchema.safeParse(document.toJS());
  if (!found.success) {
    const issue = found.error.issues[0]!;
    throw new DataError(`${at(offsetOf(document, issue))}: ${describeIssue(issue)}`);
  }
  const { user, system } = found.data;
  for (const field of ["system", "user"] as const) {
    const template = field === "user" ? user : system;
    if (template !== undefined) checkTemplate(template, field, at(offsetOf(document, { path: [field] })));
  }
  if (!/\boutput\b/.test(user))
    throw new DataError(
      `${at(offsetOf(document, { path: ["user"] }))}: expected "user" to show the response to rate with {{ output }}, got none`,
    );
  const { reply } = found.data;
  const properties = reply.format === "json" ? reply.schema?.["properties"] : undefined;
  if (reply.format === "json" && reply.schema && !(reply.score in Object(properties)))
    throw new DataError(
      `${at(offsetOf(document, { path: ["reply", "score"] }))}: expected "score" to name a property of the schema, got ${JSON.stringify(reply.score)}`,
    );
  return createRubric(found.data);
}

function checkTemplate(template: string, field: string, place: string): void {
  let names: Set<string>;
  try {
    names = freeNames(parseTemplate(template).parsed);
  } catch (cause) {
    throw new DataError(
      `${place}: expected "${field}" to be a Jinja template, got an error: ${messageOf(cause).split("\n", 1)[0]}`,
      { cause },
    );
  }
  for (const name of names) {
    if ((templateNames as readonly string[]).includes(name)) continue;
    throw new DataError(`${place}: expected "${field}" to use only ${templateNames.join(", ")}, got {{ ${name} }}`);
  }
}

const jinjaNames = ["loop", "range", "true", "false", "none", "True", "False", "None"];

/** The names that a template takes from outside. */
function freeNames(template: unknown): Set<string> {
  const used = new Set<string>();
  const bound = new Set<string>(jinjaNames);
  const visit = (node: unknown, key = ""): void => {
    if (Array.isArray(node)) return node.forEach((child) => visit(child, key));
    if (typeof node !== "object" || node === null) return;
    const { type, value } = node as { type?: string; value?: unknown }; // the parser's own nodes
    if (type === "Identifier") {
      const isOutside = !["filter", "test", "property", "name"].includes(key);
      if (isOutside && typeof value === "string") (key === "loopvar" || key === "assignee" ? bound : used).add(value);
      return;
    }
    for (const [name, child] of Object.entries(node)) {
      const isPlainMember = name === "property" && "computed" in node && node.computed === true;
      const isFilterCall = key === "filter" && name === "callee";
      visit(child, isPlainMember ? "" : isFilterCall ? "filter" : name);
    }
  };
  visit(template);
  return new Set([...used].filter((name) => !bound.has(name)));
}

/** Where in the file an issue is: the value it is about, or the nearest one above that exists. */
function offsetOf(document: Document, issue: { path: readonly PropertyKey[] }): number {
  for (let depth = issue.path.length; depth > 0; depth--) {
    const pair = findPair(document, issue.path.slice(0, depth));
    if (pair !== undefined) return pair;
  }
  return document.range?.[0] ?? 0;
}

/** The place of the key of a value. */
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

function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = field === "" ? Object.keys(rubricSchema.shape).join(", ") : "only the settings of a rubric";
    return `expected ${known}, got ${issue.keys.map((key) => JSON.stringify(field ? `${field}.${key}` : key)).join(", ")}`;
  }
  return field === "" ? `expected a rubric: ${issue.message}` : `"${field}": ${issue.message}`;
}
