import { Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import { readTrackers, type Tracker } from "../python/trackers.ts";
import { trainerNames, type TrainerName } from "../trainer/formats/format.ts";
import type { TrainingOverrides } from "../trainer/plan-training.ts";
import { attentionNames, keepNames } from "../trainer/setting-names.ts";
import type { CommandContext } from "./context.ts";
import { jsonOption, parseNumber, parsePositive, parseWhole, runOption, seedOption } from "./options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { askYes } from "./ask-yes.ts";
import { openProgressLine } from "./text/progress.ts";
import { renderTraining, renderTrainingPlan } from "./text/training.ts";

interface TrainFlags extends TrainingOverrides {
  readonly on?: string | undefined;
  readonly storage?: string | undefined;
  readonly reportTo?: Tracker[] | undefined;
  readonly arm: string;
  readonly recipe?: string | undefined;
  readonly model?: string | undefined;
  readonly trainer: TrainerName;
  readonly dryRun?: boolean | undefined;
  readonly overwrite?: boolean | undefined;
  readonly run: string;
  readonly json?: boolean | undefined;
}

export function trainCommand(context: CommandContext): Command {
  return new Command("train")
    .summary("fine-tune a model on an arm")
    .description(
      "Fine-tunes a model on an arm with a recipe, using the trainer TRL on PyTorch (installed by uv). Writes a self-contained folder that can also be run elsewhere: sh run.sh. After an interruption, the same command continues from the last checkpoint.",
    )
    .option("--arm <name>", "the arm to train on", "selected")
    .option("--recipe <name>", "paper-7b, paper-13b, alpagasus2-qlora-7b, alpagasus2-qlora-13b, laptop, or a YAML file")
    .option("--base <model>", "the base model: a Hub id, a folder, or smollm2, which needs no Hub (the recipe's)")
    .option("--model <name>", "the trained model's name (the arm's name)")
    .addOption(
      new Option(
        "--trainer <name>",
        "the trainer that the folder is for; for axolotl and llama-factory it is only written, run it with sh run.sh",
      )
        .choices(trainerNames)
        .default("trl"),
    )
    .option("--dry-run", "write the folder and show the plan: steps, tokens, memory, time, money; train nothing")
    .option("--overwrite", "replace a model of that name that was trained with other settings")
    .optionsGroup("Settings that override the recipe:")
    .addOption(new Option("--template <kind>", "prompt template of a row").choices(["alpaca", "chat"]))
    .addOption(
      new Option(
        "--loss <turns>",
        "which of the assistant's turns are learnt (all; the last with --template alpaca)",
      ).choices(["last", "all"]),
    )
    .option("--epochs <n>", "passes over the rows", parseOver)
    .option("--learning-rate <rate>", "peak learning rate", parseOver)
    .option("--global-batch <rows>", "rows per step over all GPUs", parsePositive)
    .option("--max-length <tokens>", "maximum length of a row; longer rows are cut", parsePositive)
    .addOption(
      new Option("--schedule <name>", "learning-rate schedule").choices([
        "cosine",
        "linear",
        "constant",
        "constant_with_warmup",
      ]),
    )
    .option("--warmup <share>", "share of the steps used for warm-up, 0 to 1", parseShare)
    .option("--weight-decay <value>", "weight decay", parseNotNegative)
    .addOption(
      new Option("--precision <type>", "numeric precision of the computation").choices(["bf16", "fp16", "fp32"]),
    )
    .addOption(new Option("--sharding <kind>", "how weights are sharded over GPUs").choices(["fsdp", "none"]))
    .option("--lora-rank <r>", "LoRA rank", parsePositive)
    .option("--lora-alpha <alpha>", "LoRA alpha", parseOver)
    .option("--lora-dropout <share>", "LoRA dropout, 0 to 1", parseShare)
    .option("--packing", "put several rows into a sequence, each attending to itself alone")
    .option("--group-by-length", "put rows of similar length into a batch")
    .addOption(
      new Option("--attention <name>", "how attention is computed (the trainer's own choice)").choices(attentionNames),
    )
    .option("--liger", "use Liger's kernels, on a GPU")
    .option("--gradient-checkpointing", "compute activations twice to save memory (on GPUs)")
    .option("--no-gradient-checkpointing", "keep activations in memory, also on GPUs")
    .option("--validation <share>", "hold out a share of the rows, and measure the loss on them", parseHeldOut)
    .addOption(new Option("--keep <checkpoints>", "which checkpoints are kept (last)").choices(keepNames))
    .option("--sharded-checkpoints", "with FSDP, let each process write its part of a checkpoint: for large models")
    .optionsGroup("The machines:")
    .option("--gpus <n>", "GPUs that train together; 0 trains on the CPU (the recipe's)", parseWhole)
    .option("--nodes <n>", "machines that share them; the folder is then started on each (1)", parsePositive)
    .option("--processes <n>", "processes that train together on the CPU (1)", parsePositive)
    .option("--on <cluster>", "train as a job of a Ray cluster: ray:http://HEAD:8265 (this machine)")
    .option(
      "--report-to <tools>",
      "send the loss curve to tensorboard, wandb or mlflow, too; several with commas",
      (text: string) => readTrackers(text, "--report-to"),
    )
    .option("--storage <dir>", "with --on: a folder on storage that the cluster's machines share (the training's own)")
    .option("--device-batch <rows>", "rows per GPU or process at a time (at most 4)", parsePositive)
    .option("--usd-per-hour <usd>", "US dollars per hour for all GPUs together (the recipe's)", parseNotNegative)
    .optionsGroup("Options:")
    .addOption(seedOption("the order of the rows and new weights"))
    .addOption(runOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
Examples:
  alpagasus train --recipe paper-7b --dry-run
  alpagasus train --recipe paper-7b --base huggyllama/llama-7b
  alpagasus train --recipe alpagasus2-qlora-7b --arm random
  alpagasus train --recipe paper-13b --gpus 16 --nodes 2 --on ray:http://head:8265
  alpagasus train --recipe laptop                     SmolLM2-135M on this machine, without a GPU and without the Hub`,
    )
    .action(async (flags: TrainFlags) => {
      if (flags.recipe === undefined)
        throw new UsageError(
          "--recipe: expected a recipe, since none fits every machine: paper-7b, paper-13b, alpagasus2-qlora-7b, alpagasus2-qlora-13b, laptop or a YAML file",
        );
      const { planTrain, train } = await import("../stages/train.ts"); // imported here because it is large
      const { openTrainingRecipe } = await import("../trainer/recipe.ts");
      if (flags.storage !== undefined && flags.on === undefined)
        throw new UsageError("--storage: expected --on with it, got none; --on ray:http://HEAD:8265");
      if (flags.reportTo !== undefined && (flags.on !== undefined || flags.trainer !== "trl"))
        throw new UsageError(
          `--report-to: expected a training on this machine by trl, got ${flags.on === undefined ? `--trainer ${flags.trainer}` : `--on ${flags.on}`}; start the folder's run.sh with REPORT_TO=${flags.reportTo.join(",")}, or set it in that trainer's file`,
        );
      if (flags.on !== undefined && flags.trainer !== "trl")
        throw new UsageError(
          `--on: expected --trainer trl, which goes to the cluster as a job, got ${flags.trainer}; leave --on out, and start the folder's run.sh there`,
        );
      const ray = flags.on === undefined ? undefined : (await import("../cluster/address.ts")).readRayAddress(flags.on);
      const recipe = await openTrainingRecipe(flags.recipe);
      const options = {
        run: flags.run,
        arm: flags.arm,
        recipe,
        overrides: readOverrides(flags),
        command: context.command,
        signal: context.signal,
        model: flags.model,
        overwrite: flags.overwrite,
      };
      if (flags.dryRun || flags.trainer !== "trl") {
        const planned = await planTrain({ ...options, trainer: flags.trainer, isFinal: !flags.dryRun });
        process.stdout.write(flags.json ? `${plainJson(planned, 2)}\n` : renderTrainingPlan(planned));
        return;
      }
      const progress = openProgressLine();
      const onTrained = () => process.stderr.write("already trained; showing that training's results\n");
      const onNote = (note: string) => {
        progress.clear();
        process.stderr.write(`alpagasus: ${plainText(note)}\n`);
      };
      const shouldStop = async () => {
        progress.clear();
        return askYes("Stop the job on the cluster, too? [y/N] ");
      };
      const { storage } = flags;
      const summary = await train({
        ...options,
        ray,
        storage,
        reportTo: flags.reportTo,
        shouldStop,
        onNote,
        onTrained,
        onProgress: progress.show,
      }).finally(progress.clear);
      if (summary.gates.some(({ held }) => !held)) context.exitCode = 3;
      const { readManifest, runFolder } = await import("../run/run-folder.ts");
      const models = (await readManifest(runFolder(flags.run)))?.models ?? {};
      process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderTraining(summary, models));
    });
}

const ownOptions: ReadonlySet<string> = new Set<Exclude<keyof TrainFlags, keyof TrainingOverrides>>([
  "arm",
  "recipe",
  "model",
  "trainer",
  "dryRun",
  "on",
  "storage",
  "reportTo",
  "overwrite",
  "run",
  "json",
]);

/** The options that override the recipe: all but those of the command itself. */
function readOverrides(flags: TrainFlags): TrainingOverrides {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => !ownOptions.has(name)));
}

function parseOver(text: string): number {
  const value = parseNumber(text);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a number over 0.");
  return value;
}

function parseNotNegative(text: string): number {
  const value = parseNumber(text);
  if (!(value >= 0)) throw new InvalidArgumentError("Expected a number from 0.");
  return value;
}

function parseHeldOut(text: string): number {
  const value = text.endsWith("%") ? parseNumber(text.slice(0, -1)) / 100 : parseNumber(text);
  if (!(value > 0 && value <= 0.5)) throw new InvalidArgumentError("Expected a share over 0, at most 50 %.");
  return value;
}

function parseShare(text: string): number {
  const value = parseNumber(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("Expected a share from 0 to 1.");
  return value;
}
