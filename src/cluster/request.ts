import { once } from "node:events";
import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { text as readAll } from "node:stream/consumers";

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A request by Node's own client: the headers of `fetch` make Ray take it for a browser, which it lets change nothing. */
export async function request(
  url: string,
  { body, ...options }: RequestOptions & { readonly body: string | Uint8Array | undefined },
): Promise<Answer> {
  options.signal?.throwIfAborted();
  const sent = (url.startsWith("https:") ? https : http).request(url, options);
  sent.on("error", () => {}); // it is told below; after an abort it may come once more
  sent.end(body);
  const [response] = (await once(sent, "response", { signal: options.signal })) as [IncomingMessage];
  return { status: response.statusCode ?? 0, text: await readAll(response) };
}
