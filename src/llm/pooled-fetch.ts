import { EnvHttpProxyAgent, request, type Dispatcher } from "undici";

const idleMs = 30_000;
const connectMs = 10_000;

export type Fetch = typeof globalThis.fetch;

/**
 * A `fetch` over a pool of kept-alive connections, about half again as fast as the built-in one for many small calls. It
 * sets no time limit of its own (the caller's signal does), follows no redirects, and honours HTTP_PROXY and NO_PROXY.
 */
export function createPooledFetch(connections: number): Fetch {
  const dispatcher = new EnvHttpProxyAgent({
    connections,
    keepAliveTimeout: idleMs,
    connect: { timeout: connectMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      method: (init?.method ?? "GET") as Dispatcher.HttpMethod,
      headers: init?.headers as Record<string, string>, // the AI SDK gives a plain object
      body: (init?.body ?? null) as string | null, // and a text
      signal: init?.signal ?? null,
    });
    const text = await body.text();
    const canHaveBody = statusCode >= 200 && statusCode !== 204 && statusCode !== 304;
    return new Response(canHaveBody ? text : null, { status: Math.max(200, statusCode), headers: flatten(headers) });
  };
}

function flatten(headers: Record<string, string | string[] | undefined>): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value] as [string, string]],
  );
}
