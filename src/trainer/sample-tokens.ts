import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import type { Example } from "../dataset/example.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import { pythonFolder } from "../python/uv.ts";
import type { TrainingPlan } from "./plan-training.ts";

/** The number of tokens in a training, estimated from a sample of its rows. */
export interface SampledTokens {
  /** Expected tokens over all epochs. */
  readonly expected: number;
  /** Tokens over all epochs, if every row had the maximum length. */
  readonly highest: number;
  /** What `expected` is based on, in words. */
  readonly basis: string;
}

const sampleRows = 300; // rows
const chatTemplateTokens = 10; // tokens that a chat template adds to a row

/**
 * Estimates a training's tokens from a sample spread evenly over its rows. Uses the base's tokenizer when the base is a local
 * folder that has one, else an estimate per text.
 */
export async function sampleTokens(
  batches: AsyncIterable<readonly Example[]>,
  { rows, settings }: TrainingPlan,
  base: string,
): Promise<SampledTokens> {
  const { count, name } = await openCounter(base);
  const templateTokens = settings.template === "alpaca" ? await countAlpacaTemplate(count) : chatTemplateTokens;
  const stride = Math.max(1, Math.floor(rows / sampleRows));
  let seen = 0;
  let taken = 0;
  let tokens = 0;
  for await (const batch of batches)
    for (const example of batch) {
      if (seen++ % stride !== 0) continue;
      taken++;
      const texts = textsOf(example).reduce((sum, text) => sum + count(text), 0);
      tokens += Math.min(settings.max_length, templateTokens + texts + 1);
    }
  const perRow = taken > 0 ? tokens / taken : settings.max_length;
  return {
    expected: Math.round(perRow * rows * settings.epochs),
    highest: rows * settings.epochs * settings.max_length,
    basis: `${taken} rows by ${name}`,
  };
}

/** What a row is written with: its prompt and its answer; of a conversation the turns as they are, their reasoning, calls and tools. */
function textsOf({ instruction, input, output, conversation }: Example): string[] {
  if (!conversation) return [`${instruction}\n${input}`, output];
  const { turns, answer, tools } = conversation;
  const spoken = [...turns, answer].flatMap(({ text, reasoning, written, apart, toolCalls }) => [
    written === undefined ? `${reasoning ?? ""}\n${text}` : `${apart ?? ""}\n${written}`,
    ...(toolCalls ?? []).map((call) => JSON.stringify(call)),
  ]);
  return [...spoken, ...tools.map((tool) => JSON.stringify(tool))];
}

/** Tokens that the Alpaca template adds to a row, with the shorter, more common one of its two opening sentences. */
async function countAlpacaTemplate(count: (text: string) => number): Promise<number> {
  const template = await readFile(join(pythonFolder, "alpaca.jinja"), "utf8");
  const printed = [...template.matchAll(/\{\{-(.*?)-\}\}/gs)].map(([, code]) => code!);
  const texts = printed
    .flatMap((code) => [...code.matchAll(/'([^']{3,})'/g)].map(([, text]) => text!))
    .filter((text) => text !== "content");
  const longest = Math.max(...texts.map(({ length }) => length));
  return texts.filter(({ length }) => length < longest).reduce((sum, text) => sum + count(text), 0);
}

async function openCounter(base: string): Promise<{ count: (text: string) => number; name: string }> {
  const path = join(base, "tokenizer.json");
  if (existsSync(path)) {
    try {
      const { Tokenizer } = await import("@huggingface/tokenizers");
      const config = join(base, "tokenizer_config.json");
      const tokenizer: HubTokenizer = new Tokenizer(
        JSON.parse(await readFile(path, "utf8")) as object,
        (existsSync(config) ? JSON.parse(await readFile(config, "utf8")) : {}) as object,
      );
      return { count: (text) => tokenizer.encode(text).ids.length, name: "the base's tokenizer" };
    } catch {
      // this library cannot read the tokenizer: use the estimate below
    }
  }
  return { count: estimateTokens, name: "an estimate, as the base's tokenizer is not on this machine" };
}
