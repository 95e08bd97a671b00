import { existsSync, readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { writeWhole } from "../files/atomic-file.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, runOption, seedOption } from "./options.ts";
import { renderLabels } from "./text/labels.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { exportLabels, isExport } from "../stages/export-labels.ts";
import { readAllLabels, summariseLabels } from "../page/people-labels.ts";
import { UsageError } from "../errors.ts";

interface LabelsFlags {
  arms?: [string, string] | undefined;
  export?: string | undefined;
  seed: number;
  run: string;
  json?: boolean | undefined;
}

export function labelsCommand(_context: CommandContext): Command {
  return new Command("labels")
    .summary("what people say of two arms, and whether the judge agrees with them")
    .description(
      "Counts the labels that people gave with view --label: the win rate by people, how far they agree with each other (Fleiss' and Cohen's kappa) and with themselves, and how far each judge agrees with the majority.",
    )
    .option("--arms <a b>", "the two arms, in quotes, where the run has compared several", parseArms)
    .option("--export <file>", "also write all labels as a table: a name that ends in .csv or .json")
    .addOption(seedOption("the intervals"))
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus labels
  alpagasus labels --export labels.csv
  alpagasus compare selected random --labels runs/default/labels/selected-vs-random.by.people/maria.jsonl`,
    )
    .action(async ({ arms, export: out, seed, run, json }: LabelsFlags) => {
      if (out !== undefined && !/\.(csv|json)$/i.test(out))
        throw new UsageError(`--export: expected a name that ends in .csv or .json, got ${JSON.stringify(out)}`);
      const summary = await summariseLabels({ run, arms, seed });
      if (out !== undefined && existsSync(out) && !isExport(readFileSync(out, "utf8")))
        throw new UsageError(
          `${out}: expected no file or an older export there, got a file that is none; choose another --export`,
        );
      if (out !== undefined)
        await writeWhole(out, exportLabels(await readAllLabels({ run, arms }), /\.csv$/i.test(out) ? "csv" : "json"));
      process.stdout.write(json ? `${plainJson(summary, 2)}\n` : renderLabels(summary));
      if (out !== undefined && !json) process.stdout.write(`  exported ${plainText(out)}\n`);
    });
}

/** Two arms in one argument: `selected random`. */
export function parseArms(text: string): [string, string] {
  const [a, b, ...more] = text.trim().split(/[\s,]+/);
  if (a === undefined || b === undefined || more.length > 0 || a === b)
    throw new InvalidArgumentError('Expected two arms in quotes, as in "selected random".');
  return [a, b];
}
