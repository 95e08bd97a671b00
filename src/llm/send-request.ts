import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";
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
  return async (url, { method = "GET", headers, body = null, signal = null }) => {
    try {
      const reply = await request(url, { dispatcher, method, headers: headers ?? {}, body, signal });
      return {
        status: reply.statusCode,
        headers: joinHeaders(reply.headers),
        bytes: (await reply.body.bytes()) as Uint8Array<ArrayBuffer>, // bytes from a socket are not shared
      };
    } catch (error) {
      const proxy = proxyFor(url, proxies);
      throw proxy && error instanceof Error && !signal?.aborted ? new ProxyError(proxy.shown, error) : error;
    }
  };
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
