import { Command, Option } from "commander";
import { adjustComparisons } from "../comparison/adjust.ts";
import { type JudgedTurns } from "../comparison/pair-answers.ts";
import { readPeople } from "../comparison/labels.ts";
import { UsageError } from "../errors.ts";
import { openLlmPairJudge, openPairJudge } from "../judge/open.ts";
import type { PairJudge } from "../judge/pair-judge.ts";
import { isModelName } from "../llm/model-name.ts";
import { summariseAllLabels, withPeople } from "../page/people-labels.ts";
import type { ComparisonSummary } from "../run/records/comparison.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import { compare, readOutcomes, type Arm } from "../stages/compare.ts";
import { planComparison, type CallPlan } from "../stages/plan-calls.ts";
import { rankArms } from "../stages/rank-arms.ts";
import type { RankedArm } from "../comparison/ranking.ts";
import { addModelOptions, expectNoModelFlags, readModelFlags, type ModelFlags } from "./model-options.ts";
import { jsonOption, listOption, minCoverageOption, runOption, seedOption } from "./options.ts";
import type { CommandContext } from "./context.ts";
import { setExitCode } from "./exit-code.ts";
import { renderComparison, renderRanking } from "./text/comparison.ts";
import { renderPlan } from "./text/plan.ts";
import { openArm, openQuestions } from "./open-arms.ts";
import { addLeaderboardOptions, expectOneComparison, expectReplaceable, writeForLeaderboards } from "./leaderboards.ts";
import { recountReviews, type ReviewFlags } from "./recount-reviews.ts";
import { plainJson } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";

interface CompareFlags extends ModelFlags, ReviewFlags {
  judge?: string[] | undefined;
  rubric?: string | undefined;
  dryRun?: boolean | undefined;
  allPairs?: boolean | undefined;
  questions?: string | undefined;
  turns: JudgedTurns;
}

export function compareCommand(context: CommandContext): Command {
  const command = new Command("compare")
    .summary("judge two models' answers to the same prompts")
    .description(
      "Judges answers to the same prompts in both orders, and says who wins, how sure that is, and how far the judge can be trusted. Results are from the first file's point of view, against each of the others.",
    )
    .argument(
      "[answers...]",
      "names of answers in the run, files of answers, or NAME=FILE: rows with the prompt and its output; prompts are matched by set and id, or by text",
    )
    .addOption(
      listOption(
        "--judge <judge>",
        "student, or a model: openai:MODEL, anthropic:MODEL, google:MODEL, http://HOST/v1#MODEL; repeat the option for more judges (student)",
      ),
    )
    .option(
      "--rubric <name>",
      "the rubric (prompt and how replies are read): vicuna, verdict, mt-bench, alpaca-eval, arena-hard, or a YAML file (vicuna)",
    )
    .option(
      "--questions <file>",
      "the questions of answers that do not hold them (MT-Bench, Arena-Hard, LLaMA-Factory): a file, or a test set by name",
    )
    .addOption(
      new Option("--turns <which>", "which turns of prompts with several are judged")
        .choices(["each", "last"])
        .default("each"),
    )
    .option("--dry-run", "show the first prompt, the calls left, their tokens and cost; call nothing")
    .option("--all-pairs", "compare every file with every other, and rank them")
    .option(
      "--labels <file...>",
      "people's labels, a file a person (id, label: A for the first file, B or tie; or of view --label), to measure the judge against what most say",
    )
    .addOption(minCoverageOption("prompts that are decided"))
    .option("--overwrite", "replace a comparison that was made with other settings")
    .addOption(seedOption("the intervals of agreement and rankings"))
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Published judgements:")
    .option(
      "--reviews <file...>",
      "count published review files (AlpaGasus, Cherry, FastChat, AlpacaEval or Arena-Hard) instead; the result is kept if --run is given",
    )
    .option("--arms <a,b>", "the two arms of the reviews; results are from the first one's point of view");
  return addModelOptions(addLeaderboardOptions(command))
    .addHelpText(
      "after",
      `
A pair is a win after two wins, or a win and a draw; a loss likewise; otherwise a tie, or undecided if a reply cannot be read.
Winning score: (wins - losses) / (wins + ties + losses) + 1; 1 is parity.

Examples:
  alpagasus compare selected full --judge openai:gpt-5-mini --budget 5
  alpagasus compare selected.jsonl random.jsonl full.jsonl --all-pairs
  alpagasus compare --reviews alpagasus2-alpaca2-koala.json alpaca2-alpagasus2-koala.json`,
    )
    .action(async (files: string[], flags: CompareFlags, self: Command) => {
      await expectOneComparison(flags, flags.reviews ? 2 : files.length, flags.judge?.length ?? 1);
      if (flags.reviews) return recountReviews(files, flags, self, context);
      if (flags.arms !== undefined)
        throw new UsageError("--arms: expected --reviews with it; answers are named by their files");
      if (files.length < 2)
        throw new UsageError(
          `expected two files of answers or more, got ${files.length}; or --reviews FILE…${(flags.labels?.length ?? 0) > 1 ? "; --labels takes all names after it, so put it last" : ""}`,
        );
      const arms: Arm[] = [];
      const questions = flags.questions === undefined ? undefined : await openQuestions(flags.questions);
      for (const file of files) arms.push(await openArm(file, runFolder(flags.run), questions));
      const clash = arms.find(({ name }, i) => arms.findIndex((arm) => arm.name === name) < i);
      if (clash)
        throw new UsageError(`expected arms of different names, got ${clash.name} twice; name them: NAME=FILE`);
      if (flags.labels !== undefined && arms.length > 2)
        throw new UsageError(
          `--labels: expected two files of answers, which the labels A and B belong to, got ${arms.length}`,
        );
      const names = flags.judge ?? ["student"];
      if (new Set(names).size < names.length)
        throw new UsageError(`--judge: expected each judge once, got ${names.join(", ")}`);
      for (const name of names) if (!isModelName(name)) await openPairJudge(name); // an unknown judge is reported first
      if (!names.some(isModelName)) {
        expectNoModelFlags(self, names.join(", "), ["rubric", "dry-run"]);
      }
      for (const name of names.filter(isModelName)) await expectAskable(name, flags); // before any call is paid for
      await expectReplaceable(flags, { a: arms[0]!.name, b: arms[1]!.name, judge: names[0]! });
      if (flags.dryRun) return showPlans(names.filter(isModelName), arms, flags);
      const results: ComparisonSummary[][] = [];
      for (const name of names) results.push(await compareWith(name, arms, results, flags, context));
      const { comparisons = {} } = (await readManifest(runFolder(flags.run)))!;
      const adjusted = adjustComparisons(Object.values(comparisons)); // also for those that an earlier command made beside one
      const people = await summariseAllLabels(runFolder(flags.run));
      show(
        results
          .flat()
          .map(({ a, b, judge }) => adjusted.find((one) => one.a === a && one.b === b && one.judge === judge)!)
          .map((summary) => withPeople(people, summary)),
        arms.length > 2 && flags.allPairs
          ? await Promise.all(results.map((own) => rankArms(own, { seed: flags.seed })))
          : [],
        flags,
        context,
      );
      await writeForLeaderboards(results[0]![0]!, flags);
    });
}

/** @throws UsageError if a model's name or options are invalid, or its key is missing */
async function expectAskable(name: string, flags: CompareFlags): Promise<void> {
  const judge = await openLlmPairJudge(name, {
    ...readModelFlags(flags),
    run: flags.run,
    forPlan: true,
    rubric: flags.rubric,
  });
  judge.close();
  if (judge.problem !== undefined && !flags.dryRun) throw new UsageError(judge.problem);
}

/** The pairs of arms to compare: the first with each other one, or all pairs. */
function matchesOf(arms: readonly Arm[], { allPairs }: CompareFlags): (readonly [Arm, Arm])[] {
  const [first, ...others] = arms as [Arm, ...Arm[]]; // at least two, as was checked
  if (!allPairs) return others.map((other) => [first, other] as const);
  return arms.flatMap((a, i) => arms.slice(i + 1).map((b) => [a, b] as const));
}

async function showPlans(models: readonly string[], arms: readonly Arm[], flags: CompareFlags): Promise<void> {
  const plans: CallPlan[] = [];
  for (const name of models) {
    const judge = await openLlmPairJudge(name, {
      ...readModelFlags(flags),
      run: flags.run,
      forPlan: true,
      rubric: flags.rubric,
    });
    plans.push(
      planComparison(matchesOf(arms, flags), { judge, retryFailed: flags.retryFailed ?? false, turns: flags.turns }),
    );
    judge.close();
  }
  process.stdout.write(
    flags.json ? `${plainJson(plans.length === 1 ? plans[0] : plans, 2)}\n` : plans.map(renderPlan).join(""),
  );
}

/** Plays all matches with one judge and measures its agreement with the judges before it. */
async function compareWith(
  name: string,
  arms: readonly Arm[],
  before: readonly (readonly ComparisonSummary[])[],
  flags: CompareFlags,
  context: CommandContext,
): Promise<ComparisonSummary[]> {
  if (!isModelName(name)) return playMatches(await openPairJudge(name), arms, before, flags, context, context.signal);
  const judge = await openLlmPairJudge(name, {
    ...readModelFlags(flags),
    run: flags.run,
    signal: context.signal,
    rubric: flags.rubric,
  });
  try {
    if (judge.problem !== undefined) throw new UsageError(judge.problem);
    return await playMatches(judge, arms, before, flags, context);
  } finally {
    judge.close();
  }
}

async function playMatches(
  judge: PairJudge,
  arms: readonly Arm[],
  before: readonly (readonly ComparisonSummary[])[],
  flags: CompareFlags,
  { command }: CommandContext,
  signal?: AbortSignal,
): Promise<ComparisonSummary[]> {
  const progress = openProgressLine();
  const summaries: ComparisonSummary[] = [];
  try {
    for (const [i, [a, b]] of matchesOf(arms, flags).entries()) {
      const against = [];
      if (flags.labels !== undefined)
        against.push({ name: flags.labels.join(", "), outcomes: await readPeople(flags.labels, [a.name, b.name]) });
      for (const summary of before.map((own) => own[i]!))
        against.push({ name: summary.judge, outcomes: await readOutcomes(summary) });
      summaries.push(
        await compare(a, b, {
          run: flags.run,
          judge,
          command,
          against,
          minCoverage: flags.minCoverage,
          turns: flags.turns,
          seed: flags.seed,
          onProgress: progress.show,
          signal,
          overwrite: flags.overwrite,
        }),
      );
    }
  } finally {
    progress.clear();
  }
  return summaries;
}

function show(
  summaries: readonly ComparisonSummary[],
  rankings: readonly (readonly RankedArm[])[],
  flags: CompareFlags,
  context: CommandContext,
): void {
  for (const summary of summaries) setExitCode(summary, context);
  const isWhole = summaries.every(({ gates, calls }) => !calls?.stopped && gates.every(({ held }) => held));
  const [only, ...more] = summaries;
  const whole = more.length === 0 ? only : { comparisons: summaries, rankings: isWhole ? rankings : [] };
  const text = [
    ...(isWhole ? rankings.map(renderRanking) : []),
    ...summaries.map((summary) => renderComparison(summary, { isAlone: more.length === 0 })),
  ].join("");
  process.stdout.write(flags.json ? `${plainJson(whole, 2)}\n` : text);
}
