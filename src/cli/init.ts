import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, relative, resolve } from "node:path";
import { Command } from "commander";
import { openDataset } from "../dataset/open.ts";
import { UsageError } from "../errors.ts";
import { formatCount, formatNumbered } from "../format.ts";
import { shellWord } from "../shell-word.ts";
import { packageFolder } from "../package-folder.ts";
import type { CommandContext } from "./context.ts";
import { parseMap, quotesOption, unreadableOption } from "./options.ts";
import { plainText } from "./text/plain-text.ts";

interface InitFlags {
  out: string;
  map?: Record<string, string> | undefined;
  quotes?: "double" | "none" | undefined;
  unreadable: "stop" | "skip";
}

export function initCommand(context: CommandContext): Command {
  return new Command("init")
    .summary("write a recipe for a whole experiment on your data")
    .description("Looks at the data and writes a recipe for an experiment on it, with comments; alpagasus run runs it.")
    .argument("<data>", "the dataset: a file, a folder, a pattern, or hf:owner/name")
    .option("--out <file>", "the recipe's file", "recipe.yaml")
    .option("--map <field=column,…>", "columns with other names: instruction=prompt,output=answer", parseMap)
    .addOption(quotesOption())
    .addOption(unreadableOption())
    .action(async (data: string, flags: InitFlags) => {
      if (!/\.ya?ml$/i.test(flags.out))
        throw new UsageError(`--out: expected a name that ends in .yaml, got ${JSON.stringify(flags.out)}`);
      if (existsSync(flags.out))
        throw new UsageError(`${flags.out}: expected no file there yet, found one; name another with --out`);
      const { map, quotes } = flags;
      const unreadable = flags.unreadable === "skip" ? "keep" : undefined;
      const dataset = await openDataset(data, { signal: context.signal, map, quotes, unreadable });
      let rows = 0;
      let unread = 0;
      for await (const batch of dataset.batches()) {
        rows += batch.length; // also checks that every row can be read
        unread += batch.filter((example) => example.unreadable !== undefined).length;
      }
      await writeFile(flags.out, writeRecipe(seenFrom(flags.out, data), { rows, unread }, dataset.shape.name, flags));
      process.stdout.write(
        `\nWrote ${plainText(flags.out)} for the ${formatNumbered(rows, "row", "rows")} of ${plainText(data)} (${dataset.shape.name} shape)\n\n  next  alpagasus run ${shellWord(flags.out)} --dry-run\n`,
      );
    });
}

/** The data's path relative to the recipe's folder; an absolute path or `hf:` name stays as it is. */
function seenFrom(recipe: string, data: string): string {
  return /^[a-z]+:/.test(data) || isAbsolute(data) ? data : relative(dirname(recipe), data);
}

const mostUnread = 0.01; // without max_unreadable
const paperShare = 17.75; // percent of Alpaca that AlpaGasus kept

function writeRecipe(
  data: string,
  { rows, unread }: { readonly rows: number; readonly unread: number },
  shape: string,
  { out, map, quotes, unreadable }: InitFlags,
): string {
  const own = basename(out).replace(/\.ya?ml$/i, "");
  const name =
    (own === "recipe" ? basename(data).replace(/\.[a-z.]+$/i, "") : own)
      .replace(/[^\w.-]+/g, "-")
      .replace(/^\W+/, "") || "experiment";
  const kept = Math.max(1, Math.round((rows * paperShare) / 100));
  const columns = map
    ? `map: { ${Object.entries(map)
        .map(([field, column]) => `${field}: ${JSON.stringify(column)}`)
        .join(", ")} }\n`
    : "";
  const marks = quotes === undefined ? "" : `quotes: ${quotes}\n`;
  const skipped = unreadable === "skip" ? `unreadable: skip # ${formatCount(unread)} rows, which are in no arm\n` : "";
  const share = Math.ceil((100 * unread) / rows) / 100;
  const allowed =
    share > mostUnread
      ? `\n  max_unreadable: ${share} # of the rows\n  min_coverage: ${Math.max(0, Math.floor(95 - 100 * share) / 100)} # rows that cannot be read have no score`
      : "";
  return `# yaml-language-server: $schema=${relative(resolve(dirname(out)), `${packageFolder}recipes/experiment.schema.json`)}
# An experiment: does training on selected rows of this data help? Run it with: alpagasus run ${shellWord(basename(out))}
name: ${name}

# ${formatCount(rows)} rows, ${shape} shape. Paths are relative to this file's folder.
data: ${JSON.stringify(data)}
${columns}${marks}${skipped}
# Budget in US dollars for all stages together, training included. Nothing is sent that could exceed it.
budget_usd: 50

# The judge that rates every row. The student needs no key and is for a rehearsal; a model costs money and rates better.
rate:
  judge: student # or "openai:gpt-5-mini", "anthropic:claude-haiku-4-5", "http://127.0.0.1:8000/v1#MODEL", "recorded:scores.json"${allowed}
  # rubric: alpagasus-accuracy # the paper's; others: ultrafeedback, deita-quality, deita-complexity, ds2, or a YAML file

# The training sets. The first is the one under test; the others are what it is measured against.
arms:
  selected: { top: 17.75% } # ${formatCount(kept)} rows, the share that AlpaGasus kept; or min_score: 4.5, on the judge's own scale
  random: { method: random } # the control: as many random rows, drawn anew for every training; it separates choosing rows from having fewer
  full: { method: full } # all rows: the baseline that selecting must beat

# Rows that overlap the test prompts: stop before training, remove them from every arm, or only note them.
contamination: stop

# How each arm is trained. paper-7b and paper-13b need GPUs; laptop trains a small model here.
train:
  recipe: laptop # or paper-7b, paper-13b, alpagasus2-qlora-7b, alpagasus2-qlora-13b, or a YAML file
  seeds: [42, 43, 44] # three trainings of each arm; one each would compare two models, not the effect of selecting
  # usd_per_hour: 20.48 # price of all GPUs together, so that the report can say what was saved

# Further models that answer the same prompts, to compare with.
# models: { chatgpt: "openai:gpt-5-mini" }

generate:
  tests: [vicuna, koala, wizardlm, self-instruct] # the paper's four, or files of yours
  limit: 20 # only the first prompts of each set; remove this line to use all 730
  max_output_tokens: 256 # 1024 in the paper

# The judges that compare the answers, in both orders. If several judges disagree, the result says so.
compare:
  judges: [student] # or ["openai:gpt-5-mini"]
`;
}
