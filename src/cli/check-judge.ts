import { Command } from "commander";
import { addModelOptions, expectNoModelFlags, readModelFlags, type ModelFlags } from "./model-options.ts";
import { UsageError } from "../errors.ts";
import { isModelName } from "../llm/model-name.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, parsePositive, runOption } from "./options.ts";
import { renderHealth } from "./text/health.ts";
import { plainJson } from "./text/plain-text.ts";

interface CheckJudgeFlags extends ModelFlags {
  judge: string;
  rubric?: string | undefined;
  logprobs?: boolean | undefined;
  samples?: number | undefined;
  run: string;
  json?: boolean | undefined;
}

export function checkJudgeCommand(context: CommandContext): Command {
  const command = new Command("check-judge")
    .summary("see whether a judge can be trusted, before it is paid for a whole dataset")
    .description(
      "Has a judge rate twenty rows whose order is known (good, cut short, wrong, off topic, refused, with hidden\ninstructions), twice. Exit code 3 when it does not tell them apart, obeys what rows tell it, or contradicts itself.",
    )
    .option("--judge <judge>", "a model, or a student: student, student:FILE, openai:MODEL, …", "student")
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Judges that ask a model:")
    .option("--rubric <name>", "how it is asked and read: a rubric of the package, or a YAML file (alpagasus-accuracy)")
    .option("--logprobs", "the score is the mean of what the judge could have written")
    .option("--samples <n>", "the score is the mean of so many replies", parsePositive);
  return addModelOptions(command)
    .addHelpText(
      "after",
      `
A long rating (1,000 calls or more) begins with these rows by itself, and ends with them: alpagasus rate tells when the
judge has drifted meanwhile.

Examples:
  alpagasus check-judge --judge openai:gpt-5-mini
  alpagasus check-judge --judge http://127.0.0.1:11434/v1#qwen3:8b --rubric ultrafeedback`,
    )
    .action(async (flags: CheckJudgeFlags, self: Command) => {
      if (!isModelName(flags.judge)) expectNoModelFlags(self, flags.judge, ["rubric", "logprobs", "samples"]);
      if (flags.batch) throw new UsageError("--batch: expected a check that answers now; leave the option out");
      const { checkJudge } = await import("../stages/check-judge.ts");
      const { batch: _, ...asking } = readModelFlags(flags);
      const health = await checkJudge({
        ...asking,
        judge: flags.judge,
        run: flags.run,
        signal: context.signal,
        rubric: flags.rubric,
        ...(flags.logprobs && { logprobs: true }),
        samples: flags.samples,
      });
      context.signal.throwIfAborted();
      if (!health.isHealthy) context.exitCode = 3;
      process.stdout.write(flags.json ? `${plainJson(health, 2)}\n` : renderHealth(health));
    });
}
