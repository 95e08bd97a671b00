import { nameSchema } from "../run/name.ts";
import { readdir } from "node:fs/promises";
import { readWhole } from "../files/read-file.ts";
import { basename, extname, join } from "node:path";
import * as z from "zod";
import { DataError, messageOf, UsageError } from "../errors.ts";
import { parseYaml } from "../files/yaml-file.ts";
import { packageFolder } from "../package-folder.ts";
import { attentionNames, keepNames } from "./setting-names.ts";

/*
 * Training recipes: the settings of a training, as a file `recipes/training/NAME.yaml`. Every setting can be overridden.
 */

const share = z.number().min(0).max(1);
const count = z.number().int().min(1);

const loraSchema = z.strictObject({
  r: count,
  alpha: z.number().positive(),
  dropout: share,
  targets: z.array(z.string()).min(1),
});

const quantisationSchema = z.strictObject({ type: z.enum(["nf4", "fp4"]), nested: z.boolean() });

const hardwareSchema = z.strictObject({
  /** The GPU's name, for display. */
  gpu: z.string(),
  gpus: z.number().int().min(0),
  /** Memory of one GPU, in gigabytes. */
  memory_gb: z.number().positive().optional(),
  /** US dollars per hour for all GPUs together. */
  usd_per_hour: z.number().min(0).optional(),
});

/** The reported time of a training with this recipe, and its number of rows. */
const publishedSchema = z.strictObject({ rows: count, minutes: z.number().positive() });

const trainingMethods = ["full", "lora", "qlora"] as const;

/** Settings that a recipe may leave to the trainer. */
export const optionalSettings = {
  /** Several rows share a sequence, each attending to itself alone. */
  packing: z.boolean().optional(),
  /** Rows of similar length share a batch, so that less is padded. */
  group_by_length: z.boolean().optional(),
  attention: z.enum(attentionNames).optional(),
  /** Liger's kernels, on GPUs. */
  liger: z.boolean().optional(),
  /** Computes activations twice to save memory; when left out, on GPUs. */
  gradient_checkpointing: z.boolean().optional(),
  /** Share of the arm's rows that are held out of training, to measure the loss on. */
  validation: z.number().gt(0).max(0.5).optional(),
  keep: z.enum(keepNames).optional(),
  /** With FSDP: every process writes its part of a checkpoint, for models whose whole state no machine's memory holds. */
  sharded_checkpoints: z.boolean().optional(),
};

const recipeSchema = z
  .strictObject({
    name: nameSchema,
    version: count,
    description: z.string(),
    source: z.string(),
    /** A Hub id, a folder, or `smollm2`. */
    base: z.string(),
    method: z.enum(trainingMethods),
    sharding: z.enum(["fsdp", "none"]),
    /** `alpaca`: the paper's prompt. `chat`: the base model's own chat template. */
    template: z.enum(["alpaca", "chat"]),
    /** Which of the assistant's turns are learnt; when left out, the last with the Alpaca prompt, and all with a chat template. */
    loss: z.enum(["last", "all"]).optional(),
    epochs: z.number().positive(),
    learning_rate: z.number().positive(),
    /** Rows per optimiser step, over all GPUs and accumulated gradients. */
    global_batch: count,
    /** The most tokens of prompt and answer together; longer rows are truncated. */
    max_length: count,
    schedule: z.enum(["cosine", "linear", "constant", "constant_with_warmup"]),
    /** Warm-up, as a share of the steps. */
    warmup: share,
    weight_decay: z.number().min(0),
    precision: z.enum(["bf16", "fp16", "fp32"]),
    lora: loraSchema.optional(),
    quantisation: quantisationSchema.optional(),
    ...optionalSettings,
    hardware: hardwareSchema,
    published: publishedSchema.optional(),
  })
  .refine(({ method, lora }) => (method === "full") === (lora === undefined), {
    path: ["lora"],
    message: "expected with the methods lora and qlora, which need it, and with no other",
  })
  .refine(({ method, quantisation }) => (method === "qlora") === (quantisation !== undefined), {
    path: ["quantisation"],
    message: "expected with the method qlora, which needs it, and with no other",
  })
  .refine(({ packing, group_by_length: grouped }) => !(packing && grouped), {
    path: ["group_by_length"],
    message: "expected without packing, which leaves no rows to group",
  });
export type TrainingRecipe = z.infer<typeof recipeSchema>;

/** @throws UsageError when settings are not those of a recipe, as where a program gives NaN */
export function expectSettings(settings: TrainingRecipe): void {
  const { error } = recipeSchema.safeParse(settings);
  if (!error) return;
  const { path, message } = error.issues[0]!;
  const given = path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], settings);
  throw new UsageError(`${path.join(".")}: ${message}, got ${String(given)}`);
}

/** Which of the assistant's turns are learnt. The Alpaca prompt has one. */
export function lossOf({ loss, template }: Pick<TrainingRecipe, "loss" | "template">): "last" | "all" {
  return template === "alpaca" ? "last" : (loss ?? "all");
}

const shippedFolder = join(packageFolder, "recipes", "training");

/** The names of the recipes that ship with the package. */
export async function listTrainingRecipes(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files
    .filter((name) => extname(name) === ".yaml")
    .map((name) => basename(name, ".yaml"))
    .sort();
}

/**
 * Opens a shipped recipe by its name, or a YAML file.
 *
 * @throws UsageError when no recipe has that name, DataError with line and field when the file is invalid
 */
export async function openTrainingRecipe(name: string): Promise<TrainingRecipe> {
  const isFile = /\.ya?ml$/i.test(name);
  const path = isFile ? name : join(shippedFolder, `${name}.yaml`);
  if (!isFile && !(await listTrainingRecipes()).includes(name))
    throw new UsageError(
      `--recipe: expected ${(await listTrainingRecipes()).join(", ")} or a YAML file, got ${JSON.stringify(name)}`,
    );
  let text: string;
  try {
    text = await readWhole(path, "utf8");
  } catch (cause) {
    throw new DataError(`${path}: cannot be read: ${messageOf(cause)}`, { cause });
  }
  return parseTrainingRecipe(text, path);
}

/** @param path for error messages @throws DataError with line and field */
export function parseTrainingRecipe(text: string, path: string): TrainingRecipe {
  return parseYaml(text, path, recipeSchema, "a training recipe").file;
}
