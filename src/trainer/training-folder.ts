import { chmod, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { hashExample, type Example } from "../dataset/example.ts";
import { openAtomicFile, writeWhole } from "../files/atomic-file.ts";
import { chatTemplateFile, hasUnlearnt, isApart, needsTokens, type TrainerFormat } from "./formats/format.ts";
import type { TrainingPlan } from "./plan-training.ts";
import { jobFiles } from "./job-files.ts";
import { lossOf, type TrainingRecipe } from "./recipe.ts";
import { createRandom, shuffledIndices } from "../stats/random.ts";
import { packageOf, trackers } from "../python/trackers.ts";
import { constraintsOf, pythonFolder } from "../python/uv.ts";
import { makeFolder } from "../files/make-folder.ts";
import { isOneQuestion } from "../dataset/conversation.ts";
import { dataErrorAt } from "../dataset/place.ts";
import { formatCount } from "../format.ts";

/*
 * A training folder: data, settings, pinned Python packages and `run.sh`, which runs without alpagasus.
 */

/** The paths of a training's files. */
export interface TrainingFolder {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly output: string;
  readonly rows: string;
  readonly checks: string;
  /** Holds the id of the process that is training there. */
  readonly owner: string;
  /** Settings and hash of the training. The text does not depend on the folder's name. */
  readonly settings: string;
}

export function trainingFolder(folder: string): TrainingFolder {
  return {
    folder,
    data: join(folder, "data", "train.jsonl"),
    log: join(folder, "log.txt"),
    output: join(folder, "output"),
    rows: join(folder, "rows.json"),
    checks: join(folder, "checks.json"),
    owner: join(folder, "training.pid"),
    settings: join(folder, "training.json"),
  };
}

const probeRows = 8; // the first training rows; an equal loss on them shows that the saved model is the trained one

/**
 * Which rows are held out, by their positions in the arm: a sample by the training's seed. Rows that are the same go together, so that none
 * is measured that was learnt, as long as that leaves the number that is wanted.
 */
async function drawHeldOut(
  rows: AsyncIterable<readonly Example[]>,
  count: number,
  seed: number,
): Promise<(position: number) => boolean> {
  if (count === 0) return () => false;
  const hashes: string[] = [];
  const alike = new Map<string, number[]>();
  for await (const batch of rows)
    for (const example of batch) {
      const hash = hashExample(example);
      const group = alike.get(hash);
      if (group) group.push(hashes.length);
      else alike.set(hash, [hashes.length]);
      hashes.push(hash);
    }
  const order = shuffledIndices(hashes.length, createRandom(seed));
  const chosen = new Set<number>();
  for (const position of order) {
    const group = alike.get(hashes[position]!)!;
    if (!chosen.has(position) && group.length <= count - chosen.size) for (const one of group) chosen.add(one);
  }
  for (const position of order) if (chosen.size < count) chosen.add(position);
  return (position) => chosen.has(position);
}

/** @throws DataError when there are rows that a training cannot carry as they are */
export async function expectFit(
  rows: AsyncIterable<readonly Example[]>,
  { settings }: Pick<TrainingPlan, "settings">,
  trainer: TrainerFormat,
): Promise<void> {
  const unfit = new UnfitRows(settings, trainer);
  for await (const batch of rows) for (const example of batch) unfit.look(example);
  unfit.expectNone();
}

/** Writes the rows, which fit, in the trainer's format, and the probe rows. Tells whether the folder has to make their tokens itself. */
export async function writeTrainingData(
  folder: TrainingFolder,
  rows: () => AsyncIterable<readonly Example[]>,
  { settings, seed, heldOut }: Pick<TrainingPlan, "settings" | "seed" | "heldOut">,
  trainer: TrainerFormat,
): Promise<{ areTokens: boolean }> {
  const { template } = settings;
  const isHeldOut = await drawHeldOut(rows(), heldOut, seed);
  const validation = heldOut > 0 ? openAtomicFile(join(folder.folder, "data", "validation.jsonl")) : undefined;
  if (!validation) await rm(join(folder.folder, "data", "validation.jsonl"), { force: true });
  let position = 0;
  const loss = lossOf(settings);
  let areTokens = false;
  const train = openAtomicFile(folder.data);
  const probe = openAtomicFile(join(folder.folder, "data", "test.jsonl"));
  let written = 0;
  try {
    for await (const batch of rows()) {
      for (const example of batch) {
        const line = `${JSON.stringify(trainer.row(example, template, loss))}\n`;
        areTokens ||= trainer.takesTokens && needsTokens(example, loss);
        if (isHeldOut(position++)) await validation!.write(line);
        else {
          await train.write(line);
          if (written++ < probeRows) await probe.write(line);
        }
      }
    }
    await train.commit();
    await probe.commit();
    await validation?.commit();
  } finally {
    await train.discard();
    await probe.discard();
    await validation?.discard();
  }
  return { areTokens };
}

/** Rows that a training cannot carry as they are. They stop it: text that is left out, or put into another role, is learnt wrong. */
class UnfitRows {
  readonly #template: TrainingRecipe["template"];
  readonly #loss: "last" | "all";
  readonly #trainer: TrainerFormat;
  readonly #found = {
    chat: [] as Example[],
    tools: [] as Example[],
    unasked: [] as Example[],
    options: [] as Example[],
    unlearnt: [] as Example[],
    turns: [] as Example[],
  };

  constructor(settings: TrainingPlan["settings"], trainer: TrainerFormat) {
    this.#template = settings.template;
    this.#loss = lossOf(settings);
    this.#trainer = trainer;
  }

  look(example: Example): void {
    const { conversation } = example;
    if (!conversation) return;
    const { turns, answer, tools, templateOptions } = conversation;
    const hasTools =
      tools.length > 0 || [...turns, answer].some(({ role, toolCalls }) => role === "tool" || toolCalls !== undefined);
    if (hasTools && !(this.#trainer.carriesTools && this.#template === "chat")) this.#found.tools.push(example);
    else if (templateOptions && !(this.#trainer.takesTokens && this.#template === "chat"))
      this.#found.options.push(example);
    else if (!this.#trainer.masksTurns && hasUnlearnt(conversation, this.#loss)) this.#found.unlearnt.push(example);
    else if (!turns.some(({ role }) => role === "user")) this.#found.unasked.push(example);
    else if (this.#template === "alpaca" && (!isOneQuestion(conversation) || isApart(answer)))
      this.#found.chat.push(example);
    else if (this.#trainer.takes?.(conversation, this.#template) === false) this.#found.turns.push(example);
  }

  /** @throws DataError when there were such rows */
  expectNone(): void {
    const { chat, tools, unasked, options, unlearnt, turns } = this.#found;
    const count = (rows: readonly Example[]) => `${formatCount(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
    if (chat.length > 0)
      throw dataErrorAt(
        chat[0]!.place,
        `expected an instruction, an input and an answer in every row for --template alpaca, got ${count(chat)} with a system text, several turns or reasoning in a field of its own, of which this is the first; train with --template chat`,
      );
    if (turns.length > 0)
      throw dataErrorAt(
        turns[0]!.place,
        `expected turns of the user and the assistant one after the other, a system text before them alone, and no reasoning apart from the text for --trainer ${this.#trainer.name}, got ${count(turns)} with others, of which this is the first; train with --trainer trl or axolotl, or select without them`,
      );
    if (unasked.length > 0)
      throw dataErrorAt(
        unasked[0]!.place,
        `expected a user's turn before the answer in every row, got ${count(unasked)} without one, of which this is the first; select without them`,
      );
    if (options.length > 0)
      throw dataErrorAt(
        options[0]!.place,
        `expected rows without options for the chat template ${this.#trainer.takesTokens ? "for --template alpaca" : `for --trainer ${this.#trainer.name}`}, got ${count(options)} with chat_template_kwargs, of which this is the first; ${this.#trainer.takesTokens ? "train with --template chat" : "train with --trainer trl"}`,
      );
    if (unlearnt.length > 0)
      throw dataErrorAt(
        unlearnt[0]!.place,
        `expected rows whose turns are all learnt for --trainer ${this.#trainer.name}, got ${count(unlearnt)} with turns marked not to be (weight 0), of which this is the first; train with --trainer trl or axolotl${unlearnt.every(({ conversation }) => conversation!.answer.weight === undefined) ? ", or with --loss last" : ""}`,
      );
    if (tools.length > 0)
      throw dataErrorAt(
        tools[0]!.place,
        `expected rows without tools ${this.#trainer.carriesTools ? "for --template alpaca" : `for --trainer ${this.#trainer.name}`}, got ${count(tools)} that offer or call them, of which this is the first; ${this.#trainer.carriesTools ? "train with --template chat" : "train with --trainer trl or axolotl"}, or select without them`,
      );
  }
}

/** Writes all files except the data. */
export async function writeTrainingFolder(
  folder: TrainingFolder,
  plan: TrainingPlan,
  base: string,
  trainingHash: string,
  trainer: TrainerFormat,
  areTokens: boolean,
): Promise<void> {
  const { settings } = plan;
  const files = { ...trainer.files(plan, base, areTokens) };
  makeFolder(join(folder.folder, "data"));
  const chatTemplate = settings.template === "alpaca" && trainer.chatTemplate ? chatTemplateFile : null;
  const shipped = (name: string) => readFile(join(pythonFolder, name), "utf8");
  const write = (name: string, text: string) => writeChanged(join(folder.folder, name), text);
  const more = (trainer.moreRequirements?.(plan) ?? []).map((line) => `${line}\n`);
  await write("requirements.txt", [await shipped(trainer.requirements), ...more].join(""));
  const constraints = basename(constraintsOf(join(pythonFolder, trainer.requirements)));
  for (const name of [constraints, ...trainer.scripts]) await write(name, await shipped(name));
  if (chatTemplate && trainer.chatTemplate) {
    const template = trainer.chatTemplate(await shipped("alpaca.jinja"));
    const found = await readFile(join(folder.folder, chatTemplate), "utf8").catch(() => "");
    if (found !== beginning + template) await write(chatTemplate, template); // rows.py has put it there, for this base
  }
  if (trainer.startsOnSeveralMachines) Object.assign(files, jobFiles(plan, basename(folder.folder)));
  for (const [name, text] of Object.entries(files)) await write(name, text);
  await write(
    basename(folder.settings),
    `${JSON.stringify(
      {
        trainer: trainer.name,
        template: settings.template,
        base,
        chatTemplate,
        loss: lossOf(settings),
        evaluated: plan.heldOut > 0 ? "validation" : "test",
        packing: settings.packing ?? false,
        areTokens,
        method: settings.method,
        maxLength: settings.max_length,
        precision: settings.precision,
        quantisation: settings.quantisation ?? null,
        gpus: plan.gpus,
        processes: plan.processes,
        nodes: plan.nodes,
        shardedCheckpoints: settings.sharded_checkpoints ?? false,
        usdPerHour: plan.usdPerHour ?? null,
        hash: trainingHash,
      },
      null,
      2,
    )}\n`,
  );
  await write("run.sh", runScript(trainer));
  await chmod(join(folder.folder, "run.sh"), 0o755);
}

/** Reads which trackers `run.sh` sends the loss curve to, and the packages that they need. */
const trackerScript = `# REPORT_TO=${trackers.join(",")} (some of them) sends the loss curve there, too
more=""
for tool in $(echo "\${REPORT_TO:-}" | tr , " "); do
  case "$tool" in
${trackers.map((tool) => `    ${tool}) more="$more --with ${packageOf(tool)}" ;;`).join("\n")}
    *) echo "run.sh: REPORT_TO: expected ${trackers.join(", ")}, got $tool" >&2; exit 2 ;;
  esac
done`;

const beginning = "{{- bos_token -}}"; // as rows.py writes it

/** Writes a text that is not there already, whole or not at all: a training may run in the folder. */
async function writeChanged(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => undefined)) !== text) await writeWhole(path, text);
}

const runScript = ({ commands, tellsTrackers }: TrainerFormat) => `#!/bin/sh
# Trains the model of this folder. Needs uv (https://docs.astral.sh/uv/).
# Run it again after an interruption: it resumes from the last checkpoint.
set -eu
cd "$(dirname "$0")"
${tellsTrackers ? `\n${trackerScript}\n` : ""}
with_parts() {
  uv run --no-progress --no-project --python 3.11 --with-requirements requirements.txt${tellsTrackers ? " $more" : ""} -- "$@"
}

${commands}
echo "alpagasus: done"
`;
