import { Command } from "commander";
import { shapeNames } from "../dataset/shapes/index.ts";
import { openDataset } from "../dataset/open.ts";
import { judgeForms, openJudge } from "../judge/open.ts";
import type { Manifest } from "../run/manifest.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { rate } from "../stages/rate.ts";
import { jsonOption, minCoverageOption, parseMap, parseScale, runOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderRating } from "./text/rating.ts";

interface RateFlags {
  judge: string;
  against?: string;
  shape?: string;
  map?: Record<string, string>;
  scale?: { min: number; max: number };
  minCoverage: number;
  overwrite?: boolean;
  run: string;
  json?: boolean;
}

export function rateCommand(context: CommandContext): Command {
  return new Command("rate")
    .summary("rate every row of a dataset")
    .description("Rates every row of a dataset and writes ratings.jsonl, one line a row, into the run's folder.")
    .argument(
      "<data>",
      "a file, folder or pattern of JSON, JSON Lines, CSV or Parquet (each also .gz), or hf:owner/name[@revision][:split | /file]",
    )
    .option("--judge <judge>", judgeForms, "student")
    .option("--against <judge>", "measure the judge against scores you already have, for example recorded:FILE")
    .option("--shape <name>", `how rows are laid out: ${shapeNames.join(", ")} (found by itself)`)
    .option("--map <fields>", "columns under other names: instruction=prompt,output=answer", parseMap)
    .option(
      "--scale <min..max>",
      "scale of recorded scores, such as 0..5; scores outside it are unparsable",
      parseScale,
    )
    .addOption(minCoverageOption())
    .option("--overwrite", "replace what the run's folder holds of other data or by another judge")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Judges:
  student              ships with this package, needs no key; imitates GPT-4o-mini on short English instructions
  student:FILE         a student you trained with "alpagasus distill"
  recorded:FILE        scores in a file: one a row, or rows with "index" or "id"; FILE#COLUMN names their column
  column:NAME          a column of the data itself
  run:DIR              the ratings of another run of the same data

Examples:
  alpagasus rate data/*.jsonl.gz
  alpagasus rate train.csv --map instruction=question,output=answer
  alpagasus rate train.json --judge recorded:scores.jsonl#quality --scale 0..10`,
    )
    .action(async (data: string, flags: RateFlags) => {
      const dataset = await openDataset(data, {
        signal: context.signal,
        ...(flags.shape !== undefined && { shape: flags.shape }),
        ...(flags.map && { map: flags.map }),
      });
      const judge = await openJudge(flags.judge, flags.scale ? { scale: flags.scale } : {});
      const against = flags.against === undefined ? undefined : await openJudge(flags.against);
      const progress = openProgressLine();
      const summary = await rate(dataset, {
        run: flags.run,
        judge,
        minCoverage: flags.minCoverage,
        signal: context.signal,
        onProgress: progress.show,
        ...(against && { against }),
        ...(flags.overwrite && { overwrite: true }),
      }).finally(progress.clear);
      if (summary.gates.some((gate) => !gate.held)) context.exitCode = 3;
      const manifest = (await readManifest(runFolder(flags.run))) as Manifest; // rate has just written it
      process.stdout.write(
        flags.json ? `${JSON.stringify(summary, null, 2)}\n` : renderRating(manifest, runFolder(flags.run).ratingsPath),
      );
    });
}
