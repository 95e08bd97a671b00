import { Command, Option } from "commander";
import { addModelOptions, expectNoModelFlags, readModelFlags, type ModelFlags } from "./model-options.ts";
import { UsageError } from "../errors.ts";
import { isModelName } from "../llm/model-name.ts";
import { anchorLanguages, type AnchorLanguage } from "../health/anchor-languages.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, parsePositive, runOption } from "./options.ts";
import { renderHealth } from "./text/health.ts";
import { plainJson } from "./text/plain-text.ts";

interface CheckJudgeFlags extends ModelFlags {
  judge: string;
  language: AnchorLanguage;
  rubric?: string | undefined;
  logprobs?: boolean | undefined;
  samples?: number | undefined;
  run: string;
  json?: boolean | undefined;
}

const isOfBatches = /^--(?:batch|batch-size|no-wait)$/;

export function checkJudgeCommand(context: CommandContext): Command {
  const command = new Command("check-judge")
    .summary("check whether a judge can be trusted before paying it for a whole dataset")
    .description(
      "Lets a judge rate twenty rows whose order is known (good, cut short, wrong, off topic, refused, with hidden\ninstructions), twice, and a third time where that leaves a doubt. Exit code 3 if it does not tell them apart, follows instructions in rows, or contradicts itself.",
    )
    .option("--judge <judge>", "a model, or a student: student, student:FILE, openai:MODEL, …", "student")
    .addOption(new Option("--language <code>", "the language of the rows").choices(anchorLanguages).default("en"))
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Judges that call a model:")
    .option(
      "--rubric <name>",
      "the rubric (prompt and scale): one of the package's, or a YAML file (alpagasus-accuracy)",
    )
    .option("--logprobs", "the score is the mean over the judge's possible scores, weighted by token probability")
    .option("--samples <n>", "the score is the mean of n replies (at most 100)", parsePositive);
  addModelOptions(command);
  for (const option of command.options) if (isOfBatches.test(option.long ?? "")) option.hidden = true; // refused below
  return command
    .addHelpText(
      "after",
      `
A long rating (1,000 calls or more) starts and ends with these rows automatically, and reports whether the judge has
drifted.

Examples:
  alpagasus check-judge --judge openai:gpt-5-mini
  alpagasus check-judge --judge openai:gpt-5-mini --language zh
  alpagasus check-judge --judge http://127.0.0.1:11434/v1#qwen3:8b --rubric ultrafeedback`,
    )
    .action(async (flags: CheckJudgeFlags, self: Command) => {
      if (!isModelName(flags.judge)) expectNoModelFlags(self, flags.judge, ["rubric", "logprobs", "samples"]);
      if (flags.batch)
        throw new UsageError("--batch: a check needs its replies at once and cannot use batches; leave the option out");
      const { checkJudge } = await import("../stages/check-judge.ts");
      const { batch: _, ...asking } = readModelFlags(flags);
      const health = await checkJudge({
        ...asking,
        judge: flags.judge,
        language: flags.language,
        run: flags.run,
        signal: context.signal,
        rubric: flags.rubric,
        logprobs: flags.logprobs,
        samples: flags.samples,
      });
      context.signal.throwIfAborted();
      if (!health.isHealthy) context.exitCode = 3;
      if (health.stopped === "budget") context.exitCode = 4;
      if (health.stopped === "failure") context.exitCode = 1;
      process.stdout.write(flags.json ? `${plainJson(health, 2)}\n` : renderHealth(health));
    });
}
