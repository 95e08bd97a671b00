import { Command, Option } from "commander";
import { shapeNames } from "../dataset/shapes/index.ts";
import type { Dataset } from "../dataset/dataset.ts";
import { openDataset } from "../dataset/open.ts";
import { UsageError } from "../errors.ts";
import { type Judge, combinations } from "../judge/judge.ts";
import { openJudge, openRatingJudge, type OpenPlannedJudge } from "../judge/open.ts";
import { onlyPart, partOfLimit, partOfShard } from "../judge/part.ts";
import type { RatedManifest } from "../run/manifest.ts";
import { measureTemplates } from "../likelihood/measure-name.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { planRating, type CallPlan } from "../stages/plan-calls.ts";
import { countRows, rate } from "../stages/rate.ts";
import { addModelOptions, describeWaiting, readModelFlags } from "./model-options.ts";
import {
  jsonOption,
  listOption,
  minCoverageOption,
  parseMap,
  parseNumber,
  parsePositive,
  parseScale,
  parseShard,
  parseShare,
  quotesOption,
  parseTop,
  runOption,
  unreadableOption,
} from "./options.ts";
import { judgesHelp } from "./judges-help.ts";
import { expectFittingFlags, type RateFlags } from "./rate-flags.ts";
import type { CommandContext } from "./context.ts";
import { findRefusal } from "./find-refusal.ts";
import { setExitCode } from "./exit-code.ts";
import { openProgressLine } from "./text/progress.ts";
import { addServingOptions, readMeasuring } from "./serving-options.ts";
import { renderPlan } from "./text/plan.ts";
import { renderRating } from "./text/rating.ts";
import { plainJson, plainText } from "./text/plain-text.ts";

export function rateCommand(context: CommandContext): Command {
  const command = new Command("rate")
    .summary("rate every row of a dataset")
    .description("Rates every row of a dataset and writes ratings.jsonl, one line a row, into the run's folder.")
    .argument(
      "<data...>",
      "a file, folder or pattern of JSON, JSON Lines, CSV, TSV, Parquet or Arrow (each also .gz or .zst), or hf:owner/name[@revision][:split | :configuration/split | /file]; several are one dataset",
    )
    .addOption(listOption("--judge <judge>", "the judge, see below (student); repeat the option for a panel of judges"))
    .addOption(new Option("--combine <how>", "how a panel combines its judges' scores (mean)").choices(combinations))
    .option(
      "--rescale",
      "map a panel's scores linearly onto the first judge's scale, if the judges have different scales",
    )
    .option(
      "--escalate <rows>",
      "with the student: let another judge rate this many rows, or this share: 5000 or 20%",
      parseTop,
    )
    .option("--to <judge>", "with --escalate: the judge that rates the rows nearest the cut")
    .option("--min-score <score>", "with --escalate: the cut, on that judge's scale (4.5)", parseNumber)
    .option("--precision <share>", "with --escalate: minimum precision of the kept rows (90%)", parseShare)
    .option("--against <judge>", "measure the judge against scores you already have, for example recorded:FILE")
    .option("--shape <name>", `how rows are laid out: ${shapeNames.join(", ")} (detected)`)
    .option("--map <fields>", "columns with other names: instruction=prompt,output=answer", parseMap)
    .addOption(quotesOption())
    .option(
      "--scale <min..max>",
      "scale of recorded scores, such as 0..5; scores outside it are unparsable",
      parseScale,
    )
    .addOption(unreadableOption())
    .option(
      "--max-unreadable <share>",
      "with --unreadable skip: largest share of such rows; exit code 3 if there are more (1%)",
      parseShare,
    )
    .addOption(minCoverageOption())
    .addOption(
      new Option(
        "--unlike <what>",
        "with --judge student: rows unlike those that it was trained on are scored (score), or get none (refuse)",
      ).choices(["score", "refuse"]),
    )
    .addOption(
      new Option(
        "--template <name>",
        "with perplexity:, ifd: and fit:, how the prompt is written: plain, the paper's, or the model's chat template (plain)",
      ).choices(measureTemplates),
    )
    .option(
      "--max-length <tokens>",
      "the most tokens of a row. With perplexity:, ifd: and fit:, what is beyond is not counted (1024); with reward:, longer rows fail (4096)",
      parsePositive,
    );
  addServingOptions(command, "with perplexity:, ifd:, fit: and reward:, measure")
    .option(
      "--as <name>",
      "a further score of the run's rows, beside its own: a name for select --by and --where; a reply's marks are NAME.MARK",
    )
    .option(
      "--shard <k/n>",
      "rate only the k-th of n parts of the rows, on one of n machines, each with a run of its own; merge puts them together",
      parseShard,
    )
    .option(
      "--limit <n>",
      "rate only n rows, drawn at random, for a try; the same command with a larger number, or without, goes on",
      parsePositive,
    )
    .option("--overwrite", "replace ratings in the run's folder that are of other data or by another judge")
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Judges that call a model:")
    .option(
      "--rubric <name>",
      "the rubric (prompt and scale): one of the package's, or a YAML file (alpagasus-accuracy)",
    )
    .option(
      "--max-prompt-tokens <n>",
      "leave out turns in the middle of conversations whose prompt is longer (as the rubric says)",
      parsePositive,
    )
    .option("--logprobs", "the score is the mean over the judge's possible scores, weighted by token probability")
    .option("--samples <n>", "the score is the mean of n replies (at most 100)", parsePositive)
    .option(
      "--no-check",
      "skip the check of the judge before and after a long rating (see check-judge); with reward:, rate also when it fails",
    )
    .option("--dry-run", "show the first prompt, the calls left, their tokens and cost; call nothing");
  return addModelOptions(command)
    .addHelpText(
      "after",
      `
${judgesHelp}
Replies are saved as they arrive: after Ctrl-C, a crash or a spent budget, the same command continues where it stopped.

Examples:
  alpagasus rate 'data/*.jsonl.gz'
  alpagasus rate train.csv --map instruction=question,output=answer
  alpagasus rate train.json --judge openai:gpt-5-mini --dry-run
  alpagasus rate train.json --judge openai:gpt-5-mini --limit 100
  alpagasus rate train.json --judge openai:gpt-5-mini --budget 5
  alpagasus rate train.json --judge http://127.0.0.1:11434/v1#qwen3:8b --rubric ultrafeedback
  alpagasus rate train.json --judge recorded:scores.jsonl#quality --scale 0..10
  alpagasus rate train.json --judge ifd:smollm2 --as ifd
  alpagasus rate train.json --judge ifd:Qwen/Qwen3-8B --on ray:http://head:8265 --replicas 8
  alpagasus rate train.json --judge openai:gpt-4o-mini --logprobs --batch
  alpagasus rate train.json --judge openai:gpt-5-mini --judge anthropic:claude-haiku-4-5 --combine lowest
  alpagasus rate train.json --judge student --escalate 20% --to openai:gpt-5-mini --min-score 4.5`,
    )
    .action(async (data: string[], flags: RateFlags, self: Command) => {
      const names = flags.judge ?? ["student"];
      expectFittingFlags(flags, names, self);
      await rateWith(data, names, flags, context);
    });
}

/** Rates or shows the plan. If models are called, an interruption stops the calls but not the stage: paid replies are written. */
async function rateWith(
  data: readonly string[],
  names: readonly string[],
  flags: RateFlags,
  context: CommandContext,
): Promise<void> {
  const { judge, models, close } = await openRatingJudge(names, {
    ...readModelFlags(flags),
    run: flags.run,
    signal: context.signal,
    forPlan: flags.dryRun ?? false,
    rubric: flags.rubric,
    check: flags.check,
    logprobs: flags.logprobs,
    samples: flags.samples,
    maxPromptTokens: flags.maxPromptTokens,
    scale: flags.scale,
    unlike: flags.unlike,
    isWhole: flags.as !== undefined,
    measuring: {
      template: flags.template,
      maxLength: flags.maxLength,
      ray: await readMeasuring(flags),
      signal: context.signal,
    },
    combine: flags.combine,
    rescale: flags.rescale,
    escalate:
      flags.escalate === undefined
        ? undefined
        : { to: flags.to!, ask: flags.escalate, minScore: flags.minScore, precision: flags.precision },
  });
  const sayWaiting = () => process.stderr.write(`\nalpagasus: stopping; ${describeWaiting(judge.calls!())}\n`);
  try {
    const opening = new AbortController();
    const abortOpening = () => opening.abort();
    context.signal.addEventListener("abort", abortOpening);
    const dataset = await open(data, flags, models.length > 0 ? opening.signal : context.signal);
    context.signal.removeEventListener("abort", abortOpening);
    if (flags.dryRun) return await showPlans(dataset, judge, models, flags, context);
    for (const { problem } of models) if (problem !== undefined) throw new UsageError(problem);
    if (models.length > 0) context.signal.addEventListener("abort", sayWaiting);
    await rateAndShow(dataset, judge, flags, context, models.length > 0 ? undefined : context.signal);
  } finally {
    context.signal.removeEventListener("abort", sayWaiting);
    close();
  }
}

async function showPlans(
  dataset: Dataset,
  judge: Judge,
  models: readonly OpenPlannedJudge[],
  flags: RateFlags,
  context: CommandContext,
): Promise<void> {
  const progress = openProgressLine();
  const plans: CallPlan[] = [];
  const { shard, limit } = flags;
  const part = shard
    ? partOfShard(shard)
    : limit === undefined
      ? undefined
      : partOfLimit(limit, await countRows(dataset, {}));
  const planned = part ? { batches: () => onlyPart(dataset.batches(), part) } : dataset;
  const { escalating } = judge;
  try {
    for (const model of models)
      plans.push(
        await planRating(escalating ? { batches: () => escalating.expect(() => dataset.batches()) } : planned, {
          judge: model,
          retryFailed: flags.retryFailed ?? false,
          signal: context.signal,
          onProgress: progress.show,
        }),
      );
  } finally {
    progress.clear();
  }
  process.stdout.write(
    flags.json ? `${plainJson(plans.length === 1 ? plans[0] : plans, 2)}\n` : plans.map(renderPlan).join(""),
  );
  const refusal = await findRefusal(dataset, judge, flags);
  if (refusal !== undefined)
    process.stderr.write(`  note: without --dry-run this command is refused: ${plainText(refusal)}\n`);
}

function open(data: readonly string[], flags: RateFlags, signal: AbortSignal): Promise<Dataset> {
  return openDataset(data, {
    signal,
    shape: flags.shape,
    map: flags.map,
    quotes: flags.quotes,
    unreadable: flags.unreadable === "skip" ? "keep" : undefined,
  });
}

async function rateAndShow(
  dataset: Dataset,
  judge: Judge,
  flags: RateFlags,
  context: CommandContext,
  signal?: AbortSignal,
): Promise<void> {
  const against = flags.against === undefined ? undefined : await openJudge(flags.against, { option: "--against" });
  const progress = openProgressLine();
  const summary = await rate(dataset, {
    run: flags.run,
    judge,
    command: context.command,
    minCoverage: flags.minCoverage,
    maxUnreadable: flags.maxUnreadable,
    onProgress: progress.show,
    signal,
    against,
    as: flags.as,
    shard: flags.shard,
    limit: flags.limit,
    overwrite: flags.overwrite,
  }).finally(progress.clear);
  setExitCode(summary, context);
  const folder = runFolder(flags.run);
  const manifest = (await readManifest(folder)) as RatedManifest; // rate has just written it
  process.stdout.write(
    flags.json
      ? `${plainJson(summary, 2)}\n`
      : renderRating(
          { dataset: manifest.dataset, rate: summary },
          flags.as === undefined ? folder.ratingsPath : folder.scorePath(flags.as),
          flags.as,
        ),
  );
}
