import { Command, CommanderError } from "commander";
import { AlpagasusError, messageOf } from "../errors.ts";
import { shellWord } from "../shell-word.ts";
import { version } from "../version.ts";
import type { CommandContext } from "./context.ts";
import { batchesCommand } from "./batches.ts";
import { checkJudgeCommand } from "./check-judge.ts";
import { compareCommand } from "./compare.ts";
import { distillCommand } from "./distill.ts";
import { generateCommand } from "./generate.ts";
import { initCommand } from "./init.ts";
import { runCommand } from "./run.ts";
import { rateCommand } from "./rate.ts";
import { repliesCommand } from "./replies.ts";
import { reportCommand } from "./report.ts";
import { viewCommand } from "./view.ts";
import { selectCommand } from "./select.ts";
import { statusCommand } from "./status.ts";
import { trainCommand } from "./train.ts";
import { plainText } from "./text/plain-text.ts";

const interrupted = 130;
const terminated = 143;
/** Messages for system errors that come from a path the user gave. */
const refusals: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "not permitted there",
  EROFS: "the disk is read-only",
  ENOTDIR: "a part of the path is a file, not a folder",
  EISDIR: "it is a folder",
  EEXIST: "a file of that name is in the way",
  ENOENT: "no such file or folder",
};
const helpWidth = Math.min(process.stdout.columns || 110, 110);

/**
 * Runs one command and returns its exit code: 0 done, 1 failed, 2 wrong usage or bad input, 3 a gate did not hold, 4 the
 * budget was reached, 130 interrupted, 143 terminated.
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  loadEnvironment();
  ignoreClosedPipe();
  const interruption = new AbortController();
  const context: CommandContext = {
    signal: interruption.signal,
    command: ["alpagasus", ...args].map(shellWord).join(" "),
    exitCode: 0,
    interruptedWith: interrupted,
  };
  const stop = (signal: NodeJS.Signals): void => {
    context.interruptedWith = signal === "SIGTERM" ? terminated : interrupted;
    if (interruption.signal.aborted) process.exit(context.interruptedWith); // a second signal: exit at once
    interruption.abort();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    await createProgram(context).parseAsync(args, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (interruption.signal.aborted) {
      process.stderr.write("alpagasus: interrupted; nothing half-written was left\n");
      return context.interruptedWith;
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const refusal = describeRefusal(error);
    process.stderr.write(`alpagasus: ${plainText(refusal ?? messageOf(error))}\n`);
    if (refusal !== undefined) return 2;
    if (error instanceof AlpagasusError) return error.exitCode;
    if (process.env["ALPAGASUS_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    else
      process.stderr.write(
        "alpagasus: this is not a known problem; run again with ALPAGASUS_DEBUG=1 to see where it comes from\n",
      );
    return 1;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** The message for a file-system error that the user can fix; undefined for other errors. */
function describeRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("path" in error)) return undefined;
  const reason = refusals[String(error.code)];
  return reason && `${String(error.path).replace(/\.\d+\.partial$/, "")}: ${reason}; choose another place`;
}

export function createProgram(context: CommandContext): Command {
  const program = new Command("alpagasus")
    .description(
      "Rate every row of an instruction dataset, keep the best, and see what any other choice would have kept.\nThe method of AlpaGasus (arXiv 2307.08701), from the command line.",
    )
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .configureOutput({
      getOutHelpWidth: () => helpWidth,
      getErrHelpWidth: () => helpWidth,
      outputError: (text, write) => write(`alpagasus: ${plainText(text.replace(/^error: /, "").trim())}\n`),
    })
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .addHelpText(
      "after",
      `
Examples:
  alpagasus run laptop                                the whole experiment on this machine, with its control
  alpagasus rate train.json                           rate with the embedded judge: no key, no network
  alpagasus select --top 10%                          keep the best tenth
  alpagasus select --method random                    a control of the same size
  alpagasus rate train.json --judge openai:gpt-5-mini --budget 5
                                                      rate with a model, for at most five dollars
  alpagasus rate train.json --judge recorded:gpt.json use scores you already have
  alpagasus train --recipe paper-7b --dry-run         what training on the selected rows will take
  alpagasus generate --model selected                 let the model answer the paper's four test sets
  alpagasus compare selected random                   who wins, how sure, and whether the judge can be trusted
  alpagasus report                                    all of it as one page that opens from disk
  alpagasus view                                      look through every row in the browser
  alpagasus distill --out mine.student                train a student on this run's ratings

Every command takes --run DIR (default runs/default), the folder that holds all of a run's files.
Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 done but a gate did not hold, 4 the budget was reached,
130 interrupted.`,
    );
  for (const create of [
    initCommand,
    runCommand,
    checkJudgeCommand,
    rateCommand,
    repliesCommand,
    selectCommand,
    trainCommand,
    generateCommand,
    compareCommand,
    reportCommand,
    viewCommand,
    distillCommand,
    batchesCommand,
    statusCommand,
  ]) {
    program.addCommand(inherit(create(context), program));
  }
  program.exitOverride();
  return program;
}

/** Copies the program's settings, which `addCommand` does not do by itself. */
function inherit(command: Command, program: Command): Command {
  return command
    .copyInheritedSettings(program)
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption("-h, --help", "print this help");
}

function loadEnvironment(): void {
  try {
    process.loadEnvFile();
  } catch {
    // there is no .env file
  }
}

/** Exits quietly when the reader closes the pipe, as in `alpagasus … | head`. */
function ignoreClosedPipe(): void {
  if (process.stdout.listenerCount("error") > 0) return;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`alpagasus: the output cannot be written: ${plainText(error.message)}\n`);
    process.exit(1);
  });
}
