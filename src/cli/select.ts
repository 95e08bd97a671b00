import { existsSync } from "node:fs";
import { listTestSets, openTestSets } from "../generation/test-sets.ts";
import { Command, Option } from "commander";
import { readPrompts, type TestPrompt } from "../dataset/prompts.ts";
import { readPositions } from "../dataset/positions.ts";
import { runFolder, readManifest } from "../run/run-folder.ts";
import type { RatedManifest } from "../run/manifest.ts";
import {
  dedupKinds,
  type DedupKind,
  defaultDistance,
  defaultSimilarity,
  defaultVectorDistance,
  selectMethods,
  type SelectMethod,
} from "../stages/select/plan.ts";
import { select } from "../stages/select.ts";
import { jsonOption, minCoverageOption, parseNumber, parseQuota, parseTop, runOption, seedOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import type { Quota } from "../selection/quota.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderSelection } from "./text/selection.ts";
import { plainJson } from "./text/plain-text.ts";

interface SelectFlags {
  minScore?: number | undefined;
  top?: number | { share: number } | undefined;
  rows?: string | undefined;
  by?: string | undefined;
  where?: string | undefined;
  per?: string | undefined;
  quota?: Quota | undefined;
  method?: SelectMethod | undefined;
  arm?: string | undefined;
  like?: string | undefined;
  dedup?: DedupKind | true | undefined;
  similarity?: number | undefined;
  toward?: string | undefined;
  vectors?: string | undefined;
  diverse?: number | true | undefined;
  decontaminate?: string[] | undefined;
  fullMinutes?: number | undefined;
  fullUsd?: number | undefined;
  watch?: string | undefined;
  minCoverage: number;
  seed: number;
  run: string;
  json?: boolean | undefined;
}

export function selectCommand(context: CommandContext): Command {
  return new Command("select")
    .summary("keep the best rows, or draw a control of the same size")
    .description(
      "Selects rows of a rated dataset as an arm. Writes the kept rows unchanged, in the dataset's own format, and ARM.decisions.jsonl with the decision and its reason for every row.",
    )
    .optionsGroup("Which rows:")
    .option("--min-score <score>", "keep rows that score at least this, on the judge's own scale", parseNumber)
    .option("--top <n>", "keep the best n rows, or n% of all", parseTop)
    .option(
      "--by <sql>",
      "in place of the score, the value of a SQL expression: zscore(quality) + zscore(ifd) (also rank, percentile)",
    )
    .option(
      "--where <sql>",
      "keep rows that satisfy a SQL condition on: the data's columns, named scores, score, state, instruction_length, input_length, output_length, length",
    )
    .option("--per <column>", "divide --top among the values of a column in proportion, and keep the best rows of each")
    .option(
      "--quota <column=value:n>",
      "keep at most so many rows of each value, or a share of them: source=a:3000,b:20% (other values keep none)",
      parseQuota,
    )
    .option("--rows <file>", "keep exactly the rows listed: a JSON array of positions from 0")
    .addOption(
      new Option(
        "--dedup [kind]",
        "keep only the best of rows with the same text (exact), nearly the same words (near), or nearly the same vector (semantic)",
      ).choices(dedupKinds),
    )
    .option(
      "--similarity <s>",
      `what counts as a duplicate, 0 to 1 (${defaultSimilarity.near} of near's words, ${defaultSimilarity.semantic} of semantic's vectors)`,
      parseNumber,
    )
    .option(
      "--diverse [distance]",
      `skip rows closer than this to a better one, 0 to 1 (${defaultDistance} if not given; with --vectors, ${defaultVectorDistance})`,
      parseNumber,
    )
    .option("--toward <file>", "with --top: keep the rows nearest to these examples, which embed --target has read")
    .option(
      "--vectors <name>",
      "which of the run's vectors --toward and --dedup semantic go by (the only ones); with it, --diverse goes by vectors too",
    )
    .option(
      "--decontaminate <file...>",
      "leave out rows that overlap the prompts of these test sets: vicuna, koala, … or files",
    )
    .optionsGroup("Control arms:")
    .addOption(new Option("--method <method>", "how rows are chosen; a control needs no --top").choices(selectMethods))
    .option("--like <arm>", "the arm whose size a control copies (selected)")
    .option("--arm <name>", "the arm's name (selected, or the method's)")
    .addOption(seedOption("random rows, and rows that tie at the cut"))
    .optionsGroup("Gates and figures:")
    .addOption(minCoverageOption())
    .option(
      "--watch <words>",
      'count the rows with these words, and how many of them are kept: "java|python|c++"; warns when one all but vanishes',
    )
    .option("--full-minutes <minutes>", "minutes of training on all rows, for the what-if table", parseNumber)
    .option("--full-usd <usd>", "US dollars for training on all rows, for the what-if table", parseNumber)
    .optionsGroup("Options:")
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus select --min-score 4.5
  alpagasus select --top 9000 --per category
  alpagasus select --top 10% --by "quality * complexity"
  alpagasus select --where "score >= 3 and output_length between 50 and 2000" --dedup near
  alpagasus select --top 10% --decontaminate vicuna koala my-tests.jsonl
  alpagasus select --method random --seed 7`,
    )
    .action(async (flags: SelectFlags) => {
      const prompts: TestPrompt[] = [];
      const shipped = await listTestSets();
      for (const name of flags.decontaminate ?? [])
        prompts.push(
          ...(shipped.includes(name) || !existsSync(name)
            ? await openTestSets([name], Infinity, "--decontaminate")
            : await readPrompts(name)),
        );
      const rows = flags.rows === undefined ? undefined : await readPositions(flags.rows);
      const progress = openProgressLine();
      const { minScore, top, where, per, method, arm, fullMinutes, fullUsd } = flags;
      const ordinaryDistance = flags.vectors === undefined ? defaultDistance : defaultVectorDistance;
      const summary = await select({
        run: flags.run,
        command: context.command,
        seed: flags.seed,
        minCoverage: flags.minCoverage,
        signal: context.signal,
        onProgress: progress.show,
        minScore,
        top,
        rows,
        by: flags.by,
        where,
        per,
        quota: flags.quota,
        method,
        arm,
        like: flags.like,
        watch: flags.watch,
        dedup: flags.dedup === true ? "exact" : flags.dedup,
        diverse: flags.diverse === true ? ordinaryDistance : flags.diverse,
        similarity: flags.similarity,
        toward: flags.toward,
        vectors: flags.vectors,
        decontaminate: flags.decontaminate ? prompts : undefined,
        fullTraining: {
          minutes: fullMinutes,
          usd: fullUsd,
        },
      }).finally(progress.clear);
      if (summary.gates.some((gate) => !gate.held)) context.exitCode = 3;
      const manifest = (await readManifest(runFolder(flags.run))) as RatedManifest; // select has just written it
      process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderSelection(summary, manifest));
    });
}
