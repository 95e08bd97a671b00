import { existsSync, statSync } from "node:fs";
import { armName, type Arm } from "../stages/compare.ts";
import { type Questions, readAnswers } from "../comparison/answers.ts";
import { readManifest, type RunFolder } from "../run/run-folder.ts";
import { expectPlainName } from "../run/name.ts";
import { UsageError } from "../errors.ts";

/** Opens an arm by what the user typed: a file, NAME=FILE, or the name of answers in the run. */
export async function openArm(text: string, run: RunFolder, questions: Questions | undefined): Promise<Arm> {
  const [, name, file] = (!existsSync(text) && /^([^=/\\]+)=(.+)$/s.exec(text)) || [];
  if (file !== undefined) {
    expectPlainName("NAME=FILE", name!);
    return { name: name!, ...(await readAnswers(file, questions)) };
  }
  const own = run.answersPath(text);
  if (!existsSync(text) && !existsSync(own) && !/\.[a-z]+$/i.test(text) && !/[/\\=:*]/.test(text)) {
    const answers = Object.keys((await readManifest(run))?.answers ?? {}).join(", ") || "none";
    throw new UsageError(`${text}: no such file, nor answers of that name in ${run.folder} (available: ${answers})`);
  }
  const isFile = statSync(text, { throwIfNoEntry: false })?.isFile() ?? false;
  return !isFile && /^[\w.-]+$/.test(text) && existsSync(own)
    ? { name: text, ...(await readAnswers(own)) }
    : { name: namedByFile(text), ...(await readAnswers(text, questions)) };
}

/** The questions of answers that do not hold them: a test set by name, or a file. */
export async function openQuestions(name: string): Promise<Questions> {
  const { openTestSets } = await import("../generation/test-sets.ts");
  return { name, prompts: await openTestSets([name], Infinity, "--questions") };
}

function namedByFile(path: string): string {
  const name = armName(path);
  expectPlainName(`${path} (give it another name with NAME=FILE)`, name);
  return name;
}
