import { readdir } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { basename, extname, join } from "node:path";
import * as z from "zod";
import { DataError, messageOf, UsageError } from "../errors.ts";
import { parseYaml, type YamlFile } from "../files/yaml-file.ts";
import { packageFolder } from "../package-folder.ts";
import { freeNames } from "./template-names.ts";
import {
  completeRubric,
  pairRubricSchema,
  pairTemplateNames,
  parseTemplate,
  rubricSchema,
  templateNames,
  type PairRubric,
  type Rubric,
} from "./rubric.ts";

/** A kind of rubric: the folder of the shipped ones, and the rules for its files. */
interface Kind<File> {
  /** What it is for, in words. */
  readonly purpose: string;
  readonly folder: string;
  readonly schema: z.ZodType<File>;
  readonly names: readonly string[];
  /** The variables that the prompt must show, and what each is in words. */
  readonly shows: readonly (readonly [name: string, what: string])[];
}

const shippedFolder = join(packageFolder, "rubrics");

const ratingKind: Kind<z.infer<typeof rubricSchema>> = {
  purpose: "rates rows, for rate --rubric",
  folder: shippedFolder,
  schema: rubricSchema,
  names: templateNames,
  shows: [["output", "the response to rate"]],
};

const pairKind: Kind<z.infer<typeof pairRubricSchema>> = {
  purpose: "compares two answers, for compare --rubric",
  folder: join(shippedFolder, "pairwise"),
  schema: pairRubricSchema,
  names: pairTemplateNames,
  shows: [
    ["answer_1", "the first answer"],
    ["answer_2", "the second answer"],
  ],
};

const defaultRubric = "alpagasus-accuracy";
const defaultPairRubric = "vicuna";

/** The names of the rubrics for rating that ship with the package. */
export function listRubrics(): Promise<string[]> {
  return listKind(ratingKind);
}

/** The names of the rubrics for comparing that ship with the package. */
export function listPairRubrics(): Promise<string[]> {
  return listKind(pairKind);
}

/**
 * Opens a shipped rubric by its name, or a rubric in a YAML file.
 *
 * @throws UsageError when no rubric has that name
 * @throws DataError when the file is not a rubric, naming the line
 */
export function openRubric(nameOrFile: string = defaultRubric): Promise<Rubric> {
  return openKind(ratingKind, nameOrFile, parseRubric);
}

/** Like `openRubric`, for a rubric that compares two answers. */
export function openPairRubric(nameOrFile: string = defaultPairRubric): Promise<PairRubric> {
  return openKind(pairKind, nameOrFile, parsePairRubric);
}

/** Reads a rubric's YAML. @param path for error messages @throws DataError naming the line of the first mistake */
export function parseRubric(text: string, path: string): Rubric {
  const { file, at } = parseFile(ratingKind, text, path);
  const { reply } = file;
  const properties = reply.format === "json" ? reply.schema?.["properties"] : undefined;
  if (reply.format === "json" && reply.schema && !(reply.score in Object(properties)))
    throw new DataError(
      `${at(["reply", "score"])}: expected "score" to name a property of the schema, got ${JSON.stringify(reply.score)}`,
    );
  return completeRubric(file);
}

/** Like `parseRubric`, for a rubric that compares two answers. */
export function parsePairRubric(text: string, path: string): PairRubric {
  return completeRubric(parseFile(pairKind, text, path).file);
}

async function listKind({ folder }: Kind<unknown>): Promise<string[]> {
  const files = await readdir(folder);
  return files.filter((file) => extname(file) === ".yaml").map((file) => basename(file, ".yaml"));
}

async function openKind<R>(
  kind: Kind<unknown>,
  nameOrFile: string,
  parse: (text: string, path: string) => R,
): Promise<R> {
  const isFile = /[./\\]/.test(nameOrFile);
  if (!isFile) {
    const names = await listKind(kind);
    if (!names.includes(nameOrFile))
      throw new UsageError(
        `--rubric: expected ${names.join(", ")} or a file NAME.yaml, got ${JSON.stringify(nameOrFile)}`,
      );
  }
  const path = isFile ? nameOrFile : join(kind.folder, `${nameOrFile}.yaml`);
  const shownAs = isFile ? nameOrFile : `${nameOrFile}.yaml`;
  let text: string;
  try {
    text = await readWhole(path, "utf8");
  } catch (cause) {
    throw new DataError(`${shownAs}: expected a rubric, but it cannot be read: ${describeRubricError(cause)}`, {
      cause,
    });
  }
  return parse(text, shownAs);
}

function describeRubricError(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "no such file";
  return code === "EISDIR" ? "it is a folder" : messageOf(cause);
}

/** Parses a file and checks it by its kind's rules. `at` gives the position of a setting in the file. */
function parseFile<File extends { user: string; system?: string | undefined }>(
  kind: Kind<File>,
  text: string,
  path: string,
): YamlFile<File> {
  const { file, at } = parseOwn(kind, text, path);
  const { user, system } = file;
  if (system !== undefined) checkTemplate(system, "system", at(["system"]), kind.names);
  checkTemplate(user, "user", at(["user"]), kind.names);
  if (system !== undefined) tryTemplate(system, "system", at(["system"]), kind.names);
  const shown = tryTemplate(user, "user", at(["user"]), kind.names);
  const isPlain = !/\{%|\{\{[^}]*(?:[[(|]|\bif\b)/.test(user); // what depends on a row may show what it does not show here
  for (const [name, what] of kind.shows) {
    const isShown = shown?.toLowerCase().includes(sample(name)) ?? true;
    if (!freeNames(parseTemplate(user).parsed).has(name) || (isPlain && !isShown))
      throw new DataError(`${at(["user"])}: expected "user" to show ${what} with {{ ${name} }}, got none`);
  }
  return { file, at };
}

/** A text that stands for a row's, and that no template has. */
function sample(name: string): string {
  return `7f3b${name.replaceAll("_", "")}`; // one word, whatever a template does with words
}

/**
 * What a template writes of a row that has all fields; undefined where it cannot be written of this one.
 *
 * @throws DataError when it has a filter or a test that does not exist
 */
function tryTemplate(template: string, field: string, place: string, names: readonly string[]): string | undefined {
  try {
    return parseTemplate(template).render(Object.fromEntries(names.map((name) => [name, sample(name)])));
  } catch (cause) {
    const [why] = messageOf(cause).split("\n", 1);
    if (!/^unknown\b/i.test(why!)) return undefined; // it may be written of rows
    throw new DataError(`${place}: expected "${field}" to be a template that can be written, got an error: ${why}`, {
      cause,
    });
  }
}

/** @throws DataError at the first mistake, or where the file is a rubric of the other kind */
function parseOwn<File>(kind: Kind<File>, text: string, path: string): YamlFile<File> {
  try {
    return parseYaml(text, path, kind.schema, "a rubric");
  } catch (error) {
    const other = [ratingKind, pairKind].find(({ folder, schema }) => {
      if (folder === kind.folder) return false;
      try {
        return Boolean(parseYaml<unknown>(text, path, schema, "a rubric"));
      } catch {
        return false;
      }
    });
    if (other)
      throw new DataError(`${path}: expected a rubric that ${kind.purpose}, got one that ${other.purpose}`, {
        cause: error,
      });
    throw error;
  }
}

function checkTemplate(template: string, field: string, place: string, known: readonly string[]): void {
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
    if (known.includes(name)) continue;
    throw new DataError(`${place}: expected "${field}" to use only ${known.join(", ")}, got {{ ${name} }}`);
  }
}
