import * as z from "zod";
import { messageOf, UsageError } from "../errors.ts";
import { checkAddress } from "../llm/open-compatible.ts";
import { createPooledFetch } from "../llm/pooled-fetch.ts";
import type { ServedModel } from "./run-harness.ts";

const modelsSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) });
const answerMs = 10_000;

/** Whether a model is named by its server: `http://127.0.0.1:8000/v1#MODEL`. */
export function isServed(model: string): boolean {
  return /^https?:\/\//.test(model);
}

/**
 * Looks for a model behind a server, and what the server says of it. No key is sent: calls that are paid would be in no budget.
 *
 * @returns the model, and a text that changes when the server tells of another one under this name
 * @throws UsageError when it is not there, or wants a key
 */
export async function findServed(
  name: string,
  tokenizer: string | undefined,
): Promise<{ readonly served: ServedModel; readonly identity: string }> {
  const [place, model] = name.split(/#(.*)/s) as [string, string | undefined];
  if (!model)
    throw new UsageError(`--models: expected a server's address and its model, as in ${place}#MODEL, got ${name}`);
  const address = checkAddress(place, "--models: ");
  const url = `${address}/models`;
  let found: unknown;
  try {
    const response = await createPooledFetch(1)(url, { signal: AbortSignal.timeout(answerMs) });
    if (response.status === 401 || response.status === 403)
      throw new UsageError(
        `--models: ${url}: expected a server that wants no key, got ${response.status}; the harness's calls are in no budget, so paid models are not benchmarked: serve one yourself, or name a folder`,
      );
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    found = await response.json();
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(
      `--models: ${url}: expected the models that are served there, got none (${messageOf(cause)}); start the server first`,
      { cause },
    );
  }
  const models = modelsSchema.safeParse(found).data?.data ?? [];
  const own = models.find(({ id }) => id === model);
  if (!own)
    throw new UsageError(
      `--models: expected a model that ${address} serves (${models.map(({ id }) => id).join(", ") || "none"}), got ${JSON.stringify(model)}`,
    );
  const { created: _, permission: __, ...told } = own; // these change at every start
  return {
    served: { address, model, tokenizer: tokenizer ?? null },
    identity: JSON.stringify([address, told, tokenizer ?? null]),
  };
}
