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
 * Test prompts have no tools, so a server that writes those otherwise is told of and may answer.
 *
 * @returns the result, in words
 * @throws PythonError when prompts without tools differ, or the server does not answer
 */
export async function checkPromptParity(
  { name, probes }: LocalModel,
  { url, modelName }: Pick<ModelServer, "url" | "modelName">,
  kind: ServerKind,
  signal?: AbortSignal,
): Promise<string> {
  if (typeof probes === "string") return `not compared with training: ${probes}`;
  const equal = { plain: 0, tools: 0 };
  const otherwise: number[] = []; // rows with tools that the server reads otherwise
  for (const [row, { tokens, ...prompt }] of probes.entries()) {
    const asked = { model: modelName, ...prompt };
    const hasTools = prompt.tools !== undefined || prompt.messages.some(({ role }) => role === "tool");
    const wanted = kind === "vllm" ? tokens : tokens.length;
    const reading = kind === "vllm" ? tokenize(url, asked, signal) : countTokens(url, asked, signal);
    const serverTokens = hasTools ? await reading.catch(() => []) : await reading; // not every server takes tools
    signal?.throwIfAborted();
    if (isDeepStrictEqual(serverTokens, wanted)) equal[hasTools ? "tools" : "plain"]++;
    else if (hasTools) otherwise.push(row + 1);
    else
      throw new PythonError(
        `${name}: expected the server to read the prompt of training row ${row + 1} as the ${tokens.length} tokens of training, got ${typeof serverTokens === "number" ? serverTokens : serverTokens.length} tokens${typeof serverTokens === "number" ? "" : ", or others"}; is its chat template the model's own?`,
      );
  }
  const how =
    kind === "vllm"
      ? "the same token ids"
      : "the same number of tokens; the ids were compared when the model was saved";
  const withTools = equal.tools > 0 ? `, ${equal.tools} of them with tools` : "";
  const others =
    otherwise.length > 0
      ? `; those with tools of training rows ${otherwise.join(", ")} it does not, which test prompts are without`
      : "";
  return `the server reads ${equal.plain + equal.tools} training prompts as in training${withTools} (${how})${others}`;
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
