import { reopenDataset } from "../dataset/reopen.ts";
import { Command } from "commander";
import { shapeNames } from "../dataset/shapes/index.ts";
import { openDataset } from "../dataset/open.ts";
import { UsageError } from "../errors.ts";
import { openJudge } from "../judge/open.ts";
import { createRunJudge } from "../judge/run.ts";
import { requireRatings, runFolder } from "../run/run-folder.ts";
import { distill } from "../stages/distill.ts";
import { jsonOption, parseMap, parseScale, parseWhole, quotesOption, runOption, seedOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderStudent } from "./text/student.ts";
import { plainJson } from "./text/plain-text.ts";

interface DistillFlags {
  ratings?: string | undefined;
  out: string;
  teacher?: string | undefined;
  licence?: string | undefined;
  maxRows?: number | undefined;
  lm?: string | undefined;
  shape?: string | undefined;
  map?: Record<string, string> | undefined;
  quotes?: "double" | "none" | undefined;
  scale?: { min: number; max: number } | undefined;
  seed: number;
  run: string;
  json?: boolean | undefined;
}

export function distillCommand(context: CommandContext): Command {
  return new Command("distill")
    .summary("train a student on a judge's ratings, to rate millions of rows")
    .description(
      "Trains a student, a small judge that runs on this machine, on a judge's ratings: the run's, or any recorded scores.\nIt reports how well the student agrees with its teacher on held-out rows.",
    )
    .argument("[data]", "the rated data, with --ratings; the run's own data and ratings when absent")
    .option("--ratings <judge>", "the teacher's scores: recorded:FILE[#COLUMN], column:NAME or run:DIR")
    .requiredOption("--out <file>", "the student's file, usually NAME.student")
    .option("--teacher <name>", "the teacher's name, for the student's card")
    .option("--licence <text>", "the licence of the data and ratings, for the student's card")
    .option("--max-rows <n>", "maximum rows to train on (200000)", parseWhole)
    .option(
      "--lm <model>",
      "for student-lm:FILE, also learn from a language model's vectors whether answers fit: minilm, as embed --model",
    )
    .option("--shape <name>", `how rows are laid out: ${shapeNames.join(", ")} (detected)`)
    .option("--map <fields>", "columns with other names: instruction=prompt,output=answer", parseMap)
    .addOption(quotesOption())
    .option("--scale <min..max>", "scale of recorded scores; scores outside it are left out", parseScale)
    .addOption(seedOption("the order of training and the held-out rows"))
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus distill --out mine.student
  alpagasus distill rated.json --ratings recorded:scores.json --teacher gpt-5-mini --out mine.student
  alpagasus rate millions.jsonl --judge student:mine.student`,
    )
    .action(async (data: string | undefined, flags: DistillFlags) => {
      if ((data === undefined) !== (flags.ratings === undefined))
        throw new UsageError("distill: expected both DATA and --ratings, or neither (the run's own), got one");
      if (data === undefined && (flags.shape !== undefined || flags.map || flags.quotes || flags.scale))
        throw new UsageError("distill: --shape, --map, --quotes and --scale need DATA; the run already has its own");
      const { dataset, teacher } =
        data === undefined
          ? await openRunData(flags.run, context.signal)
          : await openRatedData(data, flags, context.signal);
      const progress = openProgressLine();
      const { maxRows, licence, lm } = flags;
      const summary = await distill(dataset, {
        teacher,
        out: flags.out,
        seed: flags.seed,
        signal: context.signal,
        onProgress: progress.show,
        teacherName: flags.teacher,
        licence,
        maxRows,
        lm,
      }).finally(progress.clear);
      process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderStudent(summary));
    });
}

async function openRunData(folder: string, signal: AbortSignal) {
  const manifest = await requireRatings(runFolder(folder));
  return {
    dataset: await reopenDataset(manifest.dataset, runFolder(folder), signal),
    teacher: await createRunJudge(folder),
  };
}

async function openRatedData(data: string, flags: DistillFlags, signal: AbortSignal) {
  const dataset = await openDataset(data, {
    signal,
    shape: flags.shape,
    map: flags.map,
    quotes: flags.quotes,
  });
  return { dataset, teacher: await openJudge(flags.ratings!, { option: "--ratings", scale: flags.scale }) };
}
