import { relative, resolve } from "node:path";
import { defaultRunFolder, type RunFolder } from "./run-folder.ts";
import { realFolder } from "./recorded-path.ts";
import { decodeWord, shellWord } from "../shell-word.ts";

/**
 * A stage's command as it is to be typed now: it may have been typed in another folder, and the run may have another name since.
 *
 * @param command as the stage recorded it
 * @param workingFolder where it was typed, relative to the run's folder
 * @param usual the run that it means without --run, as seen from there
 */
export function commandHere(
  command: string,
  { folder }: Pick<RunFolder, "folder">,
  workingFolder: string | undefined,
  usual: string = defaultRunFolder,
): string {
  if (workingFolder === undefined) return command;
  const here = realFolder(resolve(folder));
  const origin = resolve(here, workingFolder);
  const words = splitWords(command);
  const at = words.findIndex((word) => word === "--run" || word.startsWith("--run="));
  const isApart = words[at] === "--run";
  const typed = at < 0 ? usual : isApart ? (words[at + 1] ?? "") : words[at]!.slice("--run=".length);
  const place = relative(origin, here) || ".";
  const others = at < 0 ? words : words.toSpliced(at, isApart ? 2 : 1);
  const end = others.indexOf("--"); // after it, all words are data
  const moved = others.toSpliced(end < 0 ? others.length : end, 0, "--run", place);
  const told = realFolder(resolve(origin, typed)) === here ? command : join(moved);
  return origin === process.cwd() ? told : `cd ${shellWord(relative(process.cwd(), origin) || ".")} && ${told}`;
}

/** The command without its choice of tasks: what comes after them is not done yet. */
export function withoutOnly(command: string): string {
  const words = splitWords(command);
  const at = words.findIndex((word) => word === "--only" || word.startsWith("--only="));
  if (at < 0) return command;
  let end = at + 1;
  while (end < words.length && !words[end]!.startsWith("-")) end++;
  return join(words.toSpliced(at, end - at));
}

/** The command with a flag that it may have already. */
export function withFlag(command: string, flag: string): string {
  const words = splitWords(command);
  const end = words.indexOf("--"); // after it, all words are data
  const at = end < 0 ? words.length : end;
  return words.slice(0, at).includes(flag) ? command : join(words.toSpliced(at, 0, flag));
}

/** The command without its limit of rows. */
export function withoutLimit(command: string): string {
  const words = splitWords(command);
  const end = words.indexOf("--"); // after it, all words are data
  const at = words.findIndex((word) => word === "--limit" || word.startsWith("--limit="));
  return at < 0 || (end >= 0 && at > end) ? command : join(words.toSpliced(at, words[at] === "--limit" ? 2 : 1));
}

function join(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/** The words of a command, as `shellWord` quoted them. */
function splitWords(command: string): string[] {
  return (command.match(/(?:\$'(?:[^'\\]|\\.)*'|[^\s'\\]|\\.|'[^']*')+/gs) ?? []).map((word) =>
    word.replace(
      /\$'((?:[^'\\]|\\.)*)'|'([^']*)'|\\(.)/gs,
      (_, coded: string | undefined, quoted: string | undefined, escaped: string | undefined) =>
        coded === undefined ? (quoted ?? escaped ?? "") : decodeWord(coded),
    ),
  );
}
