import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { TrainerError } from "../errors.ts";
import type { LocalModel } from "./local-model.ts";
import type { ModelServer, ServerKind } from "./serve-model.ts";

/*
 * Whether a server reads a prompt as the tokens that the model was trained with. A template that differs by a blank makes
 * every answer worse, and nobody would see it.
 */

const tokenizedSchema = z.object({ tokens: z.array(z.number()) });
const usageSchema = z.object({ usage: z.object({ prompt_tokens: z.number() }) });

/**
 * Compares the tokens of prompts that were trained with: all of them where the server tells them (vLLM), else their number,
 * the tokens themselves having been compared when the model was saved.
 *
 * @returns what was found, in words
 * @throws TrainerError when they differ, or the server does not answer
 */
export async function checkPromptParity(
  { name, probes }: LocalModel,
  { url, modelName }: Pick<ModelServer, "url" | "modelName">,
  kind: ServerKind,
  signal?: AbortSignal,
): Promise<string> {
  if (probes.length === 0) return "not checked: this is no model that was trained here";
  for (const [row, { message, tokens }] of probes.entries()) {
    const asked = { model: modelName, messages: [{ role: "user", content: message }] };
    const read =
      kind === "vllm"
        ? tokenizedSchema.parse(await post(new URL("/tokenize", url), asked, signal)).tokens
        : usageSchema.parse(
            await post(new URL(`${url}/chat/completions`), { ...asked, temperature: 0, max_tokens: 1 }, signal),
          ).usage.prompt_tokens;
    const wanted = kind === "vllm" ? tokens : tokens.length;
    if (!isDeepStrictEqual(read, wanted))
      throw new TrainerError(
        `${name}: expected the server to read training row ${row + 1} as it was trained (${tokens.length} tokens), got ${typeof read === "number" ? read : read.length} tokens${typeof read === "number" ? "" : ", or others"}; is its chat template the model's own?`,
      );
  }
  return `the server reads ${probes.length} training prompts as they were trained with (${kind === "vllm" ? "the same tokens" : "as many tokens; the tokens themselves were compared when the model was saved"})`;
}

async function post(url: URL, body: object, signal?: AbortSignal): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
  if (!response.ok)
    throw new TrainerError(
      `${url.href}: the server answers ${response.status}: ${(await response.text()).slice(0, 300)}`,
    );
  return response.json();
}
