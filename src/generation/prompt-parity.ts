import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { PythonError } from "../errors.ts";
import type { LocalModel } from "./local-model.ts";
import { postJson } from "./post-json.ts";
import type { ModelServer, ServerKind } from "./serve-model.ts";

/*
 * Checks that a server turns a prompt into the same tokens as training did. A chat template that differs by one space makes
 * every answer worse, without any error.
 */

const tokenizedSchema = z.object({ tokens: z.array(z.number()) });
const usageSchema = z.object({ usage: z.object({ prompt_tokens: z.number() }) });

/**
 * Compares the server's tokens of training prompts with those of training. vLLM reports token ids, which have to be equal.
 * For other servers only the numbers of tokens are compared; the ids were compared when the model was saved.
 *
 * @returns the result, in words
 * @throws PythonError when they differ, or the server does not answer
 */
export async function checkPromptParity(
  { name, probes }: LocalModel,
  { url, modelName }: Pick<ModelServer, "url" | "modelName">,
  kind: ServerKind,
  signal?: AbortSignal,
): Promise<string> {
  if (typeof probes === "string") return `not compared with training: ${probes}`;
  for (const [row, { messages, tokens }] of probes.entries()) {
    const asked = { model: modelName, messages };
    const serverTokens = kind === "vllm" ? await tokenize(url, asked, signal) : await countTokens(url, asked, signal);
    const wanted = kind === "vllm" ? tokens : tokens.length;
    if (!isDeepStrictEqual(serverTokens, wanted))
      throw new PythonError(
        `${name}: expected the server to read the prompt of training row ${row + 1} as the ${tokens.length} tokens of training, got ${typeof serverTokens === "number" ? serverTokens : serverTokens.length} tokens${typeof serverTokens === "number" ? "" : ", or others"}; is its chat template the model's own?`,
      );
  }
  return `the server reads ${probes.length} training prompts as in training (${kind === "vllm" ? "the same token ids" : "the same number of tokens; the ids were compared when the model was saved"})`;
}

/** The token ids that vLLM turns a message into. */
async function tokenize(url: string, asked: object, signal?: AbortSignal): Promise<readonly number[]> {
  const found = tokenizedSchema.safeParse(await postJson(new URL("/tokenize", url), asked, signal));
  if (!found.success) throw new PythonError(`${url}: expected the tokens of a prompt, got something else`);
  return found.data.tokens;
}

/** The number of prompt tokens, from a reply's usage. Works with any server. */
async function countTokens(url: string, asked: object, signal?: AbortSignal): Promise<number> {
  const once = { ...asked, temperature: 0, max_tokens: 1 };
  const found = usageSchema.safeParse(await postJson(new URL(`${url}/chat/completions`), once, signal));
  if (!found.success) throw new PythonError(`${url}: expected a reply with its usage, got something else`);
  return found.data.usage.prompt_tokens;
}
