import { hash } from "node:crypto";
import * as z from "zod";
import { runInNewContext } from "node:vm";
import { Template } from "@huggingface/jinja";

/*
 * A rubric: how a judge is asked about one example, and how its reply is read. Rubrics are data, in YAML files.
 */

const jsonSchema = z.record(z.string(), z.unknown());

const scaleSchema = z
  .strictObject({
    min: z.number(),
    max: z.number(),
    /** The distance between neighbouring scores, counted from `min`. Scores in between are unparsable. */
    step: z.number().positive().optional(),
  })
  .refine(({ min, max }) => min < max, { message: "expected min to be lower than max" })
  .refine(({ min, max, step = max - min }) => isMultiple((max - min) / step), {
    message: "expected a step that leads from min to max",
  });

function isMultiple(ratio: number): boolean {
  return Math.abs(ratio - Math.round(ratio)) < 1e-9;
}

const replySchema = z.discriminatedUnion("format", [
  z.strictObject({
    /** The first line that holds a number is the score, with or without a label: `4.5`, `Score: 4.5/5`. */
    format: z.literal("number"),
    /** Labels allowed before it, besides the usual ones (score, rating, …). */
    labels: z.array(z.string().min(1)).optional(),
  }),
  z.strictObject({
    format: z.literal("json"),
    /** The field that holds the score. */
    score: z.string().min(1).default("score"),
    /** The JSON schema of the reply; without one, an object of a reason and the score. */
    schema: jsonSchema.optional(),
  }),
]);

const commonSettings = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, "expected lower-case letters, digits and dashes"),
  version: z.number().int().positive(),
  description: z.string().min(1),
  /** Where the idea or the wording comes from, with its licence. */
  source: z.string().optional(),
  sampling: z
    .strictObject({
      temperature: z.number().min(0).max(2).optional(),
      top_p: z.number().gt(0).max(1).optional(),
      max_output_tokens: z.number().int().positive(),
      seed: z.number().int().optional(),
    })
    .default({ temperature: 0, max_output_tokens: 512 }),
  system: z.string().optional(),
  user: z.string().min(1),
};

/** The layout of a rubric's file. */
export const rubricSchema = z.strictObject({
  ...commonSettings,
  scale: scaleSchema,
  reply: replySchema,
  /** The most tokens of a prompt, as estimated: turns in the middle of a longer conversation are left out, with a mark. */
  max_prompt_tokens: z.number().int().positive().optional(),
  /** What the score is about. Only judges of responses are checked, since the anchors are good and bad responses. */
  rates: z.enum(["response", "instruction", "other"]).default("response"),
});

const mark = z.string().min(3);

/** What is wrong with the marks of a reply, none of which may be read for another. */
function findMarkProblem(format: string, marks: readonly string[]): string | undefined {
  const same = marks.find((one, i) =>
    marks.some((other, j) => i !== j && (format === "choice" ? other.includes(one) : other === one)),
  );
  if (same !== undefined)
    return `expected marks none of which is another or a part of one, got ${JSON.stringify(same)}`;
  const open = format === "choice" ? marks.find((one) => /[*_`#.\s]$/.test(one)) : undefined; // these are taken off a reply's end
  return open === undefined
    ? undefined
    : `expected marks that do not end in a space or one of * _ \` # . (which may be a reply's own), got ${JSON.stringify(open)}`;
}

/** The layout of the file of a pair rubric, which compares two answers. */
export const pairRubricSchema = z.strictObject({
  ...commonSettings,
  reply: z
    .discriminatedUnion("format", [
      z.strictObject({
        /** The first line holds the two scores; the higher one wins. */
        format: z.literal("two-numbers"),
        scale: scaleSchema,
      }),
      z.strictObject({
        /** The reply ends with one of three marks and holds neither of the others. */
        format: z.literal("choice"),
        first: mark,
        second: mark,
        tie: mark,
      }),
      z.strictObject({
        /** The last of Arena-Hard's labels counts: `[[A>>B]]`, … Clear ones weigh `weight` verdicts in the graded win rate. */
        format: z.literal("grades"),
        weight: z.number().int().positive().default(3),
      }),
      z.strictObject({
        /** The reply begins with one of two tokens; the probability of each is how strongly its answer is preferred, as in AlpacaEval 2. */
        format: z.literal("tokens"),
        first: z.string().min(1),
        second: z.string().min(1),
        /** How many of the likeliest tokens the model is asked for. */
        top: z.number().int().min(2).max(20).default(20),
      }),
    ])
    .superRefine((reply, context) => {
      if (reply.format !== "choice" && reply.format !== "tokens") return;
      const marks = reply.format === "choice" ? [reply.first, reply.second, reply.tie] : [reply.first, reply.second];
      const problem = findMarkProblem(reply.format, marks);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    }),
  /** `both`: each pair is asked about twice, and either answer is shown first (the default). `random`: once, in an order drawn by its prompt. */
  orders: z.enum(["both", "random"]).optional(),
});

/** The common part of rubrics of every kind. */
export interface RubricBase {
  readonly name: string;
  readonly version: number;
  readonly sampling: z.infer<typeof rubricSchema>["sampling"];
  /** A hash (16 hexadecimal digits) of all that replies and their reading depend on; not of name, version or description. */
  readonly hash: string;
  readonly templates: { readonly system?: PromptTemplate; readonly user: PromptTemplate };
}

/** How a judge is asked about one example. */
export type Rubric = z.infer<typeof rubricSchema> & RubricBase;

/** How a judge is asked about two answers to one prompt. */
export type PairRubric = z.infer<typeof pairRubricSchema> & RubricBase;

/** Variables that hold the parts of a conversation, each as text; empty where a row has no such part. */
export const conversationNames = ["system", "turns", "reasoning", "tools", "reference"] as const;

/**
 * The variables of a rubric's templates: an example's fields, the parts of its conversation, and a mark (`boundary`) that no example can
 * contain. `instruction` is everything before the answer; `turns` is the same without the system text and the tools.
 */
export const templateNames = ["instruction", "input", "output", "category", ...conversationNames, "boundary"] as const;

/** Variables for prompts of several turns: the conversations so far, and reference answers; empty where there are none. */
export const pairConversationNames = [
  "conversation_1",
  "conversation_2",
  "reference",
  "reference_conversation",
] as const;

/**
 * The variables of a pair rubric's templates. `question` is the instruction, followed by "Input:" and the input, if any. For a turn after
 * the first, a template without `conversation_1` is given whole conversations as the answers, and is told so.
 */
export const pairTemplateNames = [
  "question",
  "instruction",
  "input",
  "answer_1",
  "answer_2",
  "category",
  ...pairConversationNames,
  "boundary",
] as const;

/** Adds the hash and the parsed templates to a rubric's file. @throws Error when a template cannot be parsed */
export function completeRubric<
  File extends Pick<z.infer<typeof rubricSchema>, "sampling" | "system" | "user"> & {
    reply: unknown;
    scale?: unknown;
    max_prompt_tokens?: number | undefined;
    orders?: string | undefined;
  },
>(file: File): File & Pick<RubricBase, "hash" | "templates"> {
  const { scale, sampling, system, user, reply, max_prompt_tokens: limit, orders = "both" } = file;
  const more = [...(limit === undefined ? [] : [limit]), ...(orders === "both" ? [] : [orders])];
  const all = [scale ?? null, sampling, system ?? null, user, reply, ...more];
  return {
    ...file,
    hash: hash("sha256", JSON.stringify(all)).slice(0, 16),
    templates: {
      ...(system !== undefined && { system: parseTemplate(system) }),
      user: parseTemplate(user),
    },
  };
}

/** The same rubric with another limit of a prompt's tokens. It asks another question, so its hash differs. */
export function withPromptLimit(rubric: Rubric, limit: number): Rubric {
  return completeRubric({ ...rubric, max_prompt_tokens: limit });
}

/** Parses a template. Jinja drops one line feed at its end, so one is added: the prompt must be exactly as in its file. */
export function parseTemplate(text: string): PromptTemplate {
  const template = new Template(text.endsWith("\n") ? `${text}\n` : text);
  return canTakeLong.test(text)
    ? { parsed: template.parsed, render: (values) => withinTime(() => template.render(values)) }
    : template;
}

/** What can loop or multiply a text: any statement but conditions, range by any name, and filters, calls and signs that make texts longer. */
const canTakeLong =
  /\{%[-+]?(?!\s*[-+]?\s*(?:if|elif|else|endif)\b)|\brange\b|\|\s*(?!trim\b|length\b|lower\b|upper\b|default\b)\w|\.replace\b|\{\{[^}]*[*+~]/;

/** A parsed template. */
export interface PromptTemplate {
  /** The syntax tree, as @huggingface/jinja has it. */
  readonly parsed: object;
  /** @throws Error when it cannot be written with these values, or does not end in time */
  render(values: Record<string, unknown>): string;
}

const longestRenderMs = 2_000;

/** Runs a template that may loop for ever. @throws Error when it does not end in time */
function withinTime(render: () => string): string {
  try {
    return runInNewContext("render()", { render }, { timeout: longestRenderMs }) as string; // what render returns
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw cause;
    throw new Error(`the template took longer than ${longestRenderMs / 1000} s; does it loop?`, { cause });
  }
}
