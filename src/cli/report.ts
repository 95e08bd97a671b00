import { Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import { readTrackers, type Tracker } from "../python/trackers.ts";
import type { ReportSummary } from "../stages/report.ts";
import { reportFormats, type ReportFormat } from "../stages/report-formats.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, runOption } from "./options.ts";
import { addPageOptions, readPageFlags, type PageFlags } from "./page-options.ts";
import { renderReport } from "./text/report.ts";
import { plainJson, plainLines, plainText } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";

interface ReportFlags extends PageFlags {
  out?: string | undefined;
  format: ReportFormat;
  failOn?: string[] | undefined;
  logTo?: Tracker[] | undefined;
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
    .option(
      "--out <file>",
      "the page's file (report.html in the run's folder), with the JSON file next to it; with another format, its file (printed)",
    )
    .addOption(
      new Option("--format <name>", "the page, or its figures: md for a summary in CI, junit for its test reports")
        .choices(reportFormats)
        .default("html"),
    )
    .option(
      "--fail-on <condition...>",
      'exit with 3 when a figure meets it: "winning_score < 1", "selected in mmlu: benchmark.low < 0.4"',
    )
    .option(
      "--log-to <tools>",
      "also log the figures and the page to tensorboard, wandb or mlflow, by its own library (installed by uv); several with commas",
      (text: string) => readTrackers(text, "--log-to"),
    )
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Exit code 3 if the rows could not be read because the data changed or is missing, or if a figure meets --fail-on.

Examples:
  alpagasus report
  alpagasus report --against run:runs/other-rubric
  alpagasus report --log-to mlflow
  alpagasus report --format md --fail-on "winning_score.low < 1"
  alpagasus report --run runs/published --size alpagasus2=9229 --size alpaca2=52002`,
    )
    .action(async (flags: ReportFlags) => {
      const { report, reportFigures, writeFigures } = await import("../stages/report.ts"); // imported here because it is large
      const { format, out, failOn } = flags;
      const end = ({ isComplete, failed }: { isComplete: boolean; failed: readonly string[] }) => {
        for (const one of failed) process.stderr.write(`alpagasus: ${plainText(one)}\n`);
        if (!isComplete || failed.length > 0) context.exitCode = 3;
      };
      if (format !== "html") {
        if (flags.logTo)
          throw new UsageError(`--log-to: logs the page with its figures, so it is not for --format ${format}`);
        if (flags.json) throw new UsageError("--json: is about the page; with --format json the figures are JSON");
        const figures = await reportFigures(format, { run: flags.run, ...readPageFlags(flags), failOn });
        if (out === undefined) process.stdout.write(process.stdout.isTTY ? plainLines(figures.text) : figures.text); // a terminal obeys what data says
        else await writeFigures(out, format, figures.text);
        for (const problem of figures.problems) process.stderr.write(`alpagasus: ${plainText(problem)}\n`);
        end(figures);
        return;
      }
      const summary = await report({
        run: flags.run,
        command: context.command,
        ...readPageFlags(flags),
        out,
        failOn,
      });
      const logged = await logTo(flags.logTo ?? [], summary, context);
      end(summary);
      process.stdout.write(
        flags.json ? `${plainJson({ ...summary, ...(flags.logTo && { logged }) }, 2)}\n` : renderReport(summary),
      );
    });
}

/** Logs a report to trackers, one after the other. @returns where it is, a line each */
async function logTo(tools: readonly Tracker[], summary: ReportSummary, { signal }: CommandContext): Promise<string[]> {
  const places: string[] = [];
  if (tools.length === 0) return places;
  const { logFigures } = await import("../stages/log-figures.ts");
  const progress = openProgressLine();
  for (const tool of tools) {
    const place = await logFigures(summary, { tool, signal, onProgress: progress.show }).finally(progress.clear);
    process.stderr.write(`alpagasus: ${tool}: logged to ${plainText(place)}\n`);
    places.push(place);
  }
  return places;
}
