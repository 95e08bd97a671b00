import { Command } from "commander";
import type { RatedManifest } from "../run/manifest.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { merge } from "../stages/merge.ts";
import type { CommandContext } from "./context.ts";
import { setExitCode } from "./exit-code.ts";
import { jsonOption, minCoverageOption, parseShare, runOption } from "./options.ts";
import { plainJson } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderRating } from "./text/rating.ts";

interface MergeFlags {
  store?: string | undefined;
  minCoverage: number;
  maxUnreadable?: number | undefined;
  overwrite?: boolean | undefined;
  run: string;
  json?: boolean | undefined;
}

export function mergeCommand(context: CommandContext): Command {
  return new Command("merge")
    .summary("put the shards of a rating together as one run")
    .description(
      "Makes one run of the shards that several machines have rated (rate --shard 3/16): its ratings are byte for byte what one machine would have written, replies go to one call store, and what was paid is added up.",
    )
    .argument("<runs...>", "the shards' runs, each with its folder .alpagasus where it was rated")
    .option("--store <file>", "the call store that the replies go to (.alpagasus/calls.sqlite)")
    .addOption(minCoverageOption())
    .option(
      "--max-unreadable <share>",
      "of shards rated with --unreadable skip: largest share of such rows; exit code 3 if there are more (1%)",
      parseShare,
    )
    .option("--overwrite", "replace the ratings that the run has")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus rate train.json --judge openai:gpt-5-mini --shard 1/2 --run runs/s1
  alpagasus rate train.json --judge openai:gpt-5-mini --shard 2/2 --run runs/s2
  alpagasus merge runs/s1 runs/s2 --run runs/all`,
    )
    .action(async (shards: string[], flags: MergeFlags) => {
      const progress = openProgressLine();
      const summary = await merge({
        run: flags.run,
        shards,
        store: flags.store,
        minCoverage: flags.minCoverage,
        maxUnreadable: flags.maxUnreadable,
        command: context.command,
        signal: context.signal,
        onProgress: progress.show,
        overwrite: flags.overwrite,
      }).finally(progress.clear);
      setExitCode(summary.rate, context);
      const folder = runFolder(flags.run);
      const { dataset } = (await readManifest(folder)) as RatedManifest; // merge has just written it
      process.stdout.write(
        flags.json
          ? `${plainJson(summary, 2)}\n`
          : renderRating({ dataset, rate: summary.rate }, folder.ratingsPath, undefined),
      );
    });
}
