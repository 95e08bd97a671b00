import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { DataError, UsageError } from "../errors.ts";
import { readPrompts, type TestPrompt } from "../dataset/prompts.ts";
import { expectPlainName } from "../run/name.ts";
import { packageFolder } from "../package-folder.ts";

const shippedFolder = join(packageFolder, "testsets");

/** The names of the shipped test sets: the paper's four, and MT-Bench. */
export async function listTestSets(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files
    .filter((name) => extname(name) === ".jsonl")
    .map((name) => basename(name, ".jsonl"))
    .sort();
}

/**
 * Reads the prompts of shipped test sets, by name, and of files.
 *
 * @param most how many prompts to take of each set, from its beginning
 * @param option what named them, for messages
 * @throws UsageError for an unknown or repeated set, DataError for an unreadable file or an empty or repeated prompt
 */
export async function openTestSets(
  names: readonly string[],
  most = Infinity,
  option = "--tests",
): Promise<TestPrompt[]> {
  const shipped = await listTestSets();
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`${option}: expected each set once, got ${twice} again`);
  const prompts: TestPrompt[] = [];
  const seen = new Set<string>();
  for (const name of names) {
    const isShipped = shipped.includes(name);
    if (!isShipped && !existsSync(name) && /^[\w-]+$/.test(name))
      throw new UsageError(
        `${option}: expected ${shipped.join(", ")} or a file with prompts, got ${JSON.stringify(name)}`,
      );
    const path = isShipped ? join(shippedFolder, `${name}.jsonl`) : name;
    const counts = new Map<string, number>();
    for (const read of await readPrompts(path)) {
      const prompt = { ...read, set: read.set === path ? basename(path).replace(/\..*$/, "") : read.set };
      expectPlainName(`${path}: the name of its test set`, prompt.set);
      const key = `${prompt.set}\0${prompt.id}`;
      if (seen.has(key))
        throw new DataError(
          `${name}: expected each prompt once, got ${JSON.stringify(prompt.id)} of ${prompt.set} again; give each prompt its own "id", and sets of the same name different names ("set")`,
        );
      seen.add(key);
      if (`${prompt.instruction}${prompt.input}`.trim() === "")
        throw new DataError(
          `${name}: expected a prompt, got an empty one: ${JSON.stringify(prompt.id)} of ${prompt.set}`,
        );
      const count = (counts.get(prompt.set) ?? 0) + 1;
      counts.set(prompt.set, count);
      if (count <= most) prompts.push(prompt);
    }
  }
  return prompts;
}
