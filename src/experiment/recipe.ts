import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, extname, isAbsolute, join, relative, resolve } from "node:path";
import * as z from "zod";
import { DataError, messageOf, UsageError } from "../errors.ts";
import { parseYaml } from "../files/yaml-file.ts";
import { combinations } from "../judge/panel.ts";
import { packageFolder } from "../package-folder.ts";

/*
 * The recipe of a whole experiment, as a YAML file: data and judges, arms, training, test prompts, and comparisons. Its JSON
 * Schema is published, so that editors can complete and check it.
 */

const name = z.string().regex(/^\w[\w.-]*$/, 'expected letters, digits, ".", "_" and "-"');
const count = z.number().int().min(1);
const share = z.number().min(0).max(1);
const percentage = z.string().regex(/^\d+(\.\d+)?%$/, 'expected a share such as "10%"');

const batch = z
  .boolean()
  .default(false)
  .describe("Ask in the provider's batches: within a day, at about half the price (openai, anthropic, google)");

const rateSchema = z.strictObject({
  judge: z
    .union([z.string(), z.array(z.string()).min(2)])
    .describe(
      "Who rates: student, openai:MODEL, anthropic:MODEL, google:MODEL, http://HOST/v1#MODEL, recorded:FILE, column:NAME or run:DIR; a list is a panel",
    ),
  combine: z.enum(combinations).optional().describe("The score of a panel, of its judges' (mean)"),
  rescale: z.boolean().default(false).describe("Map a panel's scores linearly onto the first judge's scale"),
  escalate: z
    .strictObject({
      ask: z.union([count, percentage]).describe("About how many rows, or which share: 5000 or 20%"),
      to: z.string().describe("Who is asked about the rows nearest the cut"),
      min_score: z.number().optional().describe("The cut, a score of that judge's (4.5)"),
      precision: z.number().gt(0).lt(1).optional().describe("Least share of right rows among those kept (0.9)"),
    })
    .optional()
    .describe("With a student as the judge: ask another one where it is not sure"),
  logprobs: z.boolean().default(false).describe("Scores are means by the probabilities of the reply's tokens"),
  samples: count.optional().describe("Scores are means of so many replies"),
  batch,
  check: z.boolean().default(true).describe("Look at a model before and after a long rating"),
  rubric: z.string().optional().describe("How a model is asked: a shipped rubric's name, or a YAML file"),
  scale: z.tuple([z.number(), z.number()]).optional().describe("Lowest and highest score, of recorded ones"),
  reasoning: z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).optional(),
  min_coverage: share.default(0.95).describe("Least share of rows with a score"),
});

const armSchema = z
  .strictObject({
    method: z
      .enum(["score", "random", "longest", "full"])
      .default("score")
      .describe("How rows are chosen; random draws other rows for every training seed"),
    min_score: z.number().optional().describe("Keep rows that score at least this"),
    top: z.union([count, percentage]).optional().describe("Keep so many rows, or a share of all: 9000 or 10%"),
    like: name.optional().describe("Of random and longest: the arm whose size is taken (the first arm)"),
    rows: z.string().optional().describe("Keep exactly these rows: a file with a JSON array of positions from 0"),
    where: z.string().optional().describe("An SQL condition over the row's columns, its score and lengths"),
    per: z.string().optional().describe("A column: rows are shared out over its values"),
    dedup: z.enum(["exact", "near"]).optional(),
    diverse: share.optional().describe("Least distance between kept rows"),
    seed: z.number().int().min(0).default(42).describe("Draws random rows and ties"),
  })
  .describe("A training set");

const trainSchema = z.strictObject({
  recipe: z
    .string()
    .describe(
      "A training recipe: paper-7b, paper-13b, alpagasus2-qlora-7b, alpagasus2-qlora-13b, laptop, or a YAML file",
    ),
  seeds: z.array(z.number().int().min(0)).min(1).default([42]).describe("Each arm is trained once with each"),
  base: z.string().optional().describe("A Hub id, a folder, or smollm2; the recipe's when left out"),
  template: z.enum(["alpaca", "chat"]).optional(),
  epochs: z.number().positive().optional(),
  learning_rate: z.number().positive().optional(),
  global_batch: count.optional(),
  max_length: count.optional(),
  precision: z.enum(["bf16", "fp16", "fp32"]).optional(),
  gpus: z.number().int().min(0).optional().describe("GPUs that train together; 0 trains on the CPU"),
  processes: count.optional(),
  device_batch: count.optional(),
  usd_per_hour: z.number().min(0).optional().describe("What all GPUs together cost an hour"),
});

const generateSchema = z.strictObject({
  tests: z
    .array(z.string())
    .min(1)
    .default(["vicuna", "koala", "wizardlm", "self-instruct"])
    .describe("Test sets by name, or files with prompts"),
  limit: count.optional().describe("Only the first prompts of each set"),
  max_output_tokens: count.default(1024).describe("Most new tokens of an answer"),
  temperature: z.number().min(0).max(2).default(0),
  server: z.enum(["vllm", "transformers"]).optional(),
  batch,
  min_coverage: share.default(0.95).describe("Least share of prompts with an answer"),
});

const compareSchema = z.strictObject({
  judges: z.array(z.string()).min(1).describe("Who compares: student, or models"),
  rubric: z.string().optional().describe("How a model is asked: vicuna, verdict, or a YAML file"),
  matches: z
    .array(z.tuple([name, name]))
    .min(1)
    .optional()
    .describe("Who is compared with whom; the first arm with every other when left out"),
  reasoning: z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).optional(),
  batch,
  min_coverage: share.default(0.95).describe("Least share of prompts that are decided"),
});

const times = z.number().int().min(0);
const outcomesSchema = z.strictObject({ set: z.string(), win: times, tie: times, lose: times });

/** Figures of an experiment that was run elsewhere. */
const recordedSchema = z.strictObject({
  judge: z.string(),
  rating_usd: z.number().min(0).optional().describe("What rating cost"),
  arms: z.record(
    name,
    z.strictObject({ rows: count, minutes: z.number().positive().optional(), usd: z.number().min(0).optional() }),
  ),
  trainings: count.optional().describe("How often each arm was trained, where that is known"),
  comparisons: z.array(z.strictObject({ a: name, b: name, sets: z.array(outcomesSchema).min(1) })),
});

const experimentSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: name.describe("The run's folder is called by it: runs/NAME"),
    version: count.default(1),
    description: z.string().optional(),
    source: z.string().optional().describe("Where the settings come from"),
    caveat: z.string().optional().describe("Said with every result"),
    data: z.string().optional().describe("The dataset: a file, a folder, a pattern, or hf:owner/name"),
    shape: z.string().optional(),
    map: z
      .record(z.string(), z.string())
      .optional()
      .describe("Columns by hand: { instruction: prompt, output: answer }"),
    prices: z
      .record(z.string(), z.strictObject({ input: z.number().min(0), output: z.number().min(0) }))
      .default({})
      .describe("US dollars for a million tokens, of models that the price list does not have, by their names"),
    budget_usd: z.number().min(0).optional().describe("Most US dollars, over all stages together, training included"),
    rate: rateSchema.optional(),
    arms: z
      .record(name, armSchema)
      .optional()
      .describe("Training sets by name; the first one chosen by scores is the one under test"),
    contamination: z
      .enum(["stop", "remove", "note"])
      .default("stop")
      .describe("Rows that overlap test prompts: stop before training, leave them out of every arm, or only tell"),
    train: trainSchema.optional(),
    models: z.record(name, z.string()).default({}).describe("Further models that only answer, as generate names them"),
    generate: generateSchema.optional(),
    compare: compareSchema.optional(),
    recorded: recordedSchema.optional().describe("Figures of an experiment that was made elsewhere, instead of stages"),
  })
  .refine(({ recorded, data }) => (recorded === undefined) !== (data === undefined), {
    path: ["data"],
    message: "expected data to work on, or figures that were recorded, and not both",
  });

/** The JSON Schema of a recipe, for editors. */
export function experimentJsonSchema(): object {
  return {
    title: "alpagasus experiment",
    ...z.toJSONSchema(experimentSchema, { io: "input", target: "draft-7" }),
  };
}

/** The parsed file, with defaults filled in. */
type ExperimentFile = z.infer<typeof experimentSchema>;

/** An experiment's parsed file, with its location. */
export interface ExperimentRecipe extends ExperimentFile {
  /** `my.yaml:7`, the line of a field, for messages. */
  readonly at: (field: readonly PropertyKey[]) => string;
  /** Resolves a path in the recipe, relative to the working directory. */
  readonly pathOf: (path: string) => string;
  readonly path: string;
  /** SHA-256 of the file's text. */
  readonly hash: string;
}

const shippedFolder = join(packageFolder, "recipes", "experiments");

/** The names of the experiments that ship with the package. */
export async function listExperiments(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files
    .filter((file) => extname(file) === ".yaml")
    .map((file) => basename(file, ".yaml"))
    .sort();
}

/**
 * Opens a shipped experiment by its name, or a YAML file.
 *
 * @throws UsageError when none has that name, DataError with line and field when the file is wrong
 */
export async function openExperiment(nameOrPath: string): Promise<ExperimentRecipe> {
  const isFile = /\.ya?ml$/i.test(nameOrPath);
  const names = await listExperiments();
  if (!isFile && !names.includes(nameOrPath))
    throw new UsageError(`expected ${names.join(", ")} or a YAML file, got ${JSON.stringify(nameOrPath)}`);
  const path = isFile ? nameOrPath : join(shippedFolder, `${nameOrPath}.yaml`);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT"; // readFile fails with errors of this kind
    throw new DataError(
      isMissing
        ? `${path}: expected a recipe, found no such file; alpagasus init DATA writes one`
        : `${path}: cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  return parseExperiment(text, path);
}

/** @param path for messages, and to resolve the paths in it @throws DataError with line and field */
export function parseExperiment(text: string, path: string): ExperimentRecipe {
  if (text.trim() === "")
    throw new DataError(`${path}: expected a recipe, got an empty file; alpagasus init DATA writes one`);
  const { file, at } = parseYaml(text, path, experimentSchema, describeIssue);
  checkNames(file, at);
  return {
    ...file,
    at,
    path,
    hash: createHash("sha256").update(text).digest("hex"),
    pathOf: (named) => resolvePath(named, dirname(path)),
  };
}

/** Resolves a path from the recipe's folder, or else from the working directory. Names that are not files are kept. */
function resolvePath(named: string, folder: string): string {
  if (isAbsolute(named) || /^[a-z]+:/.test(named)) return named;
  const beside = join(folder, named);
  if (!existsSync(beside) && existsSync(named)) return named;
  const seenFromHere = relative(process.cwd(), resolve(beside));
  return /[/\\.]/.test(named) ? seenFromHere : existsSync(beside) ? seenFromHere : named;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return `${field ? `${field}: ` : ""}expected ${listFields(issue.path)}, got ${issue.keys.join(", ")}`;
  return `${field || "recipe"}: ${issue.message}`;
}

/** The fields that a place of the recipe may have. */
function listFields([first]: readonly PropertyKey[]): string {
  const inner: Record<string, { shape: object }> = {
    rate: rateSchema,
    arms: armSchema,
    train: trainSchema,
    generate: generateSchema,
    compare: compareSchema,
    recorded: recordedSchema,
  };
  const shape = first === undefined ? experimentSchema.shape : inner[String(first)]?.shape;
  return shape
    ? Object.keys(shape)
        .filter((key) => key !== "$schema")
        .join(", ")
    : "another field";
}

/** @throws DataError where the file names an arm, a model or a stage that it does not have */
function checkNames(file: ExperimentFile, at: ExperimentRecipe["at"]): void {
  const { arms = {}, models, train, generate, compare, rate, recorded } = file;
  const fail = (field: readonly PropertyKey[], message: string): never => {
    throw new DataError(`${at(field)}: ${field.map(String).join(".")}: ${message}`);
  };
  if (recorded) return checkRecorded(recorded, fail);
  const armNames = Object.keys(arms);
  const numeric = [...armNames, ...Object.keys(models)].find((other) => /^\d+$/.test(other));
  if (numeric !== undefined)
    fail(
      [arms[numeric] ? "arms" : "models", numeric],
      "expected a name with a letter in it, since names of digits lose their order: 3k",
    );
  const twice = (list: readonly unknown[]) => list.findIndex((item, i) => list.indexOf(item) < i);
  if (rate?.escalate && (typeof rate.judge !== "string" || !/^student(:|$)/.test(rate.judge)))
    fail(["rate", "escalate"], "expected a student as the judge: judge: student");
  if (rate?.combine && typeof rate.judge === "string")
    fail(["rate", "combine"], "expected several judges: judge: [a, b]");
  for (const [field, list] of [
    [["rate", "judge"], typeof rate?.judge === "object" ? rate.judge : []],
    [["train", "seeds"], train?.seeds ?? []],
    [["compare", "judges"], compare?.judges ?? []],
    [["compare", "matches"], (compare?.matches ?? []).map((match) => match.join(" "))],
  ] as const)
    if (twice(list) >= 0) fail([...field, twice(list)], "expected each once, got one again");
  for (const [arm, { method }] of Object.entries(arms))
    if (method === "random" && (train?.seeds.length ?? 0) > 1)
      for (const seed of train!.seeds.slice(1))
        if (arms[`${arm}-s${seed}`]) fail(["arms", `${arm}-s${seed}`], `expected a name that no draw of ${arm} has`);
  for (const model of Object.keys(models))
    if (armNames.some((arm) => train?.seeds.slice(1).some((seed) => model === `${arm}-s${seed}`)))
      fail(["models", model], "expected a name that no trained model has");
  if (armNames.length > 0 && !rate) fail(["arms"], "expected ratings to choose by; add rate");
  if (train && armNames.length === 0) fail(["train"], "expected arms to train on; add arms");
  if (compare && !generate) fail(["compare"], "expected answers to compare; add generate");
  if (generate && !train && Object.keys(models).length === 0)
    fail(["generate"], "expected models to answer; add train, or models");
  for (const [arm, { like, method, top, min_score: least, rows }] of Object.entries(arms)) {
    if (like !== undefined && !arms[like]) fail(["arms", arm, "like"], `expected ${armNames.join(", ")}, got ${like}`);
    if (sizeSource(file, arm) === undefined && (method === "random" || method === "longest") && top === undefined)
      fail(["arms", arm], "expected an arm whose size it takes, or top");
    if (like === arm) fail(["arms", arm, "like"], "expected another arm, got itself");
    if (method === "score" && top === undefined && least === undefined && rows === undefined)
      fail(["arms", arm], "expected min_score, top or rows");
    if (models[arm] !== undefined) fail(["models", arm], "expected a name that no arm has");
  }
  const known = [...(train ? armNames : []), ...Object.keys(models)]; // all that have answers
  for (const [i, match] of (compare?.matches ?? []).entries()) {
    for (const [side, answered] of match.entries())
      if (!known.includes(answered))
        fail(["compare", "matches", i, side], `expected ${known.join(", ")}, got ${answered}`);
    if (match[0] === match[1]) fail(["compare", "matches", i], "expected two different ones");
  }
  if (compare && !compare.matches && known.length < 2)
    fail(["compare"], "expected two arms or models to compare; add a control: random: { method: random }");
}

/** Which arm this arm copies its size from. Controls default to the first score arm, or else the first full arm. */
export function sizeSource({ arms = {} }: Pick<ExperimentFile, "arms">, arm: string): string | undefined {
  const { like, method, top } = arms[arm]!;
  if (like !== undefined) return like;
  if ((method !== "random" && method !== "longest") || top !== undefined) return undefined;
  return (
    Object.keys(arms).find((other) => arms[other]!.method === "score") ??
    Object.keys(arms).find((other) => arms[other]!.method === "full")
  );
}

function checkRecorded(
  { arms, comparisons }: NonNullable<ExperimentFile["recorded"]>,
  fail: (field: readonly PropertyKey[], message: string) => never,
): void {
  for (const [i, match] of comparisons.entries())
    for (const side of ["a", "b"] as const)
      if (!arms[match[side]])
        fail(["recorded", "comparisons", i, side], `expected ${Object.keys(arms).join(", ")}, got ${match[side]}`);
}
