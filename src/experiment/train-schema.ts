import * as z from "zod";
import { nameSchema } from "../run/name.ts";
import { attentionNames, keepNames } from "../trainer/setting-names.ts";

/*
 * What a recipe says of trainings, and the kinds of values that all its parts share.
 */

export const name = nameSchema;

export const count = z.number().int().min(1);

export const share = z.number().min(0).max(1);

export const percentage = z
  .string()
  .regex(/^\d+(\.\d+)?%$/, 'expected a share such as "10%"')
  .refine(
    (text) => Number(text.slice(0, -1)) > 0 && Number(text.slice(0, -1)) <= 100,
    "expected a share over 0 and up to 100 %",
  );

export const trainSchema = z.strictObject({
  recipe: z
    .string()
    .describe(
      "A training recipe: paper-7b, paper-13b, alpagasus2-qlora-7b, alpagasus2-qlora-13b, laptop, or a YAML file",
    ),
  seeds: z.array(z.number().int().min(0)).min(1).default([42]).describe("Each arm is trained once with each"),
  base: z.string().optional().describe("A Hub id, a folder, or smollm2; the recipe's when left out"),
  template: z.enum(["alpaca", "chat"]).optional(),
  loss: z
    .enum(["last", "all"])
    .optional()
    .describe("Which of the assistant's turns are learnt: all, or with the template alpaca the last"),
  epochs: z.number().positive().optional(),
  learning_rate: z.number().positive().optional(),
  global_batch: count.optional(),
  max_length: count.optional(),
  precision: z.enum(["bf16", "fp16", "fp32"]).optional(),
  packing: z.boolean().optional().describe("Several rows share a sequence, each attending to itself alone"),
  group_by_length: z.boolean().optional().describe("Rows of similar length share a batch"),
  attention: z
    .enum(attentionNames)
    .optional()
    .describe("How attention is computed; the trainer's choice when left out"),
  liger: z.boolean().optional().describe("Liger's kernels, on a GPU"),
  gradient_checkpointing: z
    .boolean()
    .optional()
    .describe("Compute activations twice to save memory; on GPUs when left out"),
  validation: z
    .number()
    .gt(0)
    .max(0.5)
    .optional()
    .describe("Share of an arm's rows that are held out to measure the loss on"),
  keep: z.enum(keepNames).optional().describe("Which checkpoints are kept: the last, or one for each epoch"),
  gpus: z.number().int().min(0).optional().describe("GPUs that train together; 0 trains on the CPU"),
  processes: count.optional(),
  device_batch: count.optional(),
  usd_per_hour: z.number().min(0).optional().describe("What all GPUs together cost an hour"),
});
