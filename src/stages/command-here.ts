import { relative, resolve } from "node:path";
import { defaultRunFolder, type RunFolder } from "../run/run-folder.ts";
import { shellWord } from "../shell-word.ts";

const runOption = / --run(?:=| )('(?:[^']|'\\'')*'|\S+)/;

/**
 * A stage's command as it is to be typed now: it may have been typed in another folder, and the run may have another name since.
 *
 * @param command as the stage recorded it
 * @param workingFolder where it was typed, relative to the run's folder
 */
export function commandHere(
  command: string,
  { folder }: Pick<RunFolder, "folder">,
  workingFolder: string | undefined,
): string {
  if (workingFolder === undefined) return command;
  const origin = resolve(folder, workingFolder);
  const named = runOption.exec(command);
  const typed = named ? named[1]!.replace(/^'(.*)'$/s, "$1").replaceAll("'\\''", "'") : defaultRunFolder;
  const isSame = resolve(origin, typed) === resolve(folder);
  const place = shellWord(relative(origin, resolve(folder)) || ".");
  const told = isSame ? command : `${named ? command.replace(named[0], () => "") : command} --run ${place}`;
  return origin === process.cwd() ? told : `cd ${shellWord(relative(process.cwd(), origin) || ".")} && ${told}`;
}

/** The command without its choice of tasks: what comes after them is not done yet. */
export function withoutOnly(command: string): string {
  return command.replace(/ --only(?:=| )(?:(?!-)\S+)(?: (?!-)\S+)*/, "");
}
