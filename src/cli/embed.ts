import { Command, Option } from "commander";
import { reopenDataset } from "../dataset/reopen.ts";
import { UsageError } from "../errors.ts";
import { isModelName } from "../llm/model-name.ts";
import { embeddedTexts, type EmbeddedText } from "../run/records/embedding.ts";
import { readManifest, runFolder } from "../run/run-folder.ts";
import type { CommandContext } from "./context.ts";
import { setExitCode } from "./exit-code.ts";
import {
  addModelOptions,
  describeWaiting,
  expectNoModelFlags,
  readModelFlags,
  type ModelFlags,
} from "./model-options.ts";
import { jsonOption, minCoverageOption, parsePositive, runOption } from "./options.ts";
import { addServingOptions, readMeasuring, type ServingFlags } from "./serving-options.ts";
import { renderEmbedding } from "./text/embedding.ts";
import { plainJson } from "./text/plain-text.ts";
import { renderPlan } from "./text/plan.ts";
import { openProgressLine } from "./text/progress.ts";

interface EmbedFlags extends ModelFlags, ServingFlags {
  model: string;
  target?: string[] | undefined;
  name?: string | undefined;
  text: EmbeddedText;
  maxLength?: number | undefined;
  dryRun?: boolean | undefined;
  minCoverage: number;
  overwrite?: boolean | undefined;
  run: string;
  json?: boolean | undefined;
}

/** Options of every command that calls a model which have no meaning for vectors. */
const unused = ["--max-output-tokens", "--reasoning", "--batch", "--batch-size", "--no-wait"];

export function embedCommand(context: CommandContext): Command {
  const command = new Command("embed")
    .summary("make vectors of the rows, for select --toward, --dedup semantic and --diverse")
    .description(
      "Makes a vector (an embedding) of each row of a rated run and saves them as embeddings/NAME.npy, which NumPy reads. select uses them to keep rows near to examples of yours (--toward), to leave out rows that say the same (--dedup semantic), or to keep rows apart (--diverse). Vectors are made once: the same text is never embedded or paid again.",
    )
    .option(
      "--model <model>",
      `minilm or smollm2, which need no Hub; a folder or Hub id with a model of sentence-transformers or any transformer; openai:MODEL, google:MODEL, mistral:MODEL or http://HOST/v1#MODEL`,
      "minilm",
    )
    .option("--target <file...>", "files of examples to choose rows near to (select --toward)")
    .addOption(
      new Option("--text <part>", "which text of a row: prompt and answer, or one of them")
        .choices(embeddedTexts)
        .default("row"),
    )
    .option("--name <name>", "the name of the vectors (the model's, with the text where it is not the row)")
    .option(
      "--max-length <tokens>",
      "on this machine: the most tokens of a text (the model's own limit)",
      parsePositive,
    );
  addServingOptions(command, "of a model that is not behind an API: make them")
    .option("--dry-run", "show the calls left, their tokens and cost; call nothing")
    .addOption(minCoverageOption("texts with a vector"))
    .option("--overwrite", "replace vectors of that name that were made otherwise")
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Calls, for a model behind an API:");
  addModelOptions(command);
  for (const option of command.options) if (unused.includes(option.long ?? "")) option.hideHelp();
  return command
    .addHelpText(
      "after",
      `
Examples:
  alpagasus embed
  alpagasus embed --target dev.jsonl
  alpagasus select --toward dev.jsonl --top 1000 --arm toward
  alpagasus embed --model BAAI/bge-m3 --on ray:http://head:8265 --replicas 4
  alpagasus embed --model openai:text-embedding-3-small --budget 1
  alpagasus embed --model http://127.0.0.1:8000/v1#bge-m3 --text prompt`,
    )
    .action(async (flags: EmbedFlags) => {
      const isLocal = !isModelName(flags.model);
      if (isLocal && flags.dryRun)
        throw new UsageError("--dry-run: expected a model behind an API; one on this machine calls nothing");
      if (isLocal) expectNoModelFlags(command, flags.model, []);
      else if (flags.on !== undefined)
        throw new UsageError(`--on: expected a model that is not behind an API, got ${flags.model}; leave --on out`);
      const given = unused.find((long) => {
        const option = command.options.find((one) => one.long === long);
        return option && command.getOptionValueSource(option.attributeName()) === "cli";
      });
      if (given !== undefined) throw new UsageError(`${given}: vectors have no such option; leave it out`);
      const [{ openEmbedder }, { checkEmbedding, embed, planEmbedding }] = await Promise.all([
        import("../embedding/open.ts"), // imported here because they are large
        import("../stages/embed.ts"),
      ]);
      const embedder = await openEmbedder(flags.model, {
        ...readModelFlags(flags),
        run: flags.run,
        maxLength: flags.maxLength,
        ray: await readMeasuring(flags),
        signal: context.signal,
        forPlan: flags.dryRun ?? false,
      });
      const { asker } = embedder;
      const sayWaiting = () => {
        if (asker) process.stderr.write(`\nalpagasus: stopping; ${describeWaiting(asker.calls())}\n`);
      };
      const { run, name, text, maxLength, minCoverage } = flags;
      const targets = flags.target;
      try {
        if (flags.dryRun) {
          const folder = runFolder(run);
          const { overwrite } = flags;
          const { manifest } = await checkEmbedding({ run, embedder, name, text, maxLength, overwrite });
          const plan = await planEmbedding({
            dataset: () => reopenDataset(manifest.dataset, folder),
            embedder,
            text,
            targets,
            retryFailed: flags.retryFailed,
          });
          process.stdout.write(flags.json ? `${plainJson(plan, 2)}\n` : renderPlan(plan));
          return;
        }
        if (asker?.problem !== undefined) throw new UsageError(asker.problem);
        context.signal.addEventListener("abort", sayWaiting);
        const progress = openProgressLine();
        const summary = await embed({
          run,
          embedder,
          name,
          text,
          maxLength,
          targets,
          minCoverage,
          command: context.command,
          onProgress: progress.show,
          overwrite: flags.overwrite,
        }).finally(progress.clear);
        const hasOthers = Object.keys((await readManifest(runFolder(run)))?.embeddings ?? {}).length > 1;
        setExitCode(summary, context);
        process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderEmbedding(summary, { run, hasOthers }));
      } finally {
        context.signal.removeEventListener("abort", sayWaiting);
        await embedder.close();
      }
    });
}
