import { join, posix, sep } from "node:path";
import { DataError } from "../errors.ts";
import { shellWord } from "../shell-word.ts";

/*
 * Splits of a dataset, by the names of its files and folders. A pool of several would be trained on its tests.
 */

const splitName = /(^|[^a-z])(train|training|test|validation|valid|val|dev|eval)([^a-z]|$)/i;
const sameSplit: Readonly<Record<string, string>> = {
  training: "train",
  valid: "validation",
  val: "validation",
  dev: "validation",
  eval: "test",
};

/**
 * @param paths of the data files, below the dataset's folder
 * @param nameOf how one split is named, by the word for it and its files
 * @throws DataError when the files are of several splits
 */
export function expectOneSplit(
  source: string,
  paths: readonly string[],
  nameOf: (word: string, paths: readonly string[]) => string,
): void {
  const splits = new Map<string, { readonly word: string; readonly paths: string[] }>();
  for (const path of paths) {
    const [, , word] = splitName.exec(path) ?? [];
    if (word === undefined) continue;
    const split = sameSplit[word.toLowerCase()] ?? word.toLowerCase();
    if (!splits.has(split)) splits.set(split, { word, paths: [] });
    splits.get(split)!.paths.push(path);
  }
  if (splits.size < 2) return;
  const { word, paths: files } = splits.get("train") ?? [...splits.values()][0]!;
  throw new DataError(
    `${source}: expected one split, found ${[...splits.keys()].join(", ")}; name one of them, for example ${nameOf(word, files)}`,
  );
}

/**
 * Configurations of a dataset lie in folders of their own, with the same names of files in each. A pool of them would have rows twice, or
 * in versions.
 *
 * @param nameOf how one is named, by its folder
 * @throws DataError when the files are of several
 */
export function expectOneConfiguration(
  source: string,
  paths: readonly string[],
  nameOf: (folder: string) => string,
): void {
  const folders = new Map<string, string[]>();
  for (const path of paths) {
    const name = posix.basename(path);
    if (!splitName.test(name)) continue;
    folders.set(name, [...(folders.get(name) ?? []), posix.dirname(path)]);
  }
  const several = [...folders.values()].find((found) => found.length > 1);
  if (!several) return;
  throw new DataError(
    `${source}: expected one configuration, found ${several.slice(0, 10).join(", ")}${several.length > 10 ? ", …" : ""}; name one of them, for example ${nameOf(several[0]!)}`,
  );
}

const mostNamed = 4;

/**
 * How files are named on a command line: one by itself, several by a pattern that no other file matches, or else one by one.
 *
 * @param others the folder's other files
 */
export function nameFiles(folder: string, files: readonly string[], others: readonly string[]): string {
  const [first = ""] = files;
  const inFolder = (path: string) => shellWord(join(folder, path));
  if (files.length === 1) return inFolder(first);
  let head = first.length;
  for (const file of files) while (!file.startsWith(first.slice(0, head))) head--;
  let tail = first.length;
  for (const file of files) while (!file.endsWith(first.slice(first.length - tail))) tail--;
  const alike = first.slice(first.length - tail);
  const end = alike.includes(".") ? alike.slice(alike.indexOf(".")) : "";
  const begin = first.slice(0, head);
  const isAlike = (path: string) =>
    path.startsWith(begin) && path.endsWith(end) && !path.slice(begin.length).includes(sep);
  const isPattern = !/[[\]{}()!?*]/.test(join(folder, begin)) && files.every(isAlike) && !others.some(isAlike);
  if (isPattern) return inFolder(`${begin}*${end}`);
  return `${files.slice(0, mostNamed).map(inFolder).join(" ")}${files.length > mostNamed ? ` and ${files.length - mostNamed} more` : ""}`;
}
