import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { basename, dirname, extname, isAbsolute, join, relative, resolve } from "node:path";
import { DataError, UsageError, messageOf } from "../errors.ts";
import { parseYaml } from "../files/yaml-file.ts";
import { packageFolder } from "../package-folder.ts";
import { checkNames } from "./check-recipe.ts";
import { type ExperimentFile, experimentSchema } from "./recipe-schema.ts";

/*
 * The recipe of a whole experiment, as a YAML file: data and judges, arms, training, test prompts, and comparisons. Its JSON
 * Schema is published, so that editors can complete and check it.
 */

/** An experiment's parsed file, with its location. */
export interface ExperimentRecipe extends ExperimentFile {
  /** `my.yaml:7`, the line of a field, for messages. */
  readonly at: (field: readonly PropertyKey[]) => string;
  /** Resolves a path in the recipe, relative to the working directory. */
  readonly pathOf: (path: string) => string;
  readonly path: string;
  /** SHA-256 of the file's text. */
  readonly hash: string;
}

const shippedFolder = join(packageFolder, "recipes", "experiments");

/** The names of the experiments that ship with the package. */
export async function listExperiments(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files
    .filter((file) => extname(file) === ".yaml")
    .map((file) => basename(file, ".yaml"))
    .sort();
}

/**
 * Opens a shipped experiment by its name, or a YAML file.
 *
 * @throws UsageError when none has that name, DataError with line and field when the file is wrong
 */
export async function openExperiment(nameOrPath: string): Promise<ExperimentRecipe> {
  const isFile = /\.ya?ml$/i.test(nameOrPath);
  const names = await listExperiments();
  if (!isFile && !names.includes(nameOrPath))
    throw new UsageError(`expected ${names.join(", ")} or a YAML file, got ${JSON.stringify(nameOrPath)}`);
  const path = isFile ? nameOrPath : join(shippedFolder, `${nameOrPath}.yaml`);
  let text: string;
  try {
    text = await readWhole(path, "utf8");
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT"; // readFile fails with errors of this kind
    throw new DataError(
      isMissing
        ? `${path}: expected a recipe, found no such file; alpagasus init DATA writes one`
        : `${path}: cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  return parseExperiment(text, path);
}

/** @param path for messages, and to resolve the paths in it @throws DataError with line and field */
export function parseExperiment(text: string, path: string): ExperimentRecipe {
  if (text.trim() === "")
    throw new DataError(`${path}: expected a recipe, got an empty file; alpagasus init DATA writes one`);
  const { file, at } = parseYaml(text, path, experimentSchema, "a recipe");
  checkNames(file, at);
  return {
    ...file,
    at,
    path,
    hash: createHash("sha256").update(text).digest("hex"),
    pathOf: (named) => resolvePath(named, dirname(path)),
  };
}

/** Resolves a path from the recipe's folder, or else from the working directory. Names that are not files are kept. */
function resolvePath(named: string, folder: string): string {
  if (isAbsolute(named) || /^[a-z]+:/.test(named)) return named;
  const beside = join(folder, named);
  if (!existsSync(beside) && existsSync(named)) return named;
  const seenFromHere = relative(process.cwd(), resolve(beside));
  return /[/\\.]/.test(named) ? seenFromHere : existsSync(beside) ? seenFromHere : named;
}
