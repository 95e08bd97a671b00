import { readBody, readError, readStatedError } from "./chat-reply.ts";
import { isEntry } from "./entry.ts";
import { createSender, type HttpReply, type SenderOptions } from "./send-request.ts";

export type Fetch = typeof globalThis.fetch;

/**
 * A `fetch` for the AI SDK over `createSender`'s connections. It gets replies as every client does: unpacked, in UTF-8, and an error in a 200
 * with the status that it stands for. Those without a limit of their size (the results of batches) are passed on as they are.
 */
export function createPooledFetch(connections: number, options: SenderOptions = {}): Fetch {
  const send = createSender(connections, options);
  return async (input, init) => {
    const url = typeof input === "object" && "url" in input ? input.url : String(input);
    const reply = await send(url, { method: init?.method, ...(await encodeBody(init)), signal: init?.signal });
    return new WholeResponse(options.largestBytes === -1 ? reply : normalise(reply)) as unknown as Response; // the used part of one
  };
}

function normalise(reply: HttpReply): HttpReply {
  const { text, value } = readBody(reply);
  const hasChoices = isEntry(value) && Array.isArray(value["choices"]);
  const error =
    reply.status >= 300
      ? undefined
      : hasChoices
        ? readError({ value, text }, reply.status)
        : readStatedError(value, text);
  const { "content-encoding": encoding, ...headers } = reply.headers;
  const isPlain = encoding === undefined && Buffer.from(text).equals(reply.bytes);
  if (!error && isPlain) return reply;
  return { status: error?.status ?? reply.status, headers, bytes: new TextEncoder().encode(text) };
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
class WholeResponse {
  readonly status: number;
  readonly statusText = "";
  readonly headers: Map<string, string>;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor({ status, headers, bytes }: HttpReply) {
    this.status = status;
    this.headers = new Map(Object.entries(headers));
    this.#bytes = bytes;
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
