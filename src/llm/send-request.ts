import { Agent, type Dispatcher, EnvHttpProxyAgent } from "undici";
import { createConnector } from "./connect.ts";
import { proxyFor, readProxies, type Proxies } from "./proxies.ts";
import { largestReply } from "./reply-limit.ts";

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
  const options = {
    connections,
    keepAliveTimeout: idleMs,
    connect: createConnector(),
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
    maxResponseSize: largestBytes,
    maxHeaderSize: largestHeader, // Node's own limit is 16 KB, and a reply beyond it is paid and lost
  };
  const proxies: Proxies = isHere ? {} : readProxies(environment);
  const dispatcher: Dispatcher =
    proxies.http === undefined && proxies.https === undefined
      ? new Agent(options)
      : new EnvHttpProxyAgent({
          ...options,
          httpProxy: proxies.http?.address ?? "",
          httpsProxy: proxies.https?.address ?? "",
          noProxy: proxies.none ?? "",
        });
  return async (url, request) => {
    try {
      return await dispatch(dispatcher, url, request);
    } catch (error) {
      const { signal } = request;
      const proxy = proxyFor(url, proxies);
      throw proxy && error instanceof Error && !signal?.aborted ? new ProxyError(proxy.shown, error) : error;
    }
  };
}

/** Sends a request and collects its reply, without the streams and hooks of undici's own `request`, which small replies need not. */
function dispatch(
  dispatcher: Dispatcher,
  url: string,
  { method = "GET", headers = {}, body = null, signal }: HttpRequest,
): Promise<HttpReply> {
  const { origin, pathname, search } = new URL(url);
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
      { origin, path: `${pathname}${search}`, method, headers, body },
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
