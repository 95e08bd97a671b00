import { readFileSync, statSync } from "node:fs";
import { parseEnv } from "node:util";
import { Command, CommanderError } from "commander";
import { AlpagasusError, messageOf, Terminated } from "../errors.ts";
import { isKey } from "../keys.ts";
import { shellWord } from "../shell-word.ts";
import { version } from "../version.ts";
import { withoutPasswords } from "../without-password.ts";
import type { CommandContext } from "./context.ts";
import { repeatable } from "./options.ts";
import { plainText } from "./text/plain-text.ts";

const interrupted = 130;
/**
 * SIGHUP, which a closing terminal sends, stops a command as SIGTERM does. Node resets what `nohup` sets, so that cannot be heeded.
 */
const endSignals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
/** Exit codes of commands that a signal ended: 128 and its number. */
const endCodes: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGINT: interrupted, SIGTERM: 143, SIGHUP: 129 };
/** Messages for system errors that come from a path the user gave. */
const refusals: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "not permitted there",
  EROFS: "the disk is read-only",
  ENOTDIR: "a part of the path is a file, not a folder",
  EISDIR: "it is a folder",
  EEXIST: "a file of that name already exists",
  ENOENT: "no such file or folder",
  ELOOP: "links there lead in a circle",
};
const helpWidth = Math.min(process.stdout.columns || 110, 110);

/**
 * Runs one command and returns its exit code: 0 done, 1 failed, 2 wrong usage or bad input, 3 a gate did not hold, 4 the
 * budget was reached, 130 interrupted, 143 terminated, 129 hung up.
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  if (args[0] === "help" && (args.length === 1 || Object.hasOwn(commands, args[1]!)))
    return runCommandLine([...args.slice(1, 2), "--help"]);
  readKeys(args);
  outliveReaders(args);
  const interruption = new AbortController();
  const context: CommandContext = {
    signal: interruption.signal,
    command: ["alpagasus", ...args].map(shellWord).join(" "),
    exitCode: 0,
    interruptedWith: interrupted,
  };
  const stop = (signal: NodeJS.Signals): void => {
    context.interruptedWith = endCodes[signal] ?? interrupted;
    if (interruption.signal.aborted) process.exit(context.interruptedWith); // a second signal: exit at once
    interruption.abort(signal === "SIGINT" ? undefined : new Terminated(signal));
  };
  for (const signal of endSignals) process.on(signal, stop);
  try {
    await (await createProgram(context, args)).parseAsync(args, { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (interruption.signal.aborted) {
      process.stderr.write("alpagasus: interrupted; no half-written files were left\n");
      return context.interruptedWith;
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (isFull(error)) {
      process.stderr.write(
        `alpagasus: ${plainText(messageOf(error))}; make room, then run the same command again: replies that came are kept\n`,
      );
      return 1;
    }
    const refusal = describeRefusal(error) ?? (await describeDatabaseError(error));
    process.stderr.write(`alpagasus: ${plainText(withoutPasswords(refusal ?? messageOf(error)))}\n`);
    if (refusal !== undefined) return 2;
    if (error instanceof AlpagasusError) return error.exitCode;
    if (process.env["ALPAGASUS_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    else process.stderr.write("alpagasus: unexpected error; run again with ALPAGASUS_DEBUG=1 to see its stack trace\n");
    return 1;
  } finally {
    for (const signal of endSignals) process.off(signal, stop);
  }
}

/** Whether a file could not be written for lack of room. */
function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(ENOSPC|EDQUOT|EFBIG)$/.test(String(error.code));
}

async function describeDatabaseError(error: unknown): Promise<string | undefined> {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined; // of SQLite
  return (await import("../llm/call-store-file.ts")).describeDamage(error);
}

/** The message for a file-system error that the user can fix; undefined for other errors. */
function describeRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("path" in error)) return undefined;
  const reason = refusals[String(error.code)];
  return (
    reason &&
    `${String(error.path).replace(/\.[0-9a-z]+-\d+-[0-9a-z]*\.partial$/, "")}: ${reason}; choose another place`
  );
}

/** The commands, each in a file that is loaded when it is needed: in the order in which help lists them. */
const commands: Readonly<Record<string, () => Promise<(context: CommandContext) => Command>>> = {
  init: async () => (await import("./init.ts")).initCommand,
  run: async () => (await import("./run.ts")).runCommand,
  "check-judge": async () => (await import("./check-judge.ts")).checkJudgeCommand,
  rate: async () => (await import("./rate.ts")).rateCommand,
  merge: async () => (await import("./merge.ts")).mergeCommand,
  replies: async () => (await import("./replies.ts")).repliesCommand,
  embed: async () => (await import("./embed.ts")).embedCommand,
  select: async () => (await import("./select.ts")).selectCommand,
  train: async () => (await import("./train.ts")).trainCommand,
  serve: async () => (await import("./serve.ts")).serveCommand,
  generate: async () => (await import("./generate.ts")).generateCommand,
  evaluate: async () => (await import("./evaluate.ts")).evaluateCommand,
  benchmark: async () => (await import("./benchmark.ts")).benchmarkCommand,
  compare: async () => (await import("./compare.ts")).compareCommand,
  report: async () => (await import("./report.ts")).reportCommand,
  view: async () => (await import("./view.ts")).viewCommand,
  labels: async () => (await import("./labels.ts")).labelsCommand,
  push: async () => (await import("./push.ts")).pushCommand,
  distill: async () => (await import("./distill.ts")).distillCommand,
  batches: async () => (await import("./batches.ts")).batchesCommand,
  status: async () => (await import("./status.ts")).statusCommand,
};

/** @param args the command that is run is the only one that is loaded, where the first argument names one */
export async function createProgram(context: CommandContext, args: readonly string[] = []): Promise<Command> {
  const named = Object.hasOwn(commands, args[0] ?? "") ? commands[args[0]!] : undefined;
  const loaders = named ? [named] : Object.values(commands);
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
  alpagasus benchmark --models selected random --tasks mmlu:5
                                                      benchmarks, compared item by item
  alpagasus report                                    all of it as one page that opens from disk
  alpagasus view                                      look through every row in the browser
  alpagasus view --label maria                        label pairs by hand, blind; alpagasus labels counts them
  alpagasus distill --out mine.student                train a student on this run's ratings

Commands that work on a run take --run DIR (default runs/default), the folder that holds all of its files.
Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 done but a gate did not hold, 4 the budget was reached,
130 interrupted (by SIGTERM 143, by a lost terminal 129).`,
    );
  for (const load of loaders) program.addCommand(inherit((await load())(context), program));
  program.exitOverride();
  return program;
}

/** Copies the program's settings, which `addCommand` does not do by itself. */
function inherit(command: Command, program: Command): Command {
  refuseRepeats(command);
  return command
    .copyInheritedSettings(program)
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption("-h, --help", "print this help");
}

/** Refuses an option with one value that is given several values: the last would count, and the others be dropped in silence. */
function refuseRepeats(command: Command): void {
  const given = new Map<string, unknown>();
  for (const option of command.options) {
    const name = option.attributeName();
    if (option.variadic || option.isBoolean() || repeatable.has(option)) continue;
    command.on(`option:${option.name()}`, (value: unknown) => {
      if (given.has(name) && given.get(name) !== value)
        command.error(
          `error: ${option.long}: expected it once, got it twice (${JSON.stringify(given.get(name))} and ${JSON.stringify(value)}); give one value`,
        );
      given.set(name, value);
    });
  }
}

/**
 * Reads keys from the file .env of the current folder. It is a text that somebody else may have written: other variables in it could send
 * keys and rows to another server, so they are ignored; those that would are named.
 */
function readKeys(args: readonly string[]): void {
  let found: NodeJS.Dict<string>;
  try {
    const info = statSync(".env");
    if (!info.isFile() || info.size > longestEnv) {
      process.stderr.write(
        `alpagasus: .env ignored: expected a file of at most ${longestEnv / 1024} KB, got ${info.isFile() ? "a larger one" : "something else"}\n`,
      );
      return;
    }
    found = parseEnv(readFileSync(".env", "utf8").replace(/^\ufeff/, ""));
  } catch {
    return; // there is no such file
  }
  const names = Object.keys(found);
  const read = names.filter((name) => isKey(name) && found[name]?.trim() && !process.env[name]?.trim());
  for (const name of read) process.env[name] = found[name];
  if (!Object.hasOwn(commands, args[0] ?? "") || keyless.has(args[0]!)) return;
  const ignored = names.filter((name) => !isKey(name) && steers.test(name));
  const said = [
    read.length > 0 && `${read.join(", ")} read from .env`,
    ignored.length > 0 &&
      `${ignored.join(", ")} in .env ignored, since only keys are read from it; set what you need in the environment`,
  ].filter((text) => text !== false);
  for (const text of said) process.stderr.write(`alpagasus: ${plainText(text)}\n`);
}

/** Variables that would change where calls and downloads go. */
const steers =
  /^(OPENAI|ANTHROPIC|GOOGLE|GEMINI|AZURE|AWS|MISTRAL|GROQ|DEEPSEEK|OPENROUTER|HF|ALPAGASUS|RAY|UV|PIP|PYTHON|NODE|LD|DYLD|SSL)_|^(PATH|PYTHONPATH|PYTHONHOME)$|_proxy$/i;
const longestEnv = 64 * 1024; // bytes
/** Commands that use no key: they read, count or show what is there. */
const keyless: ReadonlySet<string> = new Set(["status", "replies", "select", "report", "view", "labels", "merge"]);
/** Commands that only show: nobody needs the rest of what they print once the reader is gone. */
const showing: ReadonlySet<string> = new Set(["replies", "status"]);

/**
 * Goes on when a reader of the output closes the pipe, as in `alpagasus rate … 2>&1 | head`: the command's files are what counts. A
 * command that only shows ends quietly.
 */
function outliveReaders(args: readonly string[]): void {
  const isShowing = showing.has(args[0] ?? "") || args.includes("--help") || args.length === 0;
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.listenerCount("error") > 0) continue;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") {
        if (isShowing) process.exit(0);
        return;
      }
      if (stream === process.stderr) return; // nobody can be told
      process.stderr.write(`alpagasus: the output cannot be written: ${plainText(error.message)}\n`);
      process.exit(1);
    });
  }
}
