import * as z from "zod";
import { messageOf, UsageError } from "../errors.ts";
import { checkAddress, findServerKey } from "./open-compatible.ts";
import { createPooledFetch } from "./pooled-fetch.ts";

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
const answerMs = 10_000;

/**
 * The name of the only model that an endpoint serves.
 *
 * @param endpoint `http://127.0.0.1:8000/v1`
 * @throws UsageError when it is not an address, cannot be reached, lists no model, or serves several
 */
export async function findServedModel(endpoint: string, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const url = `${checkAddress(endpoint, "--endpoint: ")}/models`;
  const { key } = findServerKey(new URL(url), environment);
  let found: unknown;
  try {
    const response = await createPooledFetch(1)(url, {
      signal: AbortSignal.timeout(answerMs),
      headers: key !== undefined ? { authorization: `Bearer ${key}` } : {},
    });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    found = await response.json();
  } catch (cause) {
    throw new UsageError(
      `${url}: expected the models that are served there, got none (${messageOf(cause)}); start the server, or name its model with --model`,
      { cause },
    );
  }
  const models = modelsSchema.safeParse(found);
  if (!models.success || models.data.data.length !== 1)
    throw new UsageError(
      `${url}: expected one model, got ${models.success ? models.data.data.map(({ id }) => id).join(", ") || "none" : "something else"}; name it with --model`,
    );
  return models.data.data[0]!.id;
}
