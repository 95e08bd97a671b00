/*
 * Makes testsets/ from published sets, in ../shared/data/testsets: one shape, prompts and, where a judge is given them, references.
 *
 *   node scripts/make-testsets.ts
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPrompts } from "../src/dataset/prompts.ts";
import { packageFolder } from "../src/package-folder.ts";

const published = {
  vicuna: "vicuna_test_set.jsonl",
  koala: "koala_test_set.jsonl",
  wizardlm: "wizardlm_test_set.jsonl",
  "self-instruct": "sinstruct_test_set.jsonl",
  "mt-bench": "mt_bench.jsonl",
};

const folder = join(packageFolder, "testsets");
mkdirSync(folder, { recursive: true });
for (const [set, file] of Object.entries(published)) {
  const prompts = await readPrompts(join(packageFolder, "../shared/data/testsets", file));
  const lines = prompts.map(({ id, category, difficulty, instruction, input, turns, references }) =>
    JSON.stringify({
      id,
      set,
      ...(category !== undefined && { category }),
      ...(difficulty !== undefined && { difficulty }),
      ...(turns ? { turns } : { instruction, input }),
      ...(references && { references }),
    }),
  );
  writeFileSync(join(folder, `${set}.jsonl`), `${lines.join("\n")}\n`);
  console.log(`${set}: ${prompts.length} prompts`);
}
