import { Command } from "commander";
import type { CommandContext } from "./context.ts";
import { jsonOption, runOption } from "./options.ts";
import { addPageOptions, readPageFlags, type PageFlags } from "./page-options.ts";
import { renderReport } from "./text/report.ts";
import { plainJson } from "./text/plain-text.ts";

interface ReportFlags extends PageFlags {
  out?: string | undefined;
  run: string;
  json?: boolean | undefined;
}

export function reportCommand(context: CommandContext): Command {
  const command = new Command("report")
    .summary("write a run as one page that opens from disk")
    .description(
      "Writes report.html, one file with all figures of a run and a bounded sample of its rows and pairs. It opens from disk and makes no network requests. Also writes report.json with the same figures.",
    );
  return addPageOptions(command)
    .option("--out <file>", "the page's file (report.html in the run's folder); the JSON file is written next to it")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Exit code 3 if the rows could not be read because the data changed or is missing.

Examples:
  alpagasus report
  alpagasus report --against run:runs/other-rubric
  alpagasus report --run runs/published --size alpagasus2=9229 --size alpaca2=52002`,
    )
    .action(async (flags: ReportFlags) => {
      const { report } = await import("../stages/report.ts"); // imported here because it is large
      const summary = await report({
        run: flags.run,
        command: context.command,
        ...readPageFlags(flags),
        out: flags.out,
      });
      if (!summary.isComplete) context.exitCode = 3;
      process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderReport(summary));
    });
}
