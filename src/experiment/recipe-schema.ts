import * as z from "zod";
import { mapFields } from "../dataset/shapes/index.ts";
import { combinations } from "../judge/judge.ts";
import { measureTemplates } from "../likelihood/measure-name.ts";
import { embeddedTexts } from "../run/records/embedding.ts";
import { recordedSchema } from "./recorded-schema.ts";
import { count, name, percentage, share, trainSchema } from "./train-schema.ts";

const batch = z
  .boolean()
  .default(false)
  .describe("Ask in the provider's batches: within a day, at about half the price (openai, anthropic, google)");

const rateSchema = z.strictObject({
  judge: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe(
      "Who rates: student, openai:MODEL, anthropic:MODEL, google:MODEL, http://HOST/v1#MODEL, perplexity:MODEL, ifd:MODEL, fit:MODEL, reward:MODEL, verify:exact, verify:regex, verify:math, recorded:FILE, column:NAME or run:DIR; a list is a panel",
    ),
  combine: z.enum(combinations).optional().describe("The score of a panel, of its judges' (mean)"),
  rescale: z.boolean().default(false).describe("Map a panel's scores linearly onto the first judge's scale"),
  escalate: z
    .strictObject({
      ask: z
        .union([count, percentage], { error: "expected how many rows, or a share of all, as in 5000 or 20%" })
        .describe("About how many rows, or which share: 5000 or 20%"),
      to: z.string().describe("The judge that rates the rows nearest the cut"),
      min_score: z.number().optional().describe("The cut, a score of that judge's (4.5)"),
      precision: z.number().gt(0).lt(1).optional().describe("Least share of right rows among those kept (0.9)"),
    })
    .optional()
    .describe("With a student as the judge: ask another one where it is not sure"),
  logprobs: z.boolean().default(false).describe("Score with the mean over the reply's token probabilities"),
  samples: count.max(100).optional().describe("Score with the mean of this many replies"),
  max_prompt_tokens: count.optional().describe("Leave out turns in the middle of conversations whose prompt is longer"),
  batch,
  check: z.boolean().default(true).describe("Check a model's health before and after a long rating"),
  rubric: z.string().optional().describe("How a model is asked: a shipped rubric's name, or a YAML file"),
  template: z
    .enum(measureTemplates)
    .optional()
    .describe("For perplexity:, ifd: and fit:, how the prompt is written (plain)"),
  max_length: count
    .optional()
    .describe("For perplexity:, ifd: and fit:, the most tokens of a row (1024); for reward: (4096)"),
  scale: z
    .tuple([z.number(), z.number()])
    .refine(([lowest, highest]) => lowest < highest, "expected the lowest score, then the highest: [0, 5]")
    .optional()
    .describe("Lowest and highest score, of recorded ones"),
  reasoning: z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).optional(),
  min_coverage: share.default(0.95).describe("Least share of rows with a score"),
  max_unreadable: share.optional().describe("With unreadable: skip, the largest share of such rows (0.01)"),
});

/** A further score of the rows. */
const scoreSchema = rateSchema.omit({ combine: true, rescale: true, escalate: true, max_unreadable: true }).extend({
  judge: z
    .string({ error: "expected one judge, since a score is of one; give each a name of its own" })
    .describe("As for rate; with recorded:FILE and no #COLUMN, every column of numbers is NAME.COLUMN"),
});

const embeddingSchema = z.strictObject({
  model: z
    .string()
    .default("minilm")
    .describe(
      "minilm or smollm2, which need no Hub; a folder or Hub id; openai:MODEL, google:MODEL, http://HOST/v1#MODEL",
    ),
  text: z.enum(embeddedTexts).default("row").describe("Which text of a row: prompt and answer, or one of them"),
  max_length: count.optional().describe("On this machine: the most tokens of a text (the model's own limit)"),
  min_coverage: share.default(0.95).describe("Least share of texts with a vector"),
});

const armSchema = z
  .strictObject({
    method: z
      .enum(["score", "random", "longest", "full", "representative"])
      .default("score")
      .describe(
        "How rows are chosen; random draws other rows for every training seed; representative takes rows that represent all, by vectors",
      ),
    min_score: z.number().optional().describe("Keep rows that score at least this"),
    top: z
      .union([count, percentage], { error: "expected how many rows, or a share of all, as in 9000 or 10%" })
      .optional()
      .describe("Keep so many rows, or a share of all: 9000 or 10%"),
    like: name.optional().describe("For random and longest: the arm whose size is copied (the first score arm)"),
    rows: z.string().optional().describe("Keep exactly these rows: a file with a JSON array of positions from 0"),
    by: z
      .string()
      .optional()
      .describe("An SQL expression whose value takes the place of the score: zscore(quality) + zscore(ifd)"),
    where: z.string().optional().describe("An SQL condition over the row's columns, its score and lengths"),
    per: z.string().optional().describe("A column: rows are divided among its values"),
    quota: z
      .record(
        z.string(),
        z.record(
          z.string(),
          z.union([count, percentage], { error: "expected how many rows, or a share, as in 3000 or 10%" }),
        ),
      )
      .refine((quota) => Object.values(quota).length === 1 && Object.keys(Object.values(quota)[0]!).length > 0, {
        error: "expected one column, and for each of its values how many rows: { source: { a: 3000, b: 20% } }",
      })
      .optional()
      .describe(
        "In place of top: how many rows of each value of a column: { source: { a: 3000, b: 20% } }; other values keep none",
      ),
    dedup: z
      .enum(["exact", "near", "semantic"])
      .optional()
      .describe("Keep only the best of rows with the same text, nearly the same words, or nearly the same vector"),
    similarity: share.optional().describe("What counts as a duplicate (near 0.8, semantic 0.95)"),
    diverse: share.optional().describe("Least distance between kept rows: of their words, or with vectors, of those"),
    toward: z
      .string()
      .optional()
      .describe("With top: keep the rows nearest to the examples in this file, each in its turn (RDS+)"),
    vectors: name
      .optional()
      .describe("Which of embeddings toward, dedup and diverse go by; the only one when left out, except for diverse"),
    seed: z.number().int().min(0).default(42).describe("Draws random rows and ties"),
  })
  .describe("A training set");

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

const evaluateSchema = z.strictObject({
  loss: z
    .string()
    .describe("Held-out rows with answers: each model's loss on them is measured, and arms are compared item by item"),
  max_length: count.optional().describe("The most tokens of a row (2048)"),
});

const benchmarkSchema = z.strictObject({
  tasks: z
    .array(z.string())
    .min(1)
    .describe("Tasks of lm-evaluation-harness, with the examples in the prompt: mmlu:5; paper: the paper's four"),
  include: z.string().optional().describe("A folder with tasks of your own"),
  limit: count.optional().describe("Only the first items of each task"),
  chat: z.boolean().default(false).describe("Put prompts into the models' own chat templates"),
  batch: count.optional().describe("Requests at a time"),
  allow_code: z.boolean().default(false).describe("Let tasks run code that the model writes; only in a container"),
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

const onSchema = z.strictObject({
  ray: z.string().describe("The address of the cluster's dashboard: http://head:8265"),
  gpus: count.optional().describe("The most GPUs at a time (all that the cluster has)"),
  cpus: count.optional().describe("On a cluster without GPUs, the most CPUs at a time (all that it has)"),
  replicas: count.default(1).describe("How many servers of each model that answers, scores or makes vectors"),
  storage: z.string().optional().describe("A folder that the cluster's machines share, for trainings (the run's own)"),
});

export const experimentSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: name.describe("Names the run's folder: runs/NAME"),
    version: count.default(1),
    description: z.string().optional(),
    source: z.string().optional().describe("Where the settings come from"),
    caveat: z.string().optional().describe("Shown with every result"),
    data: z
      .union([z.string(), z.array(z.string()).min(1)])
      .optional()
      .describe("The dataset: a file, a folder, a pattern, or hf:owner/name; a list is one dataset of several sources"),
    shape: z.string().optional(),
    map: z
      .strictObject(
        Object.fromEntries(mapFields.map((field) => [field, z.string().exactOptional()])) as Record<
          (typeof mapFields)[number],
          z.ZodExactOptional<z.ZodString>
        >,
      )
      .optional()
      .describe("Columns by hand: { instruction: prompt, output: answer }"),
    quotes: z
      .enum(["double", "none"])
      .optional()
      .describe("In CSV and TSV: double quotes around values (double), or quotes are text (none)"),
    unreadable: z
      .enum(["stop", "skip"])
      .default("stop")
      .describe("Rows that cannot be read: stop, or skip them; they get that state, and are in no arm"),
    prices: z
      .record(z.string(), z.strictObject({ input: z.number().min(0), output: z.number().min(0) }))
      .default({})
      .describe("US dollars for a million tokens, of models that the price list does not have, by their names"),
    budget_usd: z.number().min(0).optional().describe("Most US dollars, over all stages together, training included"),
    on: z
      .union([z.string(), onSchema])
      .optional()
      .describe(
        "A Ray cluster that trains, and serves the models that answer, measure or make vectors: ray:http://head:8265",
      ),
    rate: rateSchema.optional(),
    scores: z
      .record(z.string(), scoreSchema)
      .optional()
      .describe("Further scores of the same rows, by the names that by and where use"),
    embeddings: z
      .record(name, embeddingSchema)
      .optional()
      .describe("Vectors of the rows by name, for arms with toward, dedup: semantic, or diverse with vectors"),
    arms: z
      .record(name, armSchema)
      .optional()
      .describe("Training sets by name; the first one chosen by scores is the one under test"),
    watch: z
      .string()
      .optional()
      .describe('Words whose rows are counted in all rows and in each arm: "java|python|c++"'),
    contamination: z
      .enum(["stop", "remove", "note"])
      .default("stop")
      .describe(
        "Rows that overlap test prompts: stop before training, leave them out of every arm, or only report them",
      ),
    train: trainSchema.optional(),
    models: z.record(name, z.string()).default({}).describe("Further models that only answer, as generate names them"),
    generate: generateSchema.optional(),
    evaluate: evaluateSchema.optional(),
    benchmark: benchmarkSchema.optional(),
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
export type ExperimentFile = z.infer<typeof experimentSchema>;
