import { Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import { isForeignFile } from "../files/foreign-file.ts";
import { areOutputs, toAlpacaEval } from "../generation/alpaca-eval.ts";
import { writeWhole } from "../files/atomic-file.ts";
import { formatNumbered } from "../format.ts";
import { isModelName, modelForms } from "../llm/model-name.ts";
import type { ServerKind } from "../generation/serve-model.ts";
import type { CommandContext } from "./context.ts";
import { setExitCode } from "./exit-code.ts";
import { addModelOptions, describeWaiting, readModelFlags, type ModelFlags } from "./model-options.ts";
import { jsonOption, minCoverageOption, parseNumber, parsePositive, parseWhole, runOption } from "./options.ts";
import { renderAnswers } from "./text/answers.ts";
import { renderPlan } from "./text/plan.ts";
import { addServingOptions, readServing, type ServingFlags } from "./serving-options.ts";
import { plainJson, plainText } from "./text/plain-text.ts";
import { openProgressLine } from "./text/progress.ts";

interface GenerateFlags extends ModelFlags, ServingFlags {
  model?: string | undefined;
  endpoint?: string | undefined;
  tests: string[];
  limit?: number | undefined;
  name?: string | undefined;
  template?: "alpaca" | "chat" | undefined;
  server?: ServerKind | undefined;
  temperature?: number | undefined;
  topP?: number | undefined;
  seed?: number | undefined;
  dryRun?: boolean | undefined;
  alpacaEval?: string | undefined;
  minCoverage: number;
  overwrite?: boolean | undefined;
  run: string;
  json?: boolean | undefined;
}

const paperTests = ["vicuna", "koala", "wizardlm", "self-instruct"];

export function generateCommand(context: CommandContext): Command {
  const command = new Command("generate")
    .summary("let a model answer test prompts")
    .description(
      "Lets a model answer test prompts with greedy decoding and saves the answers in the run as answers/NAME.jsonl; compare finds them by that name. For a model on this machine, a server is started: vLLM with an NVIDIA GPU, transformers serve without. After an interruption, the same command continues.",
    )
    .option(
      "--model <model>",
      `a model that the run has trained (selected), a folder with a model, a Hub id, smollm2, ${modelForms}`,
    )
    .option("--endpoint <url>", "a running server with an OpenAI-compatible API: http://127.0.0.1:8000/v1")
    .option("--tests <set...>", "vicuna, koala, wizardlm, self-instruct, mt-bench, or files with prompts", paperTests)
    .option("--limit <n>", "only the first prompts of each set", parsePositive)
    .option("--name <name>", "the name of the answers (the model's name)")
    .addOption(
      new Option(
        "--template <kind>",
        "how a prompt and its input become a message (as the model was trained, else chat)",
      ).choices(["alpaca", "chat"]),
    )
    .addOption(
      new Option("--server <kind>", "which server to start (vllm on a GPU)").choices(["vllm", "transformers"]),
    );
  addServingOptions(command, "start the model's servers")
    .option("--temperature <t>", "sampling temperature, 0 to 2; the paper decodes greedily (0)", parseTemperature)
    .option(
      "--top-p <share>",
      "nucleus sampling: sample from the likeliest tokens with this total probability, over 0 to 1",
      parseTopP,
    )
    .option("--seed <n>", "sampling seed, for reproducible answers if the server supports it", parseWhole)
    .option("--dry-run", "show the first prompt, the calls left, their tokens and cost; call nothing, start nothing")
    .addOption(minCoverageOption("prompts with an answer"))
    .option("--alpaca-eval <file>", "also write the answers as AlpacaEval reads them: a .json file")
    .option("--overwrite", "replace answers of that name that are from another model or were made with other settings")
    .addOption(runOption())
    .addOption(jsonOption())
    .optionsGroup("Calls:");
  return addModelOptions(command, "1,024")
    .addHelpText(
      "after",
      `
Answers are limited to 1,024 new tokens (--max-output-tokens); an answer that is cut there is marked "cut".

Examples:
  alpagasus generate --model selected
  alpagasus generate --model models/selected --tests vicuna koala
  alpagasus generate --model openai:gpt-5-mini --tests vicuna --budget 2
  alpagasus generate --model selected --on ray:http://head:8265 --replicas 4
  alpagasus generate --endpoint http://127.0.0.1:8000/v1 --name team --tests mine.jsonl
  alpagasus compare selected random --judge openai:gpt-5-mini`,
    )
    .action(async (flags: GenerateFlags) => {
      const [{ openAnswerer }, { openTestSets }, { generate }, { planAnswers }] = await Promise.all([
        import("../generation/open-answerer.ts"), // imported here because they are large
        import("../generation/test-sets.ts"),
        import("../stages/generate.ts"),
        import("../stages/plan-calls.ts"),
      ]);
      if (flags.alpacaEval !== undefined && !/\.json$/i.test(flags.alpacaEval))
        throw new UsageError(
          `--alpaca-eval: expected a name that ends in .json, which AlpacaEval wants, got ${JSON.stringify(flags.alpacaEval)}`,
        );
      if (flags.alpacaEval !== undefined && (await isForeignFile(flags.alpacaEval, areOutputs)))
        throw new UsageError(
          `--alpaca-eval: ${flags.alpacaEval}: expected no file, or a model's outputs to replace, got a file of another kind, which stays as it is; give another name`,
        );
      const prompts = await openTestSets(flags.tests, flags.limit);
      const model = await chooseModel(flags);
      const { temperature, topP, seed } = flags;
      const sampling = {
        temperature,
        topP,
        seed,
      };
      const answerer = await openAnswerer(model, {
        ...readModelFlags(flags),
        run: flags.run,
        sampling,
        signal: context.signal,
        forPlan: flags.dryRun ?? false,
        template: flags.template,
        server: flags.server,
        ray: await readServing(flags),
        onPhase: (phase) => process.stderr.write(`generate: ${plainText(phase)}\n`),
      });
      const sayWaiting = () => {
        const waiting = answerer.server
          ? "stopping the model's servers; unfinished answers will be generated again"
          : describeWaiting(answerer.calls());
        process.stderr.write(`\nalpagasus: stopping; ${waiting}\n`);
      };
      try {
        if (flags.dryRun) {
          const plan = planAnswers(prompts, { answerer });
          process.stdout.write(flags.json ? `${plainJson(plan, 2)}\n` : renderPlan(plan));
          return;
        }
        if (answerer.problem !== undefined) throw new UsageError(answerer.problem);
        context.signal.addEventListener("abort", sayWaiting);
        const progress = openProgressLine();
        const summary = await generate(prompts, {
          run: flags.run,
          answerer,
          command: context.command,
          minCoverage: flags.minCoverage,
          onProgress: progress.show,
          name: flags.name,
          overwrite: flags.overwrite,
        }).finally(progress.clear);
        setExitCode(summary, context);
        process.stdout.write(flags.json ? `${plainJson(summary, 2)}\n` : renderAnswers(summary));
        if (flags.alpacaEval !== undefined) await writeAlpacaEval(flags.alpacaEval, summary.arm, flags.run);
      } finally {
        context.signal.removeEventListener("abort", sayWaiting);
        await answerer.close();
      }
    });
}

async function writeAlpacaEval(path: string, name: string, run: string): Promise<void> {
  const [{ readOwnAnswers }, { runFolder }] = await Promise.all([
    import("../generation/answers-file.ts"),
    import("../run/run-folder.ts"),
  ]);
  const { answers } = await readOwnAnswers(runFolder(run).answersPath(name));
  const { text, written, leftOut } = toAlpacaEval(answers, name);
  await writeWhole(path, text);
  const without =
    leftOut === 0 ? "" : `; ${formatNumbered(leftOut, "prompt has", "prompts have")} no answer, or several turns`;
  process.stderr.write(
    `alpagasus: wrote ${formatNumbered(written, "answer", "answers")} to ${plainText(path)}${without}\n`,
  );
}

/** The model's name; with --endpoint, ADDRESS#MODEL. */
async function chooseModel({ model, endpoint }: GenerateFlags): Promise<string> {
  if (endpoint === undefined) {
    if (model === undefined) throw new UsageError("--model: expected a model to answer, got none; or --endpoint URL");
    return model;
  }
  if (model !== undefined && isModelName(model))
    throw new UsageError(`--model: expected the endpoint's name for its model, got ${model}; leave --endpoint out`);
  const [{ findServedModel }, { checkAddress }] = await Promise.all([
    import("../llm/served-models.ts"),
    import("../llm/open-compatible.ts"),
  ]);
  const address = checkAddress(endpoint, "--endpoint: ");
  return `${address}#${model ?? (await findServedModel(address))}`;
}

function parseTemperature(text: string): number {
  const value = parseNumber(text);
  if (!(value >= 0 && value <= 2)) throw new InvalidArgumentError("Expected a number from 0 to 2.");
  return value;
}

function parseTopP(text: string): number {
  const value = parseNumber(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError("Expected a share over 0 and up to 1.");
  return value;
}
