import { Agent, EnvHttpProxyAgent, request } from "undici";
import { largestReply } from "./reply-limit.ts";

const idleMs = 30_000;
const connectMs = 10_000;

export type Fetch = typeof globalThis.fetch;

/**
 * A `fetch` over a pool of kept-alive connections, made for many small calls. It has no time limit of its own (the caller's
 * signal sets one), follows no redirects, and honours HTTP_PROXY and NO_PROXY.
 *
 * @param largestBytes of a reply; a larger one is broken off. -1 for no limit, as for the results of batches
 * @param isHere whether the server is on this machine, so that no proxy is used
 */
export function createPooledFetch(connections: number, { isHere = false, largestBytes = largestReply } = {}): Fetch {
  const options = {
    connections,
    keepAliveTimeout: idleMs,
    connect: { timeout: connectMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
    maxResponseSize: largestBytes,
  };
  const dispatcher = isHere ? new Agent(options) : new EnvHttpProxyAgent(options);
  return async (input, init) => {
    const url = typeof input === "object" && "url" in input ? input.url : String(input);
    const sent = await encodeBody(init);
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      method: init?.method ?? "GET",
      ...sent,
      signal: init?.signal ?? null,
    });
    return new WholeResponse(statusCode, headers, await body.bytes()) as unknown as Response; // the used part of one
  };
}

/** The body as text or bytes. The AI SDK gives text, or a form when it uploads a file. */
async function encodeBody(
  init: RequestInit | undefined,
): Promise<{ headers: Record<string, string>; body: string | Uint8Array | null }> {
  const headers = init?.headers as Record<string, string>; // the AI SDK gives a plain object
  const body = init?.body ?? null;
  if (body === null || typeof body === "string") return { headers, body };
  const encoded = new Response(body); // encodes a form as multipart
  const type = encoded.headers.get("content-type");
  return {
    headers: { ...headers, ...(type !== null && { "content-type": type }) },
    body: new Uint8Array(await encoded.arrayBuffer()),
  };
}

/**
 * The part of a `Response` that the AI SDK uses, for a reply that has fully arrived. Every call needs one, and a real
 * `Response` is expensive; it is created only for the other methods.
 */
export class WholeResponse {
  readonly status: number;
  readonly statusText = "";
  readonly headers: Map<string, string>;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(status: number, headers: Record<string, string | string[] | undefined>, bytes: Uint8Array) {
    this.status = status;
    this.headers = new Map();
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) this.headers.set(name, Array.isArray(value) ? value.join(", ") : value);
    this.#bytes = bytes as Uint8Array<ArrayBuffer>; // bytes from a socket are not shared
  }

  /** All of it, without the cost of a real `Response`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get body(): Pick<ReadableStream<Uint8Array>, "cancel"> & { getReader(): object } {
    let value: Uint8Array | undefined = this.#bytes;
    const cancel = () => Promise.resolve();
    const read = () => {
      const chunk = value;
      value = undefined;
      return Promise.resolve(chunk ? { done: false, value: chunk } : { done: true, value: undefined });
    };
    return { cancel, getReader: () => ({ read, cancel, releaseLock: () => {} }) };
  }

  clone(): Response {
    return this.#real();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#real().arrayBuffer();
  }

  blob(): Promise<Blob> {
    return this.#real().blob();
  }

  text(): Promise<string> {
    return this.#real().text();
  }

  json(): Promise<unknown> {
    return this.#real().json();
  }

  #real(): Response {
    const isEmpty = this.status === 204 || this.status === 205 || this.status === 304;
    return new Response(isEmpty ? null : this.#bytes, { status: this.status, headers: [...this.headers] });
  }
}
