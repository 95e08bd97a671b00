import { Command, Option } from "commander";
import { openDataset } from "../dataset/open.ts";
import { measureTemplates, type MeasureTemplate } from "../likelihood/measure-name.ts";
import { evaluateLoss } from "../stages/evaluate.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, parseMap, parsePositive, runOption } from "./options.ts";
import { renderLosses } from "./text/losses.ts";
import { plainJson } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";

interface EvaluateFlags {
  loss: string;
  models: string[];
  name?: string | undefined;
  shape?: string | undefined;
  map?: Record<string, string> | undefined;
  template?: MeasureTemplate | undefined;
  maxLength?: number | undefined;
  run: string;
  json?: boolean | undefined;
}

export function evaluateCommand(context: CommandContext): Command {
  return new Command("evaluate")
    .summary("compare models by their loss on answers that nobody trained on")
    .description(
      "Measures how unlikely each model finds the answers of a dataset (its loss), on this machine, and compares the first model with every other, item by item. Rows whose prompt is in the data that was rated are left out. Needs no judge and no key. It stands beside win rates: it favours the reference's style.",
    )
    .requiredOption("--loss <data>", "the held-out rows, with their answers: any dataset that rate takes")
    .requiredOption(
      "--models <model...>",
      "models that the run has trained (selected random; other seeds of them are found), folders, Hub ids, or smollm2",
    )
    .option("--name <name>", "a name for the results (the data's)")
    .option("--shape <name>", "how rows are laid out (detected)")
    .option("--map <fields>", "columns with other names: instruction=prompt,output=answer", parseMap)
    .addOption(
      new Option(
        "--template <name>",
        "how prompts are written: plain, the paper's, or the model's chat template (as each was trained, else chat)",
      ).choices(measureTemplates),
    )
    .option("--max-length <tokens>", "the most tokens of a row; what is beyond is not counted (2048)", parsePositive)
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus evaluate --loss heldout.jsonl --models selected random full
  alpagasus evaluate --loss heldout.jsonl --models smollm2 models/mine --template plain`,
    )
    .action(async (flags: EvaluateFlags) => {
      const { loss, models, name, shape, map, template, maxLength } = flags;
      const progress = openProgressLine();
      const dataset = await openDataset([loss], { signal: context.signal, shape, map });
      const summary = await evaluateLoss(dataset, {
        run: flags.run,
        models,
        name,
        template,
        maxLength,
        command: context.command,
        signal: context.signal,
        onProgress: progress.show,
      }).finally(progress.clear);
      process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderLosses(summary));
    });
}
