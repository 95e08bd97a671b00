import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import type { Example } from "../dataset/example.ts";
import { estimateTokens } from "../llm/estimate-tokens.ts";
import { pythonFolder } from "../python/uv.ts";
import type { TrainingPlan } from "./plan-training.ts";

/** How long a training's rows are, of a sample. */
export interface SampledTokens {
  /** Over all epochs, expected. */
  readonly expected: number;
  /** Over all epochs, if every row were as long as one may be. */
  readonly highest: number;
  /** What the expected number rests on, in words. */
  readonly basis: string;
}

const sampled = 300; // rows
const chatMarks = 10; // tokens around the messages of a chat

/**
 * Counts the tokens of some rows that are spread evenly over all: by the base's tokenizer where the base is a folder of this machine
 * that has one, else by an estimate.
 */
export async function sampleTokens(
  batches: AsyncIterable<readonly Example[]>,
  { rows, settings }: TrainingPlan,
  base: string,
): Promise<SampledTokens> {
  const { count, name } = await openCounter(base);
  const around = settings.template === "alpaca" ? await countAlpaca(count) : chatMarks;
  const stride = Math.max(1, Math.floor(rows / sampled));
  let seen = 0;
  let taken = 0;
  let tokens = 0;
  for await (const batch of batches)
    for (const { instruction, input, output } of batch) {
      if (seen++ % stride !== 0) continue;
      taken++;
      tokens += Math.min(settings.max_length, around + count(`${instruction}\n${input}`) + count(output) + 1);
    }
  const perRow = taken > 0 ? tokens / taken : settings.max_length;
  return {
    expected: Math.round(perRow * rows * settings.epochs),
    highest: rows * settings.epochs * settings.max_length,
    basis: `${taken} rows by ${name}`,
  };
}

/** Tokens of the Alpaca prompt without its row. It writes one of two first sentences; the shorter one is more common. */
async function countAlpaca(count: (text: string) => number): Promise<number> {
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
      // one that this library cannot read: then an estimate will do
    }
  }
  return { count: estimateTokens, name: "an estimate, as the base's tokenizer is not on this machine" };
}
