import * as z from "zod";
import { UsageError } from "../errors.ts";

/*
 * Names of arms, models, answers and recipes. They become names of files and folders, keys of JSON objects and arguments of other
 * programs, so one rule holds for all of them.
 */

const mostCharacters = 100;
const wanted = `a name of at most ${mostCharacters} letters, digits, ".", "_" and "-" that begins with a letter, digit or "_"`;
const form = /^\w(?:[\w-]|\.(?=[\w-]))*$/;
const fileEnds = /\.(decisions|pid|partial|lock|json|jsonl)$/i; // of files beside it

/** Names that objects have of themselves: `constructor`, `__proto__`. */
const taken: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

function isName(name: string): boolean {
  return name.length <= mostCharacters && form.test(name) && !isReserved(name);
}

/** Whether a name of the right form stands for something else. */
function isReserved(name: string): boolean {
  return fileEnds.test(name) || taken.has(name);
}

const unreserved = `another name: names of objects' own, such as constructor, and the ends .decisions, .pid, .partial, .lock, .json and .jsonl are taken`;

/** @param option what is named, for the message: `--arm` @throws UsageError when it cannot be a name */
export function expectName(option: string, name: string): void {
  if (!isName(name))
    throw new UsageError(
      `${option}: expected ${isReserved(name) ? unreserved : wanted}; got ${JSON.stringify(name.slice(0, 2 * mostCharacters))}`,
    );
}

/** @throws UsageError when a name differs from another one by capital letters alone, since some disks keep one file for both */
export function expectOtherThan(option: string, name: string, others: readonly string[]): void {
  const alike = others.find((other) => other !== name && other.toLowerCase() === name.toLowerCase());
  if (alike !== undefined)
    throw new UsageError(
      `${option}: expected a name that differs from ${alike} by more than capital letters, since some disks keep one file for both, got ${name}`,
    );
}

/**
 * Checks a name that is shown and is part of a file's name, such as that of answers in a file.
 *
 * @throws UsageError when it cannot be one
 */
export function expectPlainName(option: string, name: string): void {
  if (name.length <= mostCharacters && !taken.has(name) && !/\p{Cc}/u.test(name) && name.trim() !== "") return;
  throw new UsageError(
    `${option}: expected a name of at most ${mostCharacters} characters, without control characters, other than constructor, __proto__ and the like, got ${JSON.stringify(name.slice(0, 2 * mostCharacters))}`,
  );
}

export const nameSchema = z
  .string()
  .max(mostCharacters)
  .regex(form, `expected ${wanted}`)
  .refine(isName, `expected ${wanted}`);
