import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { basename, dirname, join, resolve } from "node:path";
import * as z from "zod";
import { RunError, UsageError } from "../errors.ts";
import { hashModelFolder, hubCommit } from "../files/model-hash.ts";
import { tryParse } from "../files/try-parse.ts";
import { modelForms } from "../llm/model-name.ts";
import { toServerCall } from "../llm/tool-call.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { isSmollm2 } from "../python/smollm2.ts";
import { resolveBase } from "../trainer/base-model.ts";
import type { TrainingRecipe } from "../trainer/recipe.ts";
import { trainerNames } from "../trainer/formats/format.ts";
import { trainingFolder } from "../trainer/training-folder.ts";
import { isAlpacaTemplate } from "../dataset/user-message.ts";

/** A training prompt as a server is asked for it, and its tokens. */
interface Probe {
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly tools?: readonly unknown[] | undefined;
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>> | undefined;
  readonly tokens: readonly number[];
}

/** A model that alpagasus starts a server for. */
export interface LocalModel {
  /** The model's name, also of its answers. */
  readonly name: string;
  /** Its folder, or its id on the Hub. */
  readonly path: string;
  readonly isOnHub: boolean;
  /** The adapter's base and LoRA rank, if the folder holds only an adapter. */
  readonly adapter?: { readonly base: string; readonly rank: number } | undefined;
  /** Its prompt template; undefined when the folder does not show it. */
  readonly template?: TrainingRecipe["template"] | undefined;
  readonly precision: TrainingRecipe["precision"];
  /** Some training prompts with their tokens; or why they are unknown. */
  readonly probes: readonly Probe[] | string;
  /** Notes for readers of its answers, one line each. */
  readonly notes: readonly string[];
}

const adapterSchema = z.object({ base_model_name_or_path: z.string().regex(/^[^-]/), r: z.number() }); // no option of a command
const trainingSchema = z.object({
  trainer: z.enum(trainerNames),
  template: z.enum(["alpaca", "chat"]),
  precision: z.enum(["bf16", "fp16", "fp32"]),
});
type Training = z.infer<typeof trainingSchema>;
const rowsSchema = z.object({ prompts: z.array(z.array(z.number()).nullable()).optional() }); // null in those of an older version
const callSchema = z.looseObject({ function: z.looseObject({ arguments: z.unknown() }) });
const messageSchema = z
  .looseObject({ role: z.string(), content: z.string(), tool_calls: z.array(callSchema).optional() })
  .transform(({ tool_calls: calls, ...message }) =>
    calls ? { ...message, tool_calls: calls.map(toServerCall) } : message,
  );
const messagesSchema = z.array(messageSchema).min(1);
const moreSchema = {
  tools: z.array(z.unknown()).optional(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
};
const probeSchema = z.union([
  z
    .object({ prompt: messagesSchema, ...moreSchema })
    .transform(({ prompt, ...more }) => ({ messages: prompt, ...more })),
  z.object({ messages: messagesSchema }).transform(({ messages }) => ({ messages: messages.slice(0, -1) })), // Axolotl's format
]);

const checksSchema = z.array(z.object({ name: z.string(), held: z.boolean(), message: z.string() }));
const notTrainedHere = "it was not trained by alpagasus train";

/**
 * Finds a model by its name: one trained in this run (`selected`, `models/selected`), a folder with a training or a model,
 * a Hub id, or `smollm2`.
 *
 * @throws UsageError when there is no such model, RunError when its training is unfinished
 */
export async function findLocalModel(name: string, run: RunFolder): Promise<LocalModel> {
  const own = run.modelPath(name);
  if (isSmollm2(name) && !existsSync(own)) {
    const path = resolveBase(name);
    return { name, path, isOnHub: false, precision: "fp32", probes: notTrainedHere, notes: [], template: "chat" };
  }
  const folder = [own, join(run.folder, name), name].find((path) => existsSync(path));
  if (folder === undefined) return findOnHub(name, run);
  const path = resolve(folder);
  const isCheckpoint = /^checkpoint-\d+$/.test(basename(path)) && basename(dirname(path)) === "output";
  const owner = isCheckpoint ? dirname(dirname(path)) : dirname(path);
  const trained = existsSync(trainingFolder(folder).settings)
    ? folder
    : (isCheckpoint || basename(path) === "output") && existsSync(trainingFolder(owner).settings)
      ? owner // the name may also be a training's output/ folder, or a checkpoint in it
      : undefined;
  if (trained === undefined) return readModel(basename(resolve(folder)), folder);
  const { settings, checks, output } = trainingFolder(trained);
  const training = trainingSchema.safeParse(await readJson(settings));
  if (!training.success) throw new RunError(`${settings}: expected the settings of a training, got something else`);
  const isFinished = existsSync(training.data.trainer === "trl" ? checks : join(trained, "done"));
  if (!isFinished)
    throw new RunError(
      `${trained}: expected a trained model, found an unfinished training; continue it with alpagasus train, or with sh run.sh in that folder`,
    );
  const found = checksSchema.safeParse(await readJson(checks));
  const model = basename(resolve(trained));
  return readModel(isCheckpoint ? `${model}-${basename(path)}` : model, isCheckpoint ? path : output, {
    ...training.data,
    probes: await readProbes(trained),
    notes: (found.success ? found.data : []).flatMap(({ name: check, held, message }) =>
      held ? [] : [`a check of the trained model failed: ${check}: ${message}`],
    ),
  });
}

async function findOnHub(name: string, run: RunFolder): Promise<LocalModel> {
  const there = await readdir(run.modelsFolder, { withFileTypes: true }).catch(() => []);
  const trained =
    there
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .join(", ") || "none";
  if (!/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) || name.startsWith("models/"))
    throw new UsageError(
      `--model: expected a model of ${run.folder}/models (there: ${trained}), a folder, a Hub id, smollm2, ${modelForms}, got ${JSON.stringify(name)}`,
    );
  return { name: basename(name), path: name, isOnHub: true, precision: "bf16", probes: notTrainedHere, notes: [] };
}

/** @param training how alpagasus trained it; undefined for other models */
async function readModel(
  name: string,
  folder: string,
  training?: Training & Pick<LocalModel, "probes" | "notes">,
): Promise<LocalModel> {
  const adapterFile = await readWhole(join(folder, "adapter_config.json"), "utf8").catch(() => undefined);
  if (adapterFile === undefined && !existsSync(join(folder, "config.json")))
    throw new UsageError(
      `${folder}: expected a model (config.json or adapter_config.json) or a training (training.json), found neither`,
    );
  const adapter = adapterSchema.safeParse(tryParse(adapterFile ?? ""));
  if (adapterFile !== undefined && !adapter.success)
    throw new UsageError(`${folder}/adapter_config.json: expected an adapter's base and rank, got something else`);
  const chatTemplate = await readWhole(join(folder, "chat_template.jinja"), "utf8").catch(() => undefined);
  const fileTemplate = chatTemplate === undefined ? undefined : isAlpacaTemplate(chatTemplate) ? "alpaca" : "chat";
  const template = training?.template ?? fileTemplate;
  return {
    name,
    path: resolve(folder),
    isOnHub: false,
    ...(adapter.success && { adapter: { base: adapter.data.base_model_name_or_path, rank: adapter.data.r } }),
    template,
    precision: training?.precision ?? "bf16",
    probes: training?.probes ?? notTrainedHere,
    notes: [...(training?.notes ?? []), ...(await noteGenerationSettings(folder))],
  };
}

async function readProbes(folder: string): Promise<LocalModel["probes"]> {
  const rows = rowsSchema.safeParse(await readJson(trainingFolder(folder).rows));
  if (!rows.success) return "its trainer recorded no tokens";
  const text = await readWhole(join(folder, "data", "test.jsonl"), "utf8").catch(() => "");
  const asked = text.split("\n").flatMap((line) => {
    const found = probeSchema.safeParse(tryParse(line));
    return found.success ? [found.data] : [];
  });
  const { prompts = [] } = rows.data;
  const known = prompts.flatMap((tokens, i) => (tokens ? [{ ...asked[i]!, tokens }] : []));
  return prompts.length !== asked.length || known.length === 0 ? "it was trained by an older version" : known;
}

const greedyChangingSettings = [
  "repetition_penalty",
  "no_repeat_ngram_size",
  "encoder_repetition_penalty",
  "suppress_tokens",
];

/** Notes on the model's own generation settings that change greedy answers. */
async function noteGenerationSettings(folder: string): Promise<string[]> {
  const settings = z.record(z.string(), z.unknown()).safeParse(await readJson(join(folder, "generation_config.json")));
  const found = greedyChangingSettings.filter((habit) => settings.data?.[habit] != null);
  return found.length === 0
    ? []
    : [`its generation_config.json sets ${found.join(", ")}, which transformers serve applies and vLLM ignores`];
}

async function readJson(path: string): Promise<unknown> {
  return tryParse(await readWhole(path, "utf8").catch(() => ""));
}

/** Identifies a model: SHA-256 over its files, weights included, and its base's; for a Hub model, over its id and commit. */
export async function hashModel(
  { path, isOnHub, adapter, precision }: LocalModel,
  signal?: AbortSignal,
): Promise<string> {
  const sha = createHash("sha256");
  if (isOnHub)
    return sha
      .update(path)
      .update(await hubCommit(path))
      .digest("hex");
  await hashModelFolder(path, sha, signal);
  if (adapter) {
    sha.update(`\0${precision}\0${adapter.base}\0`);
    if (existsSync(adapter.base)) await hashModelFolder(adapter.base, sha, signal);
    else sha.update(await hubCommit(adapter.base));
  }
  return sha.digest("hex");
}
