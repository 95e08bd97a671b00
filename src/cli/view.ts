import { once } from "node:events";
import { Command, InvalidArgumentError, Option } from "commander";
import { labelSampling, type LabelSampling } from "../comparison/label-sample.ts";
import { UsageError } from "../errors.ts";
import { formatCount, formatNumbered } from "../format.ts";
import { runFlag } from "../run/run-folder.ts";
import type { CommandContext } from "./context.ts";
import { parseArms } from "./labels.ts";
import { parseNumber, parsePositive, runOption, seedOption } from "./options.ts";
import { addPageOptions, readPageFlags, type PageFlags } from "./page-options.ts";
import { plainText } from "./text/plain-text.ts";

interface ViewFlags extends PageFlags {
  label?: string | undefined;
  arms?: [string, string] | undefined;
  sample?: number | undefined;
  by?: LabelSampling | undefined;
  repeats?: number | undefined;
  seed?: number | undefined;
  port?: number | undefined;
  run: string;
}

export function viewCommand(context: CommandContext): Command {
  const command = new Command("view")
    .summary("look through a run in the browser, every row of it")
    .description(
      "Serves a run's page on 127.0.0.1, with all rows and pairs, until it is interrupted. The page of a run in progress updates by itself. Nothing of the run is changed; labels (--label) are files of their own.",
    );
  return addPageOptions(command)
    .option(
      "--port <n>",
      "port to listen on; 0 means any free port (4620, or any free port if that is taken)",
      parsePort,
    )
    .optionsGroup("To label pairs by hand, blind:")
    .option("--label <annotator>", "show pairs without names instead, and keep this person's labels")
    .option("--arms <a b>", "the two arms, in quotes, where the run has compared several", parseArms)
    .option("--sample <n>", "pairs that everybody labels (160, or all); settled by the first annotator", parsePositive)
    .addOption(
      new Option(
        "--by <kind>",
        "which pairs: of each set its share, or first those whose judge contradicts itself (set)",
      ).choices(labelSampling),
    )
    .option(
      "--repeats <share>",
      "share of them that is shown again, to see how consistent a person is (10%)",
      parseRepeats,
    )
    .addOption(seedOption("which pairs are labelled, their order and sides").default(undefined))
    .optionsGroup("Options:")
    .addOption(runOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus view
  alpagasus view --label maria --sample 80            in another terminal: --label joe; then alpagasus labels`,
    )
    .action(async (flags: ViewFlags) => {
      const { view, viewLabels } = await import("../stages/view.ts"); // imported here because it is large
      const { label, arms, sample, by, repeats, seed } = flags;
      if (label === undefined) {
        const given = Object.entries({ arms, sample, by, repeats, seed }).find(([, value]) => value !== undefined);
        if (given) throw new UsageError(`--${given[0]}: expected --label with it, got none; --label ANNOTATOR`);
      } else {
        const ignored = Object.entries(readPageFlags(flags)).find(([, value]) => value !== undefined);
        if (ignored)
          throw new UsageError(
            `--${ignored[0] === "sizes" ? "size" : ignored[0]}: goes without --label, whose page shows pairs alone`,
          );
        await using viewer = await viewLabels({
          run: flags.run,
          port: flags.port,
          annotator: label,
          arms,
          size: sample,
          by,
          repeats,
          seed,
        });
        process.stdout.write(
          `${formatNumbered(viewer.pairs, "pair", "pairs")}${viewer.repeats > 0 ? `, ${formatCount(viewer.repeats)} of them shown again,` : ""} for ${plainText(label)} at ${viewer.url} until Ctrl-C; labels go to ${plainText(viewer.path)}\n`,
        );
        if (!context.signal.aborted) await once(context.signal, "abort");
        process.stdout.write(
          `closed; the same command goes on, and alpagasus labels${runFlag(flags.run)} shows what people say\n`,
        );
        return;
      }
      await using viewer = await view({
        run: flags.run,
        ...readPageFlags(flags),
        port: flags.port,
      });
      process.stdout.write(`${plainText(flags.run)} is shown at ${viewer.url} until Ctrl-C\n`);
      if (!context.signal.aborted) await once(context.signal, "abort");
      process.stdout.write("closed\n");
    });
}

function parseRepeats(text: string): number {
  const value = text.endsWith("%") ? parseNumber(text.slice(0, -1)) / 100 : parseNumber(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("Expected a share from 0 to 1.");
  return value;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port > 65_535) throw new InvalidArgumentError("Expected a port from 0 to 65535.");
  return port;
}
