import { join } from "node:path";
import { Command, Option } from "commander";
import { AlpagasusError, messageOf, UsageError } from "../errors.ts";
import type { ExperimentRecipe } from "../experiment/recipe.ts";
import type { TaskResult } from "../experiment/schedule.ts";
import { experimentStages, type ExperimentStage } from "../experiment/task.ts";
import type { ExperimentEnd, RunExperimentOptions } from "../stages/experiment/run.ts";
import type { CommandContext } from "./context.ts";
import { parseUsd } from "./model-options.ts";
import { askYes } from "./ask-yes.ts";
import { jsonOption } from "./options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";
import { paidInAll } from "../run/spent.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import type { RateSummary } from "../run/records/rating.ts";
import { agreementsOf, summariseAllLabels } from "../page/people-labels.ts";
import type { OutcomeAgreement } from "../run/records/comparison.ts";
import { renderExperimentPlan, renderExperimentResult, renderTaskEnd } from "./text/experiment.ts";

interface RunFlags {
  run?: string | undefined;
  data?: string | undefined;
  dryRun?: boolean | undefined;
  budget?: number | undefined;
  from?: ExperimentStage | undefined;
  only?: ExperimentStage[] | undefined;
  force?: ExperimentStage[] | undefined;
  retryFailed?: boolean | undefined;
  forgetSpent?: boolean | undefined;
  json?: boolean | undefined;
}

export function runCommand(context: CommandContext): Command {
  return new Command("run")
    .summary("run a whole experiment from a recipe, with its controls")
    .description(
      "Rates, selects, trains, lets the models answer, compares and reports, for every arm of a recipe, and says whether selecting helped, how sure that is, and what it saved. Finished stages are kept; a stage is run again only if something it depends on has changed. After an interruption, the same command continues.",
    )
    .argument(
      "<recipe>",
      "laptop, bake-off-laptop, paper-7b, paper-13b, alpagasus2-qlora, dolly, claude-filter, helpfulness, size-curve, bake-off; published figures: paper-7b-published, paper-13b-published, dolly-7b-published, dolly-13b-published; or a YAML file",
    )
    .option("--data <dataset>", "data to use instead of the recipe's")
    .option("--dry-run", "show the plan: which tasks are done or due and why, their cost and time; run nothing")
    .option(
      "--budget <usd>",
      "budget in US dollars for all stages together, training included (the recipe's)",
      parseUsd,
    )
    .addOption(
      new Option("--from <stage>", "start with this stage; keep earlier stages as they are").choices(experimentStages),
    )
    .addOption(
      new Option("--only <stage...>", "run only these stages; keep all others as they are").choices(experimentStages),
    )
    .addOption(
      new Option("--force <stage...>", "run these stages again, even if nothing changed").choices(experimentStages),
    )
    .option("--retry-failed", "repeat calls whose attempts all failed")
    .option("--forget-spent", "count this run's spending anew, where the call store that counted it is gone")
    .option("--run <dir>", "the run's folder (runs/ and the recipe's name)")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus init train.json                      write a recipe for your data, with comments
  alpagasus run recipe.yaml --dry-run            what it will do, take and cost
  alpagasus run recipe.yaml --budget 50
  alpagasus run laptop                           the whole loop on this machine: no key, no GPU, no Hub`,
    )
    .action(async (name: string, flags: RunFlags) => {
      if (flags.only !== undefined && flags.from !== undefined)
        throw new UsageError(
          "--only: names the stages to run, and so does --from with those after it; leave one of them out",
        );
      const { openExperiment } = await import("../experiment/recipe.ts");
      const { planExperiment, runExperiment } = await import("../stages/experiment/run.ts"); // imported here because it is large
      const opened = await openExperiment(name);
      if (flags.data !== undefined && opened.recorded)
        throw new UsageError(`--data: expected a recipe with stages, got ${name}, which has recorded figures`);
      const recipe: ExperimentRecipe =
        flags.data === undefined
          ? opened
          : { ...opened, data: flags.data, pathOf: (path) => (path === flags.data ? path : opened.pathOf(path)) };
      const run = flags.run ?? join("runs", recipe.name);
      const options: RunExperimentOptions = {
        run,
        command: context.command,
        signal: context.signal,
        budgetUsd: flags.budget,
        from: flags.from,
        only: flags.only,
        force: flags.force,
        retryFailed: flags.retryFailed,
        forgetSpent: flags.forgetSpent,
      };
      if (flags.dryRun) {
        const plan = await planExperiment(recipe, options);
        process.stdout.write(flags.json ? `${plainJson(plan, 2)}\n` : renderExperimentPlan(recipe, plan));
        return;
      }
      const end = await follow((telling) => runExperiment(recipe, { ...options, ...telling }));
      setExitCode(end, context);
      process.stdout.write(
        flags.json
          ? `${plainJson({ run, results: tellResults(end), result: end.result ?? null }, 2)}\n`
          : renderEnd(end, (await readManifest(runFolder(end.run)))?.rate, {
              isAborted: context.signal.aborted,
              isPart: (flags.only ?? flags.from) !== undefined,
              paidUsd: await paidInAll(runFolder(end.run)),
              people: agreementsOf(await summariseAllLabels(runFolder(end.run))),
            }),
      );
    });
}

/** Shows when tasks begin and end, and the progress of those running. */
async function follow(
  run: (
    telling: Pick<RunExperimentOptions, "onProgress" | "onBegin" | "onEnd" | "onNote" | "shouldStop">,
  ) => Promise<ExperimentEnd>,
): Promise<ExperimentEnd> {
  const line = openProgressLine();
  const say = (text: string) => {
    line.clear();
    process.stderr.write(`${plainText(text)}\n`);
  };
  let shown = "";
  let asked: Promise<boolean> | undefined; // once for all jobs
  try {
    return await run({
      onBegin: (task, why) => say(`${task}: started (${why})`),
      onEnd(task, result) {
        if (result.state !== "kept") say(renderTaskEnd(task, result));
      },
      onNote: (task, note) => say(`${task}: ${note}`),
      shouldStop() {
        line.clear();
        return (asked ??= askYes("Stop the jobs on the cluster, too? [y/N] "));
      },
      onProgress(task, progress) {
        if (shown !== task && shown !== "" && progress.done === 0) return; // of two tasks at a time, shows the one that moves
        shown = task;
        line.show(progress);
      },
    });
  } finally {
    line.clear();
  }
}

function setExitCode({ results, result: found }: ExperimentEnd, context: CommandContext): void {
  const ends = [...results.values()];
  const has = (is: (result: TaskResult) => boolean) => ends.some(is);
  const failed = ends.find((result) => result.state === "failed");
  const isOpen = found?.matches.some(({ missing }) => missing !== undefined); // of what --only or --from left as it is
  if (isOpen || has((result) => result.state === "stopped")) context.exitCode = 3;
  if (has((result) => result.state === "stopped" && result.end.stopped === "failure")) context.exitCode = 1;
  if (failed) context.exitCode = failed.error instanceof AlpagasusError ? failed.error.exitCode : 1;
  if (has((result) => result.state === "stopped" && result.end.stopped === "budget")) context.exitCode = 4;
  if (context.signal.aborted) context.exitCode = context.interruptedWith;
}

/** Each task's result, with error messages in place of errors. */
function tellResults({ results }: ExperimentEnd): object {
  return Object.fromEntries(
    [...results].map(([task, result]) => [
      task,
      result.state === "failed" ? { state: result.state, why: messageOf(result.error) } : result,
    ]),
  );
}

function renderEnd(
  { run, results, result }: ExperimentEnd,
  rate: RateSummary | undefined,
  {
    isAborted,
    isPart,
    paidUsd,
    people,
  }: {
    readonly isAborted: boolean;
    readonly isPart: boolean;
    readonly paidUsd: number;
    readonly people: readonly OutcomeAgreement[];
  },
): string {
  if (result) return renderExperimentResult(result, run, rate, paidUsd, people);
  const lost = [...results].filter(([, { state }]) => state === "failed" || state === "stopped");
  const why = lost.map(([task, end]) =>
    end.state === "failed" ? `${task}: ${messageOf(end.error)}` : renderTaskEnd(task, end),
  );
  const advice = isAborted
    ? "Interrupted. Finished work is kept; run the same command to continue."
    : isPart && lost.length === 0
      ? "These stages are done; without --only and --from, the same command goes on with the others."
      : lost.some(
            ([, end]) =>
              end.state === "failed" ||
              (end.state === "stopped" && end.end.stopped !== "budget" && end.end.gates.some(({ held }) => !held)),
          )
        ? "The experiment did not finish. Finished work is kept. Change what is named above; then the same command goes on."
        : lost.some(([, lostResult]) => lostResult.state === "stopped" && lostResult.end.stopped === "budget")
          ? "The budget is spent. Finished work is kept; the same command goes on with a higher --budget."
          : "The experiment did not finish. Finished work is kept; run the same command to continue.";
  return `\n${[...(isAborted ? [] : why.map((line) => `  ${plainText(line)}`)), `  ${advice}`].join("\n")}\n`;
}
