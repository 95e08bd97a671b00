import * as z from "zod";
import { messageOf, UsageError } from "../errors.ts";
import { checkAddress, findServerKey } from "./open-compatible.ts";
import { createPooledFetch } from "./pooled-fetch.ts";
import { redactorOf } from "./secrets.ts";

const modelsSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) });
const answerMs = 10_000;
const longestName = 200; // characters
const shownNames = 10;

/** A model as a server lists it. */
export type ListedModel = z.infer<typeof modelsSchema>["data"][number];

/**
 * What a server lists.
 *
 * @param url `http://127.0.0.1:8000/v1/models`
 * @returns the HTTP status, and the models if it is a list of them
 * @throws Error when it cannot be reached, or answers no JSON
 */
export async function listServedModels(
  url: string,
  key?: string,
): Promise<{ readonly status: number; readonly models?: readonly ListedModel[] | undefined }> {
  const response = await createPooledFetch(1)(url, {
    signal: AbortSignal.timeout(answerMs),
    headers: key !== undefined ? { authorization: `Bearer ${key}` } : {},
  });
  if (!response.ok) return { status: response.status };
  return { status: response.status, models: modelsSchema.safeParse(await response.json()).data?.data };
}

/**
 * The name of the only model that an endpoint serves.
 *
 * @param endpoint `http://127.0.0.1:8000/v1`
 * @throws UsageError when it is not an address, cannot be reached, lists no model, or serves several
 */
export async function findServedModel(endpoint: string, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const url = `${checkAddress(endpoint, "--endpoint: ")}/models`;
  const { key } = findServerKey(new URL(url), environment);
  const advice = "start the server, or name its model with --model";
  const { status, models } = await listServedModels(url, key).catch((cause: unknown) => {
    throw new UsageError(
      `${url}: expected the models that are served there, got none (${messageOf(cause)}); ${advice}`,
      { cause },
    );
  });
  if (status >= 400)
    throw new UsageError(
      `${url}: expected the models that are served there, got none (it answers ${status}); ${advice}`,
    );
  const [only, ...more] = models ?? [];
  const redact = redactorOf([key]);
  const names = (models ?? []).map(({ id }) => redact(id, "reply").slice(0, longestName));
  if (!only || more.length > 0)
    throw new UsageError(
      `${url}: expected one model, got ${models ? `${names.slice(0, shownNames).join(", ")}${names.length > shownNames ? ", …" : ""}` || "none" : "something else"}; name it with --model`,
    );
  if (names[0] !== only.id)
    throw new UsageError(
      `${url}: expected the model's name, of at most ${longestName} characters and without the key in it, got ${names[0]}; is this the right server? Name the model with --model`,
    );
  return only.id;
}
