import { Command } from "commander";
import { readTasks, type BenchmarkTask } from "../benchmark/tasks.ts";
import { benchmark } from "../stages/benchmark.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, parsePositive, parseWhole, runOption, seedOption } from "./options.ts";
import { renderBenchmarks } from "./text/benchmarks.ts";
import { plainJson } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";

interface BenchmarkFlags {
  models: string[];
  tasks: BenchmarkTask[];
  shots?: number | undefined;
  include?: string | undefined;
  limit?: number | undefined;
  chat?: boolean | undefined;
  tokenizer?: string | undefined;
  batch?: number | undefined;
  seed?: number | undefined;
  allowCode?: boolean | undefined;
  run: string;
  json?: boolean | undefined;
}

export function benchmarkCommand(context: CommandContext): Command {
  return new Command("benchmark")
    .summary("run benchmarks on models, and compare them item by item")
    .description(
      "Runs tasks of lm-evaluation-harness on this machine (installed by uv), and compares the first model with every other on the same items. What a model has done is kept: the same command goes on, and more models cost only their own runs.",
    )
    .requiredOption(
      "--models <model...>",
      "models that the run has trained (selected random; other seeds of them are found), folders, Hub ids, smollm2, or a server of your own: http://HOST/v1#MODEL",
    )
    .requiredOption(
      "--tasks <names>",
      "tasks as the harness names them, or of --include, as in mmlu,drop:3 (3 examples in the prompt); paper: the paper's four",
      (text: string) => readTasks(text.split(","), "--tasks"),
    )
    .option("--shots <n>", "examples in the prompt, for tasks that do not say (the task's own)", parseWhole)
    .option("--include <dir>", "a folder with tasks of your own, as the harness reads them")
    .option("--limit <n>", "only the first items of each task", parsePositive)
    .option("--chat", "put prompts into the models' own chat templates")
    .option(
      "--tokenizer <name>",
      "for models behind servers: the folder or Hub id of their tokenizer, for tasks that compare probabilities",
    )
    .option("--batch <n>", "requests at a time (8; on a GPU what fits)", parsePositive)
    .option("--allow-code", "run code that the model writes, as humaneval does; only in a container")
    .addOption(seedOption("the examples in the prompt"))
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus benchmark --models selected random --tasks mmlu:5,drop:3
  alpagasus benchmark --models selected full --tasks paper --allow-code
  alpagasus benchmark --models http://127.0.0.1:8000/v1#mine --tasks gsm8k --chat
  alpagasus benchmark --models selected random --tasks mine --include tasks/`,
    )
    .action(async ({ shots, json, ...options }: BenchmarkFlags) => {
      const progress = openProgressLine();
      const summaries = await benchmark({
        ...options,
        tasks: options.tasks.map((task) => ({ ...task, shots: task.shots ?? shots })),
        command: context.command,
        signal: context.signal,
        onProgress: progress.show,
      }).finally(progress.clear);
      process.stdout.write(json ? `${plainJson(summaries, 2)}\n` : renderBenchmarks(summaries));
    });
}
