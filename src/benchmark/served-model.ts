import { messageOf, UsageError } from "../errors.ts";
import { checkAddress } from "../llm/open-compatible.ts";
import { listServedModels } from "../llm/served-models.ts";
import type { ServedModel } from "./run-harness.ts";

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
  const address = checkAddress(place, "--models: ");
  if (!model)
    throw new UsageError(`--models: expected a server's address and its model, as in ${address}#MODEL, got ${address}`);
  const url = `${address}/models`;
  const { status, models } = await listServedModels(url).catch((cause: unknown) => {
    throw new UsageError(
      `--models: ${url}: expected the models that are served there, got none (${messageOf(cause)}); start the server first`,
      { cause },
    );
  });
  if (status === 401 || status === 403)
    throw new UsageError(
      `--models: ${url}: expected a server that wants no key, got ${status}; the harness's calls are in no budget, so paid models are not benchmarked: serve one yourself, or name a folder`,
    );
  const own = models?.find(({ id }) => id === model);
  if (!own)
    throw new UsageError(
      `--models: expected a model that ${address} serves (${models?.map(({ id }) => id).join(", ") || `it answers ${status}`}), got ${JSON.stringify(model)}`,
    );
  const { created: _, permission: __, ...told } = own; // these change at every start
  return {
    served: { address, model, tokenizer: tokenizer ?? null },
    identity: JSON.stringify([address, told, tokenizer ?? null]),
  };
}
