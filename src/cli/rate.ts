import { Command } from "commander";
import { shapeNames } from "../dataset/shapes/index.ts";
import { openDataset, type Dataset } from "../dataset/open.ts";
import { UsageError } from "../errors.ts";
import type { Judge } from "../judge/judge.ts";
import { openJudge, openLlmJudge } from "../judge/open.ts";
import { isModelName } from "../llm/model-name.ts";
import type { RatedManifest } from "../run/manifest.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { planRating } from "../stages/plan-calls.ts";
import { rate } from "../stages/rate.ts";
import {
  addModelOptions,
  describeWaiting,
  expectNoModelFlags,
  readModelFlags,
  type ModelFlags,
} from "./model-options.ts";
import { jsonOption, minCoverageOption, parseMap, parsePositive, parseScale, runOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { setExitCode } from "./exit-code.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderPlan } from "./text/plan.ts";
import { renderRating } from "./text/rating.ts";
import { plainJson } from "./text/plain-text.ts";

interface RateFlags extends ModelFlags {
  judge: string;
  rubric?: string;
  dryRun?: boolean;
  logprobs?: boolean;
  samples?: number;
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
  const command = new Command("rate")
    .summary("rate every row of a dataset")
    .description("Rates every row of a dataset and writes ratings.jsonl, one line a row, into the run's folder.")
    .argument(
      "<data>",
      "a file, folder or pattern of JSON, JSON Lines, CSV or Parquet (each also .gz), or hf:owner/name[@revision][:split | /file]",
    )
    .option("--judge <judge>", "who rates: see below", "student")
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
    .optionsGroup("Judges that ask a model:")
    .option("--rubric <name>", "how it is asked and read: a rubric of the package, or a YAML file (alpagasus-accuracy)")
    .option("--logprobs", "the score is the mean of what the judge could have written, by its tokens' probabilities")
    .option("--samples <n>", "the score is the mean of so many replies", parsePositive)
    .option("--dry-run", "show the first prompt, the calls left, their tokens and money; ask nothing");
  return addModelOptions(command)
    .addHelpText(
      "after",
      `
Judges:
  student              ships with this package, needs no key; imitates GPT-4o-mini on short English instructions
  student:FILE         a student you trained with "alpagasus distill"
  openai:MODEL         a model, with the key in OPENAI_API_KEY
  anthropic:MODEL      likewise, ANTHROPIC_API_KEY
  google:MODEL         likewise, GOOGLE_GENERATIVE_AI_API_KEY
  http://HOST/v1#MODEL a server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, LM Studio (a key, if any, in ALPAGASUS_API_KEY)
  recorded:FILE        scores in a file: one a row, or rows with "index" or "id"; FILE#COLUMN names their column
  column:NAME          a column of the data itself
  run:DIR              the ratings of another run of the same data

Rubrics: alpagasus-accuracy (the paper's), alpagasus-helpfulness, ultrafeedback, deita-quality, deita-complexity, ds2

Replies are kept as they arrive: after Ctrl-C, a crash or an empty budget, the same command goes on where it was.

Examples:
  alpagasus rate data/*.jsonl.gz
  alpagasus rate train.csv --map instruction=question,output=answer
  alpagasus rate train.json --judge openai:gpt-5-mini --dry-run
  alpagasus rate train.json --judge openai:gpt-5-mini --budget 5
  alpagasus rate train.json --judge http://127.0.0.1:11434/v1#qwen3:8b --rubric ultrafeedback
  alpagasus rate train.json --judge recorded:scores.jsonl#quality --scale 0..10`,
    )
    .action(async (data: string, flags: RateFlags, self: Command) => {
      if (isModelName(flags.judge)) return rateWithModel(data, flags, context);
      const judge = await openJudge(flags.judge, flags.scale ? { scale: flags.scale } : {});
      expectNoModelFlags(self, flags.judge, ["rubric", "dry-run", "logprobs", "samples"]);
      const dataset = await open(data, flags, context.signal);
      await rateAndShow(dataset, judge, flags, context, context.signal);
    });
}

/** Rates with a model, or plans to. An interruption stops the asking and not the stage: what was paid for is written. */
async function rateWithModel(data: string, flags: RateFlags, context: CommandContext): Promise<void> {
  if (flags.scale) throw new UsageError("--scale: the rubric has a scale of its own; leave the option out");
  const judge = await openLlmJudge(flags.judge, {
    ...readModelFlags(flags),
    run: flags.run,
    signal: context.signal,
    forPlan: flags.dryRun ?? false,
    ...(flags.rubric !== undefined && { rubric: flags.rubric }),
    ...(flags.logprobs && { logprobs: true }),
    ...(flags.samples !== undefined && { samples: flags.samples }),
  });
  const sayWaiting = () => {
    process.stderr.write(`\nalpagasus: stopping; ${describeWaiting(judge.calls())}\n`);
  };
  try {
    const opening = new AbortController();
    const abortOpening = () => opening.abort();
    context.signal.addEventListener("abort", abortOpening);
    const dataset = await open(data, flags, opening.signal);
    context.signal.removeEventListener("abort", abortOpening);
    if (flags.dryRun) {
      const progress = openProgressLine();
      const plan = await planRating(dataset, {
        judge,
        retryFailed: flags.retryFailed ?? false,
        signal: context.signal,
        onProgress: progress.show,
      }).finally(progress.clear);
      process.stdout.write(flags.json ? `${plainJson(plan, 2)}\n` : renderPlan(plan));
      return;
    }
    if (judge.problem !== undefined) throw new UsageError(judge.problem);
    context.signal.addEventListener("abort", sayWaiting);
    await rateAndShow(dataset, judge, flags, context);
  } finally {
    context.signal.removeEventListener("abort", sayWaiting);
    judge.close();
  }
}

function open(data: string, flags: RateFlags, signal: AbortSignal): Promise<Dataset> {
  return openDataset(data, {
    signal,
    ...(flags.shape !== undefined && { shape: flags.shape }),
    ...(flags.map && { map: flags.map }),
  });
}

async function rateAndShow(
  dataset: Dataset,
  judge: Judge,
  flags: RateFlags,
  context: CommandContext,
  signal?: AbortSignal,
): Promise<void> {
  const against = flags.against === undefined ? undefined : await openJudge(flags.against);
  const progress = openProgressLine();
  const summary = await rate(dataset, {
    run: flags.run,
    judge,
    command: context.command,
    minCoverage: flags.minCoverage,
    onProgress: progress.show,
    ...(signal && { signal }),
    ...(against && { against }),
    ...(flags.overwrite && { overwrite: true }),
  }).finally(progress.clear);
  setExitCode(summary, context);
  const manifest = (await readManifest(runFolder(flags.run))) as RatedManifest; // rate has just written it
  process.stdout.write(
    flags.json ? `${plainJson(summary, 2)}\n` : renderRating(manifest, runFolder(flags.run).ratingsPath),
  );
}
