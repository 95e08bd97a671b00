import { firstSet } from "./environment.ts";
import { UsageError } from "../errors.ts";
import { hostVariable } from "../host-variable.ts";
import { type ChatModel, type LanguageClient, type OpenModelOptions, defaultConnections } from "./chat-model.ts";
import { compatibleOptions } from "./chat-request.ts";
import { createCompatibleClient } from "./compatible-client.ts";
import { createMeasuringClient } from "./measuring-client.ts";
import { openCompatibleEmbedding } from "./open-embedding.ts";
import { proxyPasswords } from "./proxies.ts";
import { describeKey, redactorOf } from "./secrets.ts";
import { isReadByOthers } from "./private-network.ts";
import { withoutPassword } from "../without-password.ts";
import { createSender } from "./send-request.ts";

/** Servers of one's own queue calls instead of refusing them: a reply may be long in coming. */
const queueTimeoutMs = 900_000;

const compatibleKey = "ALPAGASUS_API_KEY";

/** The variable with the key of one server: `ALPAGASUS_API_KEY_GPU_EXAMPLE_ORG_8000`, or without the port. */
function hostKeys({ hostname, host }: URL): string[] {
  return [...new Set([host, hostname].map((name) => hostVariable(compatibleKey, name)))];
}

/**
 * The key for a server: its host's own, or the one for every server.
 *
 * @param isFromRecipe then the one for every server is kept on this machine; and where others could read the key on its way, only one that was
 *   set for this port is sent
 */
export function findServerKey(
  url: URL,
  environment: NodeJS.ProcessEnv,
  isFromRecipe = false,
): { readonly variables: readonly string[]; readonly key?: string | undefined; readonly advice?: string | undefined } {
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  const isShared = isHere || !isFromRecipe;
  const all = [...hostKeys(url), ...(isShared ? [compatibleKey] : [])];
  const ofPort = hostVariable(compatibleKey, `${url.hostname}:${url.port || 80}`);
  const isCareful = isFromRecipe && isReadByOthers(url);
  const variables = isCareful ? [ofPort] : all;
  const key = firstSet(environment, variables);
  if (key !== undefined) return { variables, key };
  const kept = isCareful ? all.find((name) => environment[name]?.trim()) : undefined;
  if (kept !== undefined)
    return {
      variables,
      advice: `${kept} was not sent, since a recipe names this server by http:, where others can read it; name it by https:, or set ${ofPort}`,
    };
  if (isShared || !environment[compatibleKey]?.trim()) return { variables };
  return {
    variables,
    advice: `${compatibleKey} was not sent, since a recipe names this server; if it may have a key, set ${variables.at(-1)}`,
  };
}

export async function openCompatibleModel(name: string, options: OpenModelOptions): Promise<ChatModel> {
  const [, address = "", model = ""] = /^([^#]+)(?:#(.*))?$/s.exec(name) ?? [];
  if (!model)
    throw new UsageError(`${withoutPassword(name)}: expected a model after #, as in http://127.0.0.1:8000/v1#qwen3`);
  const url = parseAddress(address, "");
  const found = findServerKey(url, options.environment ?? process.env, options.isFromRecipe);
  const { key: apiKey } = found;
  const baseURL = url.href.replace(/\/+$/, "");
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const send = createSender(options.connections ?? defaultConnections, { environment: options.environment });
  const client = createCompatibleClient({ baseURL, model, headers, send });
  const identity = `${baseURL}#${model}`;
  return {
    name: identity,
    identity,
    language: client,
    price: options.price,
    embedding: {
      open: () =>
        openCompatibleEmbedding({
          baseURL,
          model,
          headers,
          connections: options.connections,
          environment: options.environment,
        }),
      findPrice: () => Promise.resolve(options.price),
    },
    measuring: createMeasuringClient({ baseURL, model, headers, send }),
    thinksFirst: false,
    timeoutMs: queueTimeoutMs,
    notes: () => [
      ...(apiKey !== undefined && isReadByOthers(url)
        ? [`${url.host} gets its key without encryption; name it by https: where it has that`]
        : []),
      ...client.notes(),
    ],
    tellLogprobs: (top) => ({ [compatibleOptions]: { logprobs: true, top_logprobs: top } }),
    ...(apiKey !== undefined && describeKey(identity, apiKey, found.variables)),
    keyAdvice: found.advice,
    redact: redactorOf([apiKey, ...proxyPasswords(options.environment ?? process.env)]),
  };
}

/** A model on a server of this machine with OpenAI's protocol: without a key or proxy. */
export function openServedModel(baseURL: string, model: string, connections: number): LanguageClient {
  return createCompatibleClient({ baseURL, model, send: createSender(connections, { isHere: true }) });
}

/**
 * Checks a server's address and removes trailing slashes. @param before starts error messages, such as `--endpoint: `
 *
 * @throws UsageError when it is not an address, or contains a #, a name, a password or a query
 */
export function checkAddress(text: string, before: string): string {
  return parseAddress(text, before).href.replace(/\/+$/, "");
}

const shortestKey = 16; // characters of what may be a key that was put into the wrong variable

function parseAddress(text: string, before: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError(
      `${before}expected an address such as http://127.0.0.1:8000/v1, got ${/[.:/]/.test(text) || text.length < shortestKey ? JSON.stringify(withoutPassword(text)) : "something else"}`,
    );
  if (url.hash)
    throw new UsageError(
      `${before}${url.origin}${url.pathname}: expected an address without #${url.hash.length < shortestKey ? `, got ${url.hash}` : ""}; name the model with --model`,
    );
  if (url.username || url.password || url.search)
    throw new UsageError(
      `${before}${url.origin}${url.pathname}: expected an address without a name, password or question mark; put a key into ${compatibleKey}`,
    );
  return url;
}
