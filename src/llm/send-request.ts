import { readProxies } from "./proxies.ts";
import { largestReply } from "./reply-limit.ts";
import { createRoutes, type Route } from "./routes.ts";

const idleMs = 30_000;

/** A reply that has fully arrived. Names of headers are in lower case. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface HttpRequest {
  readonly method?: string | undefined;
  readonly headers?: Record<string, string> | undefined;
  readonly body?: string | Uint8Array | null | undefined;
  readonly signal?: AbortSignal | null | undefined;
}

export type SendRequest = (url: string, request: HttpRequest) => Promise<HttpReply>;

export interface SenderOptions {
  /** Whether the server is on this machine, so that no proxy is used. */
  readonly isHere?: boolean | undefined;
  /** Bytes of the largest reply; a larger one is broken off. -1 for no limit, as for the results of batches. */
  readonly largestBytes?: number | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
}

const largestHeader = 256 * 1024;
const proxyRefusal = 407;

/**
 * Sends requests over a pool of kept-alive connections, made for many small calls. It has no time limit of its own (the
 * caller's signal sets one), follows no redirects, and honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
 *
 * @throws UsageError when a proxy variable is not an address
 */
export function createSender(
  connections: number,
  { isHere = false, largestBytes = largestReply, environment = process.env }: SenderOptions = {},
): SendRequest {
  const limits = {
    connections,
    keepAliveTimeout: idleMs,
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
    maxResponseSize: largestBytes,
    maxHeaderSize: largestHeader, // Node's own limit is 16 KB, and a reply beyond it is paid and lost
  };
  const findRoute = createRoutes(limits, isHere ? {} : readProxies(environment));
  return async (url, request) => {
    const route = findRoute(new URL(url));
    const { proxy } = route;
    try {
      const reply = await dispatch(route, request);
      if (proxy && reply.status === proxyRefusal)
        throw Object.assign(new Error(`Proxy response (${proxyRefusal})`), { code: "UND_ERR_ABORTED" }); // as of a tunnel
      return reply;
    } catch (error) {
      throw proxy && error instanceof Error && !request.signal?.aborted ? new ProxyError(proxy.shown, error) : error;
    }
  };
}

/** Sends a request and collects its reply, without the streams and hooks of undici's own `request`, which small replies need not. */
function dispatch(
  { dispatcher, origin, path, headers: more }: Route,
  { method = "GET", headers = {}, body = null, signal }: HttpRequest,
): Promise<HttpReply> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpReply>();
  const parts: Buffer[] = [];
  let status = 0;
  let replied: Record<string, string> = {};
  let abort = (): void => reject(signal?.reason);
  const onAbort = () => abort();
  if (signal?.aborted) onAbort();
  else {
    signal?.addEventListener("abort", onAbort, { once: true });
    dispatcher.dispatch(
      { origin, path, method, headers: { ...headers, ...more }, body },
      {
        onRequestStart(controller) {
          abort = () => controller.abort(signal?.reason);
          if (signal?.aborted) abort();
        },
        onResponseStart(_, code, given) {
          status = code;
          replied = joinHeaders(given);
        },
        onResponseData: (_, part) => void parts.push(part),
        onResponseEnd: () => resolve({ status, headers: replied, bytes: Buffer.concat(parts) }),
        onResponseError: (_, error) => reject(signal?.aborted ? signal.reason : error),
      },
    );
  }
  return promise.finally(() => signal?.removeEventListener("abort", onAbort));
}

/** A request through a proxy that failed without a reply: the fault may be the proxy's. */
export class ProxyError extends Error {
  /** Its address without a password, and the variable that names it. */
  readonly proxy: string;

  constructor(proxy: string, cause: Error) {
    super(cause.message, { cause });
    this.name = "ProxyError";
    this.proxy = proxy;
  }
}

function joinHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) joined[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return joined;
}
